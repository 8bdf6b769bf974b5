"""Instructions on words, against Python's integers."""

import struct

import numpy as np
import pytest

from fastgd.runtime import bits
from fastgd.runtime.jit import kernel

WORDS = [0, 1, 2, 3, 2**31, 2**32 - 1, 2**32, 2**52, 2**63 - 1, 2**63, 2**64 - 1]


@kernel
def zeros_above(word):
    """Compiled."""
    return bits.zeros_above(word)


@kernel
def full_product(a, b):
    """Compiled."""
    return bits.full_product(a, b)


@kernel
def double_of(word):
    """Compiled."""
    return bits.double_of(word)


@pytest.mark.parametrize("word", WORDS)
def test_zeros_above_the_first_one(word):
    assert zeros_above(np.uint64(word)) == 64 - word.bit_length()


@pytest.mark.parametrize("a", WORDS)
@pytest.mark.parametrize("b", WORDS)
def test_a_product_has_two_words(a, b):
    high, low = full_product(np.uint64(a), np.uint64(b))
    assert (int(high) << 64) + int(low) == a * b


@pytest.mark.parametrize("number", [0.0, 1.0, -2.5, 5e-324, 1.7976931348623157e308, np.inf])
def test_a_word_is_a_double(number):
    (word,) = struct.unpack("Q", struct.pack("d", number))
    assert double_of(np.uint64(word)) == number
