"""Sums over groups of blocks in an order that depends on their number alone.

The groups are the leaves of a binary tree.  Whoever holds all leaves below a node adds them up, so
that a worker sends a few sums, not one for each of its groups, and bits do not depend on who held
what.
"""

from fastgd.data.block_rows import added_in_order


def halves(first, last):
    """A node's children, or itself where it is a leaf.

    Examples
    --------
    >>> halves(0, 5), halves(4, 5)
    ([(0, 2), (2, 5)], [(4, 5)])
    """
    if last - first == 1:
        return [(first, last)]
    middle = (first + last) // 2
    return [(first, middle), (middle, last)]


def folded(found, count):
    """Sums of neighbours in place of the neighbours, wherever both are there.

    Parameters
    ----------
    found : dict of (int, int) to sum or None
        By first group and one past the last; None where groups have no rows.
    count : int
        Of all groups.

    Examples
    --------
    >>> [float(one) for one in folded({(0, 1): 1.0, (1, 2): 2.0, (3, 4): 8.0}, 4).values()]
    [8.0, 3.0]
    """
    left = dict(found)

    def fold(first, last):
        if (first, last) in left or last - first == 1:
            return (first, last) in left
        one, other = halves(first, last)
        whole = fold(*one) & fold(*other)
        if whole:
            pair = [left.pop(one), left.pop(other)]
            there = [one for one in pair if one is not None]
            left[first, last] = _sum(there)
        return whole

    fold(0, count)
    return left


def _sum(there):
    if len(there) < 2:
        return there[0] if there else None
    found = added_in_order(there)
    return found[()] if getattr(found, "ndim", 1) == 0 else found
