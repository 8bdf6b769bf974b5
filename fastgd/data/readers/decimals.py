"""Decimals as doubles: compiled, and correctly rounded.

The usual ones are a product or quotient of two doubles that are exact, 2^53 and 10^22 at most
(Clinger, 1990). The others are multiplied by the leading 128 bits of a power of five, which decides
the rounding of every number of up to 19 digits (Lemire, 2021, Number parsing at a gigabyte per
second; Mushtak and Lemire, 2023, that no case is left over).
"""

import math

import numpy as np

from fastgd.runtime.bits import double_of, full_product, zeros_above
from fastgd.runtime.jit import callee, kernel
from fastgd.runtime.memory import word_at

# What becomes of the bytes: a number, or left to Python, or no number, or one beyond the doubles.
READ, HARD, MALFORMED, INFINITE = range(4)

PLUS, MINUS, POINT, ZERO, BIG_E, SMALL_E = b"+-.0Ee"
# Another digit is added below this: 18 digits, which an int64 holds.
NEARLY_FULL = 10**17
EXACT_INTEGERS = 1 << 53
EXACT_POWERS = 22
# 10^18 times a power below rounds to 0, 1 times one above is infinite.
MIN_POWER = -342
MAX_POWER = 308
# Exponents are not counted on beyond this.
MAX_COUNTED = 100_000

# Eight digits are read at once while there is room for them.
ROOM_FOR_EIGHT = 10**10
ZEROS = np.uint64(0x3030303030303030)
SIXES = np.uint64(0x0606060606060606)
HIGH_NIBBLES = np.uint64(0xF0F0F0F0F0F0F0F0)
LOW_BYTES = np.uint64(0x00FF00FF00FF00FF)
LOW_PAIRS = np.uint64(0x0000FFFF0000FFFF)
LOW_HALF = np.uint64(0x00000000FFFFFFFF)
BYTE = np.uint64(8)
TWO_BYTES = np.uint64(16)
FOUR_BYTES = np.uint64(32)
TEN = np.uint64(10)
HUNDRED = np.uint64(100)
TEN_THOUSAND = np.uint64(10_000)

ONE = np.uint64(1)
LAST = np.uint64(63)
# Bits of a double below those of its exponent.
EXPONENT_AT = np.uint64(52)
# Bits of a product below the 55 that are rounded to 53.
BELOW = 9
UNDECIDED = np.uint64((1 << BELOW) - 1)


def _leading_bits(q):
    """The leading 128 bits of 5^q as an integer, the first of them a 1: truncated, but rounded up
    for -27 <= q < 0, where 5^-q has fewer than 64 bits.
    """
    power = 5 ** abs(q)
    # Reciprocals are taken with bits to spare, so that only the last step truncates.
    bits = power << 128 if q >= 0 else (1 << 2 * power.bit_length() + 256) // power
    leading = bits >> bits.bit_length() - 128
    return leading + 1 if -27 <= q < 0 else leading


# Kernels have these tables built in; handed to them, they would make each call longer, where a
# number takes 10 ns. All that are doubles: 10^0 to 10^22.
EXACT = np.array([float(10**q) for q in range(EXACT_POWERS + 1)])
LEADING = [_leading_bits(q) for q in range(MIN_POWER, MAX_POWER + 1)]
HIGH = np.array([bits >> 64 for bits in LEADING], np.uint64)
LOW = np.array([bits & (1 << 64) - 1 for bits in LEADING], np.uint64)


@callee
def read_number(text, position):
    """The number that begins at `position`, where it ends, and what has become of it.

    There has to be a byte after it that is no part of a number.
    """
    negative = text[position] == MINUS
    if negative or text[position] == PLUS:
        position += 1
    mantissa = 0
    exponent = 0
    truncated = False
    start = position
    digit = np.int64(text[position]) - ZERO
    while 0 <= digit <= 9:
        if mantissa < NEARLY_FULL:
            mantissa = 10 * mantissa + digit
        else:
            truncated |= digit > 0
            exponent += 1
        position += 1
        digit = np.int64(text[position]) - ZERO
    n_read = position - start
    if digit == POINT - ZERO:
        position += 1
        start = position
        while mantissa < ROOM_FOR_EIGHT and position + 8 <= text.size:
            word = word_at(text, position)
            if not are_digits(word):
                break
            mantissa = 100_000_000 * mantissa + eight_digits(word)
            exponent -= 8
            position += 8
        digit = np.int64(text[position]) - ZERO
        while 0 <= digit <= 9:
            if mantissa < NEARLY_FULL:
                mantissa = 10 * mantissa + digit
                exponent -= 1
            else:
                truncated |= digit > 0
            position += 1
            digit = np.int64(text[position]) - ZERO
        n_read += position - start
    if n_read == 0:
        return 0.0, position, MALFORMED
    if text[position] == SMALL_E or text[position] == BIG_E:
        power, position = read_exponent(text, position + 1)
        if position < 0:
            return 0.0, -position, MALFORMED
        exponent += power
    value, status = decimal(mantissa, exponent, truncated)
    return (-value if negative else value), position, status


@callee
def are_digits(word):
    """Whether each of eight bytes is a digit."""
    return word & HIGH_NIBBLES == ZEROS and (word + SIXES) & HIGH_NIBBLES == ZEROS


@callee
def eight_digits(word):
    """The number of eight digits, the first of which is the least significant byte."""
    digits = word - ZEROS
    pairs = (digits & LOW_BYTES) * TEN + ((digits >> BYTE) & LOW_BYTES)
    fours = (pairs & LOW_PAIRS) * HUNDRED + ((pairs >> TWO_BYTES) & LOW_PAIRS)
    return np.int64((fours & LOW_HALF) * TEN_THOUSAND + (fours >> FOUR_BYTES))


@kernel
def read_exponent(text, position):
    """The integer after an e, and where it ends: less than 0 where there is none."""
    negative = text[position] == MINUS
    if negative or text[position] == PLUS:
        position += 1
    start = position
    power = 0
    digit = np.int64(text[position]) - ZERO
    while 0 <= digit <= 9:
        if power < MAX_COUNTED:
            power = 10 * power + digit
        position += 1
        digit = np.int64(text[position]) - ZERO
    return (-power if negative else power), (-position if position == start else position)


@callee
def decimal(mantissa, exponent, truncated):
    """The double next to mantissa * 10^exponent, or where digits were truncated, between that and
    (mantissa + 1) * 10^exponent; and whether it is known.
    """
    if mantissa <= EXACT_INTEGERS and not truncated:
        if mantissa == 0 or exponent == 0:
            return float(mantissa), READ
        if -EXACT_POWERS <= exponent < 0:
            return float(mantissa) / EXACT[-exponent], READ
        if 0 < exponent <= EXACT_POWERS:
            return float(mantissa) * EXACT[exponent], READ
    value = rounded(mantissa, exponent)
    if truncated and value != rounded(mantissa + 1, exponent):
        return value, HARD
    return value, (READ if value < np.inf else INFINITE)


@kernel
def rounded(mantissa, exponent):
    """The double next to mantissa * 10^exponent, for a positive mantissa; the even one of two."""
    if exponent < MIN_POWER:
        return 0.0
    if exponent > MAX_POWER:
        return np.inf
    word = np.uint64(mantissa)
    shift = zeros_above(word)
    high, low = leading_product(word << np.uint64(shift), exponent - MIN_POWER)
    upper = np.int64(high >> LAST)
    bits = np.int64(high >> np.uint64(upper + BELOW))
    # The exponent as a double stores it: 217706 / 2^16 is log2(10) from below.
    biased = ((217706 * exponent) >> 16) + 63 + upper - shift + 1023
    if biased <= 0:  # a subnormal one, or 0
        if biased < -62:
            return 0.0
        bits = bits >> (1 - biased)
        return math.ldexp(float((bits + (bits & 1)) >> 1), -1074)
    halfway = bits & 3 == 1 and low <= ONE and -4 <= exponent <= 23
    if halfway and np.uint64(bits) << np.uint64(upper + BELOW) == high:
        bits -= 1  # exactly between two doubles, of which this is the even one
    bits = (bits + (bits & 1)) >> 1
    if biased > 2046 or (biased == 2046 and bits == EXACT_INTEGERS):
        return np.inf
    # 2^53 carries into the exponent, as it has to.
    return double_of((np.uint64(biased - 1) << EXPONENT_AT) + np.uint64(bits))


@kernel
def leading_product(word, q):
    """The leading 128 bits of word * 5^q, as far as rounding needs them."""
    high, low = full_product(word, HIGH[q])
    if high & UNDECIDED == UNDECIDED:
        more, _ = full_product(word, LOW[q])
        carried = more > ~low
        low = more - ~low - ONE if carried else low + more
        high = high + ONE if carried else high
    return high, low
