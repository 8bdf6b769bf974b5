"""Conjugate gradients, one step at a time: the caller decides when to stop."""

import numpy as np


class ConjugateGradients:
    """A p = b by conjugate gradients from p = 0, for a symmetric A that is known by its products.

    With r = b - A p, z = M r for a preconditioner M that is like A^-1, and d = z at first,

        t = r'z / d'A d,    p <- p + t d,    r <- r - t A d,    d <- z + (r'z / r'z before) d

    Parameters
    ----------
    product : callable
        d -> A d, one for each step.
    right : ndarray, (size,)
        b.
    precondition : callable, optional
        r -> M r, with M symmetric and positive semidefinite; None: r itself.
    overwrite_right : bool, default=False
        Whether b may be written over: one array less where it is as long as there are columns.

    Attributes
    ----------
    step, residual : ndarray, (size,)
        p and r, which the next step changes in place.
    height : float
        r'M r, for rules that stop by the relative residual.

    References
    ----------
    Hestenes and Stiefel (1952).  Nocedal and Wright (2006), Numerical Optimization, algorithm 5.3.

    Examples
    --------
    >>> A, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([3.0, 4.0])
    >>> system = ConjugateGradients(lambda d: A @ d, b)
    >>> while system.height > 1e-20 and system.advance():
    ...     pass
    >>> system.step.round(9)
    array([1., 1.])
    """

    def __init__(self, product, right, precondition=None, *, overwrite_right=False):
        self._product, self._precondition = product, precondition
        self.step = np.zeros(right.size)
        self.residual = right if overwrite_right else right.copy()
        self._direction = None
        self._before = 0.0
        self._ended = False
        self._measure()

    def _measure(self):
        r = self.residual
        self._scaled = r if self._precondition is None else self._precondition(r)
        self.height = float(r @ self._scaled)

    def advance(self, flat=0.0):
        """One step, for one product; whether there was one: none along a direction whose
        curvature d'A d is not above `flat` |d|^2, where all stays as it is from then on.
        """
        if self._ended:
            return False
        if self._direction is None or not self._before > 0.0:
            direction = self._scaled.copy()
        else:
            direction = (self.height / self._before) * self._direction
            direction += self._scaled
        # Let go of before there is a product: 10 MB each where there are 1.28 million unknowns.
        self._direction = self._scaled = None
        curved = self._product(direction)
        curvature = float(direction @ curved)
        if not curvature > (flat * float(direction @ direction) if flat > 0.0 else 0.0):
            self._ended = True
            return False
        share = self.height / curvature
        self.residual -= share * curved
        del curved
        self.step += share * direction
        self._direction, self._before = direction, self.height
        self._measure()
        return True
