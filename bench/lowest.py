"""The lowest F that can be found for a hard problem: an upper bound of F*, from ways that share
nothing with a fit.

All but the tight runs of the package work on columns that are centred and of unit length, in NumPy
and SciPy; what they find is brought back to the columns as given, as floats, and F there is what
counts.
"""

import warnings

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp

from . import exact

MOST_DENSE = 2e6  # values of X for the ways that form the centred columns
MOST_FOR_NEWTON = 300  # columns
MOST_FOR_PROGRAM = 2e4  # values of X for linear programs


class Centred:
    """F of a problem on centred columns of unit length, in plain NumPy; the unknowns are [u, c].

    Sparse data too large to be dense are not centred, and columns are then only of unit length.
    """

    def __init__(self, problem):
        X = problem.X
        self.problem, self.weights = problem, problem.weights / problem.weights.sum()
        self.dense = X.shape[0] * X.shape[1] <= MOST_DENSE
        # Means are the first row and what is left, for the sum of the two need not be a float.
        self.means = np.zeros((2, X.shape[1]))
        if self.dense:
            X = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
            if problem.fit_intercept:
                shifted = X - X[:1]  # exact for columns far from zero
                self.means = np.array([X[0], self.weights @ shifted])
                X = shifted - self.means[1]
            lengths = np.sqrt(self.weights @ X**2)
        else:
            X = sp.csr_array(X, dtype=np.float64)
            lengths = np.sqrt((X * X).T @ self.weights)
        self.lengths = np.where(lengths > 0.0, lengths, 1.0)
        self.Z = X / self.lengths if self.dense else X @ sp.diags_array(1.0 / self.lengths)
        self.loss = exact.LOSSES[problem.loss.name]
        self.offset = 0.0 if problem.offset is None else problem.offset

    def back(self, v):
        """(coef, intercept) of unknowns [u, c]."""
        coef = v[: self.lengths.size] / self.lengths
        return coef, self._moved(v[-1], coef, -1.0) if self.problem.fit_intercept else 0.0

    def forth(self, coef, intercept):
        u = coef * self.lengths
        return np.append(u, self._moved(intercept, coef, 1.0)) if self.problem.fit_intercept else u

    def _moved(self, intercept, coef, sign):
        """The intercept plus or minus means . coef, rounded once."""
        (high, low), _ = exact.products(self.means.reshape(1, -1), np.tile(coef, 2))
        moved = exact.add(exact.number([intercept]), (sign * high, sign * low))
        return float(moved[0][0] + moved[1][0])

    def predictions(self, v):
        z = self.Z @ v[: self.lengths.size] + self.offset
        return z + v[-1] if self.problem.fit_intercept else z

    def smooth(self, v):
        """Value and gradient of F without its L1 part."""
        p = self.problem
        with np.errstate(all="ignore"):
            z = self.predictions(v)
            value, slope, _ = self.loss(p.loss, p.y, exact.number(z))
            slope = self.weights * slope
            coef = v[: self.lengths.size] / self.lengths
            total = float(self.weights @ value[0]) + 0.5 * p.l2 * float(coef @ coef)
        gradient = self.Z.T @ slope + p.l2 * coef / self.lengths
        return total, np.append(gradient, slope.sum()) if p.fit_intercept else gradient

    def curvature(self, v):
        """Matrix of second derivatives of the smooth part, the curvature of each row by
        differences of slopes.
        """
        p, z = self.problem, self.predictions(v)
        step = 1e-6 * np.maximum(1e-3, np.abs(z - (0.0 if p.classification else p.y)))
        slopes = [self.loss(p.loss, p.y, exact.number(z + sign * step))[1] for sign in (1.0, -1.0)]
        rows = self.weights * np.maximum((slopes[0] - slopes[1]) / (2.0 * step), 0.0)
        A = np.column_stack([self.Z, np.ones(z.size)]) if p.fit_intercept else self.Z
        H = A.T @ (rows[:, None] * A)
        H[np.arange(self.lengths.size), np.arange(self.lengths.size)] += p.l2 / self.lengths**2
        return H


def candidates(problem, starts):
    """(name, coef, intercept) of each way that applies; `starts` are the lowest models so far."""
    if problem.structure or (not sp.issparse(problem.X) and problem.X.size > MOST_DENSE):
        return  # these ways know the elastic net alone
    F = Centred(problem)
    for name, way in WAYS.items() if F.dense else [("L-BFGS-B", _lbfgs)]:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                for v in way(F, [F.forth(*start) for start in starts]):
                    if np.isfinite(v).all():
                        yield name, *F.back(v)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError, MemoryError):
            continue  # one way less


def _least_squares(F, starts):
    p = F.problem
    if p.loss.name != "squared_error" or p.l1:
        return
    root = np.sqrt(F.weights)
    left = p.y - F.offset
    mean = float(F.weights @ left) if p.fit_intercept else 0.0
    A, b = root[:, None] * F.Z, root * (left - mean)
    if p.l2:
        A = np.vstack([A, np.diag(np.sqrt(p.l2) / F.lengths)]) if A.shape[1] <= 2000 else A
        b = np.append(b, np.zeros(A.shape[0] - b.size))
    if A.shape[1] > 2000:
        return
    for cut in (None, 1e-12):
        u = scipy.linalg.lstsq(A, b, cond=cut, lapack_driver="gelsd", check_finite=False)[0]
        for _ in range(3):  # what rounding left is solved for again
            v = np.append(u, mean) if p.fit_intercept else u
            yield v
            u = (
                u
                + scipy.linalg.lstsq(
                    A, b - A @ u, cond=cut, lapack_driver="gelsd", check_finite=False
                )[0]
            )


def _program(F, starts):
    """Linear program of a loss made of lines, where there is no L2 part."""
    p = F.problem
    name = p.loss.name
    if (
        p.l2
        or name not in ("hinge", "quantile", "epsilon_insensitive")
        or F.Z.size > MOST_FOR_PROGRAM
    ):
        return
    n, d = F.Z.shape
    A = np.column_stack([F.Z, np.ones(n)]) if p.fit_intercept else F.Z
    m = A.shape[1]
    left = p.y - F.offset
    # Unknowns: v = plus - minus of the columns (and the intercept), then the slack of each row on
    # either side.
    if name == "hinge":
        rows = -p.y[:, None] * A
        right = -(1.0 - p.y * F.offset)
        slack = -np.eye(n)
        cost = F.weights
    elif name == "quantile":
        rows, right = np.vstack([A, -A]), np.concatenate([left, -left])
        slack = -np.eye(2 * n)
        cost = np.concatenate([(1.0 - p.loss.quantile) * F.weights, p.loss.quantile * F.weights])
    else:
        rows = np.vstack([A, -A])
        right = np.concatenate([left, -left]) + p.loss.epsilon
        slack, cost = -np.vstack([np.eye(n), np.eye(n)]), F.weights
    price = np.append(p.l1 / F.lengths, np.zeros(m - d))
    c = (
        np.concatenate([price, price, cost / cost.max()])
        if not p.l1
        else np.concatenate([price, price, cost])
    )
    found = scipy.optimize.linprog(
        c,
        A_ub=sp.csr_array(np.hstack([rows, -rows, slack])),
        b_ub=right,
        bounds=(0, None),
        method="highs",
        options={"time_limit": 2.0},
    )
    if found.x is not None:
        yield found.x[:m] - found.x[m : 2 * m]


def _lbfgs(F, starts):
    p, d = F.problem, F.lengths.size
    if not p.loss.smooth:
        return
    for v in [np.zeros(d + p.fit_intercept), *starts[:1]]:
        options = {"maxiter": 400, "maxfun": 600, "ftol": 0.0, "gtol": 1e-13, "maxcor": 20}
        if not p.l1:
            yield scipy.optimize.minimize(
                F.smooth, v, jac=True, method="L-BFGS-B", options=options
            ).x
            continue
        price = p.l1 / F.lengths

        def split(u, price=price):
            value, g = F.smooth(np.append(u[:d] - u[d : 2 * d], u[2 * d :]))
            return value + price @ (u[:d] + u[d : 2 * d]), np.concatenate(
                [g[:d] + price, price - g[:d], g[d:]]
            )

        start = np.concatenate([np.maximum(v[:d], 0.0), np.maximum(-v[:d], 0.0), v[d:]])
        bounds = [(0, None)] * (2 * d) + [(None, None)] * (v.size - d)
        u = scipy.optimize.minimize(
            split, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x
        yield np.append(u[:d] - u[d : 2 * d], u[2 * d :])


def _newton(F, starts):
    """Newton's method from the lowest model so far, on the columns that are not 0 where there is
    an L1 part.
    """
    p, d = F.problem, F.lengths.size
    if not p.loss.smooth or not starts:
        return
    v = starts[0].copy()
    free = (
        np.append(v[:d] != 0.0, np.ones(v.size - d, dtype=bool))
        if p.l1
        else np.ones(v.size, dtype=bool)
    )
    if not 0 < free.sum() <= MOST_FOR_NEWTON:
        return
    linear = np.append(p.l1 * np.sign(v[:d]) / F.lengths, np.zeros(v.size - d))
    value, gradient = F.smooth(v)
    value += linear @ v
    for _ in range(30):
        H = F.curvature(v)[np.ix_(free, free)]
        scale = 1.0 / np.sqrt(np.maximum(np.diag(H), 1e-300))
        g = (gradient + linear)[free]
        step = np.zeros_like(v)
        step[free] = scale * np.linalg.lstsq(scale[:, None] * H * scale, scale * g, rcond=1e-14)[0]
        length = 1.0
        while length > 1e-6:
            new = v - length * step
            if p.l1:
                new[:d][new[:d] * v[:d] < 0.0] = 0.0
            new_value, new_gradient = F.smooth(new)
            new_value += linear @ new
            if new_value < value:
                break
            length *= 0.25
        if not new_value < value:
            # Rounding decides by now: the full step is offered as well.
            yield v - step
            break
        v, value, gradient = new, new_value, new_gradient
    yield v


WAYS = {"least squares": _least_squares, "program": _program, "L-BFGS-B": _lbfgs, "Newton": _newton}


def best_constant(problem):
    """F of the best model without columns (of b = 0 where there is no intercept), from a
    bisection on its slope.
    """
    p, constant = problem, Constant(problem)
    if not p.fit_intercept:
        return exact.value(constant, np.zeros(0), 0.0)
    loss, weights = exact.LOSSES[p.loss.name], p.weights / p.weights.sum()
    offset = np.zeros(p.y.size) if p.offset is None else p.offset

    def slope(b):
        with np.errstate(all="ignore"):
            return float(weights @ loss(p.loss, p.y, exact.number(offset + b))[1])

    reach = 1.0 + float(np.abs(p.y).max() + np.abs(offset).max())
    low, high = -reach, reach
    while slope(low) > 0.0 and low > -1e12:
        low *= 2.0
    while slope(high) < 0.0 and high < 1e12:
        high *= 2.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if slope(middle) > 0.0 else (middle, high)
    return min(exact.value(constant, np.zeros(0), b) for b in (low, high))


class Constant:
    """The problem without its columns."""

    def __init__(self, problem):
        self.X = np.zeros((problem.y.size, 0))
        self.loss, self.y, self.offset, self.weights = (
            problem.loss,
            problem.y,
            problem.offset,
            problem.weights,
        )
        self.alpha = self.l1_ratio = 0.0
        self.structure: dict = {}
