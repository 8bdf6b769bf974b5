"""Compiled loops over the bytes of an svmlight file.

    target [qid:number] index:value index:value ... [# words]

They trust that the last byte is the end of a line.
"""

from typing import NamedTuple

import numpy as np

from fastgd.data.readers.decimals import HARD, INFINITE, MALFORMED, READ, ZERO, read_number
from fastgd.runtime.jit import callee, kernel
from fastgd.runtime.memory import borrowed

TAB, NEWLINE, RETURN, SPACE, HASH, COLON = b"\t\n\r #:"
LETTER_Q, LETTER_I, LETTER_D = b"qid"

# Places in `counts`; the last one is of the line of the first row.
ROWS, VALUES, HARD_NUMBERS, LINES, POSITION, TOKEN, FIRST_LINE = range(7)
N_COUNTS = 7

# How a call of `parse_rows` ends. The first row that does not fit is read again by the next call.
DONE, FULL, MORE_VALUES, MORE_ROWS, MORE_HARD = range(5)
# And what is wrong otherwise.
BAD_TARGET, BAD_PAIR, BAD_VALUE, BEYOND, ZERO_INDEX, FALLING_INDEX = range(5, 11)
TARGET_BEYOND_DOUBLES, VALUE_BEYOND_DOUBLES = 11, 12

# Beyond all indices: not counted on.
MAX_INDEX = 1 << 40


class RowArrays(NamedTuple):
    """Arrays that rows are written to.

    Attributes
    ----------
    data, indices, indptr : ndarray
        As in a CSR matrix, of float64, int32 and int32.
    targets : ndarray of float64, (room for rows,)
    hard : ndarray of int64, (room, 4)
        Numbers that Python has to convert: the place in `data`, or -1 - the row of a target; the
        first byte, one past the last, the line.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    targets: np.ndarray
    hard: np.ndarray


@kernel
def parse_rows(text, n_bytes, base, n_features, room, counts):
    """Rows of whole lines, from `counts[POSITION]` on, until they are more than `n_bytes` in
    memory; how it ended.

    Indices are counted from `base`.  Zeros are not stored.  At an error `counts[TOKEN]` is where
    it is.
    """
    # Numbers of references that are counted at each call took a third of the time.
    lent = RowArrays(
        borrowed(room.data),
        borrowed(room.indices),
        borrowed(room.indptr),
        borrowed(room.targets),
        borrowed(room.hard),
    )
    return parse_lines(borrowed(text), n_bytes, base, n_features, lent, borrowed(counts))


@kernel
def parse_lines(text, n_bytes, base, n_features, room, counts):
    """`parse_rows` of arrays that are not counted."""
    position = counts[POSITION]
    while position < text.size:
        counts[POSITION] = position
        position = past_blanks(text, position)
        if text[position] != NEWLINE and text[position] != HASH:
            n_values = counts[VALUES]
            n_hard = counts[HARD_NUMBERS]
            status, position = parse_row(text, position, base, n_features, room, counts)
            n_rows = counts[ROWS]
            size = 12 * counts[VALUES] + 8 * (n_rows + 1)
            if n_rows > 0 and (status == MORE_VALUES or (status == DONE and size > n_bytes)):
                status = FULL
            if status != DONE:
                counts[VALUES] = n_values
                counts[HARD_NUMBERS] = n_hard
                counts[TOKEN] = position
                return status
            if n_rows == 0:
                counts[FIRST_LINE] = counts[LINES]
            counts[ROWS] = n_rows + 1
            room.indptr[n_rows + 1] = counts[VALUES]
        while text[position] != NEWLINE:
            position += 1
        position += 1
        counts[LINES] += 1
    counts[POSITION] = position
    return DONE


@callee
def parse_row(text, position, base, n_features, room, counts):
    """One row, up to the end of its line or the words behind it; how it ended, and where."""
    row = counts[ROWS]
    n_values = counts[VALUES]
    if row == room.targets.size:
        return MORE_ROWS, position
    target, end, found = read_number(text, position)
    if found == MALFORMED or not ends(text[end]):
        return BAD_TARGET, position
    if found == INFINITE:
        return TARGET_BEYOND_DOUBLES, position
    if found == HARD and not note(room, counts, -1 - row, position, end):
        return MORE_HARD, position
    room.targets[row] = target
    position = past_query(text, past_blanks(text, end))
    data, indices = room.data, room.indices
    previous = -1
    while text[position] != NEWLINE and text[position] != HASH:
        index, after = read_index(text, position)
        if after == position or text[after] != COLON:
            return BAD_PAIR, position
        index -= base
        if index <= previous:
            return (ZERO_INDEX if index < 0 else FALLING_INDEX), position
        if index >= n_features:
            return BEYOND, position
        # One digit, as levels of categories have. Neither it nor a colon is the last byte.
        digit = np.int64(text[after + 1]) - ZERO
        if 0 <= digit <= 9 and ends(text[after + 2]):
            value, end, found = float(digit), after + 2, READ
        else:
            value, end, found = read_number(text, after + 1)
            if found == MALFORMED or not ends(text[end]):
                return BAD_VALUE, position
        if found == INFINITE:
            return VALUE_BEYOND_DOUBLES, position
        if value != 0.0 or found == HARD:
            if n_values == data.size:
                return MORE_VALUES, position
            if found == HARD and not note(room, counts, n_values, after + 1, end):
                return MORE_HARD, position
            data[n_values] = value
            indices[n_values] = index
            n_values += 1
        previous = index
        position = past_blanks(text, end)
    counts[VALUES] = n_values
    return DONE, position


@kernel
def note_indices(text, found):
    """Lower `found[0]` to the least index of whole lines, and raise `found[1]` to the greatest.

    What is no row is passed over, for `parse_rows` refuses it; numbers are not read.
    """
    position = 0
    while position < text.size:
        position = next_word(text, past_word(text, next_word(text, position)))
        while text[position] != NEWLINE and text[position] != HASH:
            index, after = read_index(text, position)
            if after > position and text[after] == COLON:
                found[0] = min(found[0], index)
                found[1] = max(found[1], index)
            position = next_word(text, past_word(text, after))
        while text[position] != NEWLINE:
            position += 1
        position += 1


@callee
def past_word(text, position):
    """Where a word ends, by a blank, the end of the line or a #."""
    while not ends(text[position]):
        position += 1
    return position


@callee
def next_word(text, position):
    """Where a word or a # is next, or the line ends; past blanks, and characters that no line may
    hold.
    """
    while text[position] <= SPACE and text[position] != NEWLINE:
        position += 1
    return position


@callee
def read_index(text, position):
    """The integer at `position` and where it ends."""
    index = 0
    digit = np.int64(text[position]) - ZERO
    while 0 <= digit <= 9:
        if index < MAX_INDEX:
            index = 10 * index + digit
        position += 1
        digit = np.int64(text[position]) - ZERO
    return index, position


@callee
def past_blanks(text, position):
    """Where the next word begins, or the line ends."""
    while text[position] == SPACE or text[position] == TAB or text[position] == RETURN:
        position += 1
    return position


@callee
def past_query(text, position):
    """The number of the query in front of the first pair, as ranking has it, is passed over."""
    if (
        text[position] != LETTER_Q
        or text[position + 1] != LETTER_I
        or text[position + 2] != LETTER_D
        or text[position + 3] != COLON
    ):
        return position
    _, end, found = read_number(text, position + 4)
    if found == MALFORMED or not ends(text[end]):
        return position  # where a pair is missed then
    return past_blanks(text, end)


@callee
def ends(character):
    """Whether a number may be followed by this; what no line may hold is found next."""
    return character <= SPACE or character == HASH


@callee
def note(room, counts, place, first, last):
    """Leave a number to Python, if there is room for it."""
    k = counts[HARD_NUMBERS]
    if k == room.hard.shape[0]:
        return False
    room.hard[k, 0] = place
    room.hard[k, 1] = first
    room.hard[k, 2] = last
    room.hard[k, 3] = counts[LINES]
    counts[HARD_NUMBERS] = k + 1
    return True
