"""Epochs of coordinate descent that go over what moves: coefficients that are not 0, and most often
those that change most.
"""

# Columns that are 0 are looked at again once the others are so much closer.
CLOSER = 0.1
# Columns whose change was at least this share of the largest, if they hold no more than this share
# of the values, are gone over so often once more: in text a few frequent columns answer to all
# others, and theirs is the violation that a certificate is about.
HOT = 0.1
HOT_SHARE = 0.1
HOT_EPOCHS = 5


def hot_epoch(once, active, changes, lengths):
    """One epoch over the `active`, and some more over those of them that changed most.

    Parameters
    ----------
    once : callable
        Function of the active coordinates that goes over them once: the largest change of a
        derivative, and what the model fell by.
    active : ndarray of int
    changes : ndarray
        What `once` changed derivatives by, for each coordinate.
    lengths : ndarray
        How many values the column of each has.

    Returns
    -------
    largest, fell : float
        As of `once`.
    """
    largest, fell = once(active)
    hot = changes[active] > HOT * largest
    if lengths[active[hot]].sum() > HOT_SHARE * lengths[active].sum():
        return largest, fell
    rest = float(changes[active[~hot]].max(initial=0.0))
    for _ in range(HOT_EPOCHS):
        largest, more = once(active[hot])
        fell += more
        if largest <= rest:
            break
    return max(largest, rest), fell


def descend(epoch, every, moving, goal, most, settled=None):
    """Epochs over `every` coordinate, then over those that are `moving`, in turn, until none
    changes a derivative by more than `goal`, or for `most` epochs.

    Parameters
    ----------
    epoch : callable
        Function of coordinates: (the largest change of a derivative, what the model fell by).
    every : ndarray of int
    moving : callable
        The coordinates that are not 0, or free.
    goal : float
    most : int
    settled : callable, optional
        Called with the moving coordinates; True where it has solved for them itself, so that the
        next epoch is over all.
    """
    active, inner_goal = every, goal
    for _ in range(most):
        largest = epoch(active)[0]
        if active is every:
            if largest <= goal:
                break
            inner_goal = max(goal, CLOSER * largest)
        elif largest <= inner_goal:
            active = every
            continue
        active = moving()
        if settled is not None and settled(active):
            active = every
