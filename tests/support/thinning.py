"""Which cases of a test stand for all of them: as few as asked for, of values as different as can
be.
"""

import collections
import heapq
import re

import pytest

# {test: {value of a parameter: whether a case with it runs}}, of the tests that are thinned.
THINNED = pytest.StashKey[dict]()
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def values_of(case):
    """The values of a collected test's parameters, as words that are the same in each process."""
    return [f"{name}={ADDRESS.sub('', repr(one))}" for name, one in case.callspec.params.items()]


def most_different(cases, every):
    """Numbers of one in `every` cases, each given by its values: those first whose values are the
    rarest among the ones that are chosen, and of these each one so many after the other.

    By their numbers alone whole values were left out, where the number of values of a parameter and
    `every` have a common divisor.

    Examples
    --------
    >>> sorted(most_different(["ax", "ay", "bx", "by", "cx", "cy"], 2))
    [0, 3, 4]
    >>> sorted(most_different("abcdef", 2))
    [0, 2, 4]
    """
    chosen, seen = set(), collections.Counter()
    # What a case adds becomes less as others are chosen, never more: looked at again when its turn
    # comes.
    waiting = [(-len(values), number % every, number) for number, values in enumerate(cases)]
    heapq.heapify(waiting)
    while len(chosen) < -(-len(cases) // every):
        number = waiting[0][-1]
        new = -sum(1.0 / (1 + seen[value]) for value in cases[number])
        if new > waiting[0][0]:
            heapq.heapreplace(waiting, (new, number % every, number))
            continue
        heapq.heappop(waiting)
        chosen.add(number)
        seen.update(cases[number])
    return chosen
