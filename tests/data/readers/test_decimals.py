"""Decimals as doubles, against Python's float."""

import struct
from decimal import Decimal, localcontext

import numpy as np
import pytest

from fastgd.data.readers.decimals import HARD, INFINITE, MALFORMED, READ
from fastgd.data.readers.decimals import read_number as of_kernels
from fastgd.runtime.jit import kernel


@kernel
def read_number(text, position):
    """As kernels call it."""
    return of_kernels(text, position)


def read(text, after="\n"):
    """Value, length and what became of a text."""
    return read_number(np.frombuffer((text + after).encode(), np.uint8), 0)


def random_decimals(random, n):
    """Decimals of all kinds: shortest ones of random bits, and digits with exponents; between two
    doubles, exactly and nearly; short ones, and some near 0 and the largest double.
    """
    for _ in range(n):
        yield repr(struct.unpack("d", struct.pack("Q", random.integers(2**64, dtype=np.uint64)))[0])
        digits = str(random.integers(10**18))[: random.integers(1, 19)]
        yield f"-{digits}{random.integers(10**9)}e{random.integers(-340, 310)}"
        yield f"{digits}E{random.integers(-360, 310):+d}"
        yield f"{random.standard_normal():.{random.integers(25)}f}"
        yield f"+{random.integers(1000)}e{random.integers(-330, -300)}"
        with localcontext() as context:
            context.prec = 800
            odd = 2 * int(random.integers(2**52, 2**53)) + 1
            half = Decimal(odd) * Decimal(2) ** int(random.integers(-60, 60))
            yield f"{half:f}"
            yield f"{half * (1 + Decimal(10) ** -17)!s}"


def test_they_are_python_s_floats():
    n = 40 if not hasattr(read_number, "py_func") else 3000
    seen = set()
    for text in random_decimals(np.random.default_rng(0), n):
        if "n" in text:  # random bits may be nan or inf
            continue
        value, end, found = read(text)
        truth = float(text)
        seen.add(found)
        assert end == len(text), text
        assert (found == INFINITE) == np.isinf(truth) or found == HARD, text
        if found == READ:
            assert value == truth, text
            assert np.signbit(value) == np.signbit(truth), text
    assert seen >= {READ, HARD}


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-0", "7", "+7.", ".5", "-.5e-3", "1e0", "1e-5", "123456789012345678", "9e22"),
        *("4.9e-324", "2.4703282292062327e-324", "2.4703282292062329e-324", "1e-400", "0e999999"),
        *("2.2250738585072014e-308", "2.2250738585072011e-308", "1.7976931348623157e308"),
        *("9007199254740993", "9007199254740992.999", "0.500000000000000000000000", "1" + "0" * 40),
        *("0.0000000000000000000000000000001", "8.41e21", "1e23", "5e-324", "6929495644600919.5"),
    ],
)
def test_single_cases(text):
    value, end, found = read(text, " ")
    assert (value, end, found) == (float(text), len(text), READ)


@pytest.mark.parametrize("text", ["1.7976931348623159e308", "1e309", "-1e99999999999", "9" * 400])
def test_beyond_the_doubles(text):
    assert np.isinf(float(text))
    assert read(text)[2] == INFINITE


@pytest.mark.parametrize("text", ["", "-", "+", ".", "e5", "1e", "1e+", "nan", "-inf", "x1", "--1"])
def test_no_numbers(text):
    assert read(text)[2] == MALFORMED


@pytest.mark.parametrize("text", ["1.2.3", "1-2", "1_000", "0x10", "1,5"])
def test_a_number_ends_where_python_s_would_not(text):
    value, end, found = read(text)
    assert found == READ
    assert end < len(text)
    assert value == float(text[:end])
