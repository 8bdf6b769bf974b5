"""Who asks whom: where workers are many, the client asks some of them, and these ask the others."""

import math
from collections import Counter

from fastgd.dask.tree import halves

# Up to so many workers are asked by the client itself.
FEW = 16


def teams_of(homes, wanted, n_workers):
    """Who asks for the sums of which groups: {head: [(address, groups there), ...]}.

    A team has the groups below a node of the tree that `folded` adds up, wherever these live, so
    that its head sends one sum.  There are about as many teams as each has members.

    Parameters
    ----------
    homes : dict of int to str
        The worker that each group lives on.
    wanted : set of int
        The groups to ask for.
    n_workers : int

    Examples
    --------
    >>> homes = {0: "a", 1: "b", 2: "a", 3: "b"}
    >>> teams_of(homes, {0, 1, 2, 3}, 4)
    {'a': [('a', [0]), ('b', [1])], 'b': [('a', [2]), ('b', [3])]}
    """
    led: Counter = Counter()
    teams: dict = {}
    for first, last in nodes_of(len(homes), math.isqrt(n_workers)):
        members: dict = {}
        for number in range(first, last):
            if number in wanted:
                members.setdefault(homes[number], []).append(number)
        if members:
            head = min(members, key=lambda one: (led[one], -len(members[one]), one))
            led[head] += 1
            teams.setdefault(head, []).extend(members.items())
    return teams


def nodes_of(count, least):
    """The nodes of the tree of so many groups on the first level that has `least` of them.

    Examples
    --------
    >>> nodes_of(5, 3)
    [(0, 1), (1, 2), (2, 3), (3, 5)]
    """
    nodes = [(0, count)]
    while len(nodes) < min(least, count):
        nodes = [half for node in nodes for half in halves(*node)]
    return nodes
