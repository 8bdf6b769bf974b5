"""How far to go along a direction: until F has fallen by a share of what its derivative promises.

With s = g'p < 0 the derivative of F along p, a step t p is long enough and not too long where

    F(u + t p) <= F(u) + c t s    and    g(u + t p)'p >= 0.9 s

The first (Armijo, 1966) holds for all short steps: halving finds one.  The second (weak Wolfe)
makes s'y > 0 for what quasi-Newton methods remember of the step.
"""

import numpy as np

# Nocedal and Wright (2006), section 3.1.
SUFFICIENT = 1e-4
CURVED = 0.9
# The same of what a quadratic model with the kinks of a penalty promises: Lee, Sun and Saunders
# (2014, equation 2.20) take any share below a half.
OF_MODEL = 0.1
TRIALS = 60


def armijo(value, trial, derivative, share=1.0, slack=0.0, sufficient=SUFFICIENT):
    """Whether F has fallen enough; NaN has not.

    Parameters
    ----------
    value, trial : float
        F before and after.
    derivative : float
        Of F along the whole step, negative; or what else it promises to fall by.
    share : float
        Of the step that was taken.
    slack : float
        What F is wrong by, for rounding: less of a rise is none.
    sufficient : float
        The share of the promise that is enough.

    Returns
    -------
    bool

    References
    ----------
    Armijo (1966).  Nocedal and Wright (2006), Numerical Optimization, equation 3.6a.

    Examples
    --------
    >>> armijo(1.0, 0.9, -0.2), armijo(1.0, 1.0, -0.2), armijo(1.0, 1.0, -0.2, slack=1e-4)
    (True, False, True)
    """
    return bool(trial <= value + sufficient * share * derivative + slack)


def halvings(trials=TRIALS, first=1.0, start=None, direction=None):
    """Shares of a step to try: the first, half of it, ...

    Parameters
    ----------
    trials : int
    first : float
    start, direction : ndarray, optional
        The shares end where `start` + share * `direction` is `start` for rounding; the first is
        tried all the same.

    Yields
    ------
    float

    Examples
    --------
    >>> list(halvings(3))
    [1.0, 0.5, 0.25]
    >>> len(list(halvings(start=np.ones(1), direction=np.ones(1))))
    53
    """
    share = first
    for _ in range(trials):
        yield share
        share *= 0.5
        if start is not None and not moves(start, share * direction):
            return


def moves(start, step):
    """Whether a step is long enough to be another point."""
    return bool((start + step != start).any())


def weak_wolfe(look, value, derivative, share, start, direction, slack=0.0, trials=40):
    """A step that meets both conditions or, failing that, the lowest that meets the first.

    Found by doubling and halving, which needs neither convexity nor a curvature that changes
    slowly.

    Parameters
    ----------
    look : callable
        share -> (F, derivative, anything): after this share of the step.
    value, derivative : float
        Before it.
    share : float
        Tried first.
    start, direction : ndarray
        The search ends where a step no longer moves `start`.
    slack : float
        What F is wrong by, for rounding: within it the derivative tells whether a step went too
        far.
    trials : int

    Returns
    -------
    (float, object) or None
        The share and what else `look` said there; None where no step lowers F.

    References
    ----------
    Lewis and Overton (2013), Nonsmooth optimization via quasi-Newton methods, algorithm 2.6.

    Examples
    --------
    >>> def look(share):
    ...     return (share - 5.0) ** 2, 2.0 * (share - 5.0), "here"
    >>> weak_wolfe(look, 25.0, -10.0, 0.125, np.zeros(1), np.ones(1))
    (0.5, 'here')
    """
    low = 0.0
    high = np.inf
    best = None
    least = np.inf
    for _ in range(trials):
        reached, steepness, found = look(share)
        close = abs(reached - value) <= slack and abs(steepness) <= abs(derivative)
        if close or armijo(value, reached, derivative, share):
            if best is None or reached <= least:
                best, least = (share, found), reached
            if close or steepness >= CURVED * derivative:
                return share, found
            low = share
        else:
            high = share
        if best is not None and high < np.inf and high - low <= 0.1 * high:
            break
        share = 2.0 * share if high == np.inf else 0.5 * (low + high)
        if not moves(start, share * direction):
            break
    return best
