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

from . import exact, structures

MAX_DENSE = 2e6  # values of X for the ways that form the centred columns
MAX_FOR_NEWTON = 300  # columns
MAX_FOR_PROGRAM = 2e4  # values of X for linear programs
MAX_FOR_OTHERS = 5e5  # values of X, times predictions, for what is no plain elastic net: seconds
EPS = float(np.finfo(float).eps)
NOTHING = 1e-290  # F of counts that are all 0 falls to it as the intercept does
OPTIONS = {"maxiter": 400, "maxfun": 600, "ftol": 0.0, "gtol": 1e-13, "maxcor": 20}


class Centred:
    """F of a problem on centred columns of unit length, in plain NumPy; the unknowns are [u, c], of
    several predictions those of each, one after the other.

    Sparse data too large to be dense are not centred, and columns are then only of unit length.
    """

    def __init__(self, problem):
        X = problem.X
        self.problem, self.weights = problem, problem.weights / problem.weights.sum()
        self.dense = X.shape[0] * X.shape[1] <= MAX_DENSE
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
        self.offset = 0.0 if problem.offset is None else problem.offset
        self.n_predictions, self.n_features = problem.n_predictions, self.lengths.size
        structure = problem.structure
        of_columns = [1.0 if w is None else w for w in structure.get("weights", [1.0] * X.shape[1])]
        self.of_columns = np.array(of_columns)
        self.form = structures.form(structure) if "form" in structure else None
        # The L1 part of each unknown u, and its ends.
        self.price = problem.l1 * self.of_columns / self.lengths
        low, high = structures.ends(structure, X.shape[1])
        self.low, self.high = low * self.lengths, high * self.lengths

    def back(self, v):
        """(coef, intercept), or tables of them, of unknowns."""
        low, high = structures.ends(self.problem.structure, self.n_features)
        coefs, intercepts = [], []
        for one in v.reshape(self.n_predictions, -1):
            coefs.append(np.clip(one[: self.n_features] / self.lengths, low, high))
            here = self.problem.fit_intercept
            intercepts.append(self._moved(one[-1], coefs[-1], -1.0) if here else 0.0)
        return np.array(coefs), np.array(intercepts)

    def forth(self, coef, intercept):
        """The unknowns of a model."""
        found = []
        for w, b in zip(np.atleast_2d(coef), np.ravel(intercept), strict=True):
            found.append(w * self.lengths)
            found += [[self._moved(b, w, 1.0)]] if self.problem.fit_intercept else []
        return np.concatenate(found)

    def _moved(self, intercept, coef, sign):
        """The intercept plus or minus means . coef, rounded once."""
        (high, low), _ = exact.products(self.means.reshape(1, -1), np.tile(coef, 2))
        moved = exact.add(exact.number([intercept]), (sign * high, sign * low))
        return float(moved[0][0] + moved[1][0])

    def predictions(self, v):
        """(n,) of one vector of unknowns [u, c]."""
        z = self.Z @ v[: self.n_features] + self.offset
        return z + v[-1] if self.problem.fit_intercept else z

    def smooth(self, v):
        """Value and gradient of F without its L1 part, or what stands for it."""
        p, table = self.problem, v.reshape(self.n_predictions, -1)
        with np.errstate(all="ignore"):
            scores = [exact.number(self.predictions(one)) for one in table]
            value, derivatives, _ = exact.losses(p, scores)
            value = float(self.weights @ value[0])
        gradients = []
        for one, derivative in zip(table, derivatives, strict=True):
            coef, weighted = one[: self.n_features] / self.lengths, self.weights * derivative
            own = self.of_columns * coef if self.form is None else self.form @ coef
            value += 0.5 * p.l2 * float(coef @ own)
            gradients.append(self.Z.T @ weighted + p.l2 * own / self.lengths)
            gradients += [[weighted.sum()]] if p.fit_intercept else []
        return value, np.concatenate(gradients)

    def curvature(self, v):
        """Matrix of second derivatives of the smooth part, the curvature of each row by
        differences of derivatives.
        """
        p, z = self.problem, self.predictions(v)
        step = 1e-6 * np.maximum(1e-3, np.abs(z - (0.0 if p.classification else p.y)))
        derivatives = [exact.losses(p, [exact.number(z + s * step)])[1][0] for s in (1.0, -1.0)]
        rows = self.weights * np.maximum((derivatives[0] - derivatives[1]) / (2.0 * step), 0.0)
        A = np.column_stack([self.Z, np.ones(z.size)]) if p.fit_intercept else self.Z
        H = A.T @ (rows[:, None] * A)
        H[np.arange(self.lengths.size), np.arange(self.lengths.size)] += p.l2 / self.lengths**2
        return H


def candidates(problem, starts):
    """(name, coef, intercept) of each way that applies; `starts` are the lowest models so far."""
    if not sp.issparse(problem.X) and problem.X.size > MAX_DENSE:
        return
    plain = problem.n_predictions == 1 and not problem.structure
    if not plain and np.prod(problem.X.shape) * problem.n_predictions > MAX_FOR_OTHERS:
        return
    F = Centred(problem)
    for name, way in _ways(F).items():
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                for v in way(F, [F.forth(*start) for start in starts]):
                    if np.isfinite(v).all():
                        yield name, *F.back(v)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError, MemoryError):
            continue  # one way less


def _ways(F):
    """Functions by name: all but L-BFGS-B know the elastic net of one prediction alone, and it
    finds no corners of lengths.
    """
    structure = F.problem.structure
    if "groups" in structure or "rows" in structure:
        return {"L-BFGS-B": _off_corners}
    plain = F.dense and not structure and F.n_predictions == 1
    return WAYS if plain else {"L-BFGS-B": _lbfgs}


def _off_corners(F, starts):
    """From the lowest models, with the lengths at 0 left there: F is smooth around the others."""
    p, K = F.problem, F.n_predictions
    if not p.loss.smooth:
        return
    groups = p.structure.get("groups", [[j] for j in range(F.n_features)])
    share = p.structure["share"] if "groups" in p.structure else None
    for v in starts:
        width = v.size // K
        free = v != 0.0
        free.reshape(K, width)[:, F.n_features :] = True

        def value(x, v=v, free=free, width=width):
            full = np.zeros_like(v)
            full[free] = x
            found, derivative = F.smooth(full)
            coef = full.reshape(K, width)[:, : F.n_features] / F.lengths
            if share is None:
                lengths, own = np.sqrt((coef**2).sum(axis=0)), np.zeros_like(coef)
                np.divide(p.l1 * coef, lengths, out=own, where=lengths > 0.0)
                found += p.l1 * lengths.sum()
            else:
                found -= 0.5 * p.l2 * (coef**2).sum()
                own = p.alpha * share * np.sign(coef) - p.l2 * coef
                found += p.alpha * share * np.abs(coef).sum()
                for group in groups:
                    part, size = coef[:, group], p.alpha * (1.0 - share) * np.sqrt(len(group))
                    length = np.sqrt((part**2).sum())
                    found += size * length
                    own[:, group] += size * part / length if length > 0.0 else 0.0
            derivative.reshape(K, width)[:, : F.n_features] += own / F.lengths
            return found, derivative[free]

        x = scipy.optimize.minimize(value, v[free], jac=True, method="L-BFGS-B", options=OPTIONS).x
        full = np.zeros_like(v)
        full[free] = x
        yield full


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
        or F.Z.size > MAX_FOR_PROGRAM
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
    p, K = F.problem, F.n_predictions
    if not p.loss.smooth:
        return
    free = np.full(int(p.fit_intercept), np.inf)
    low, high = (
        np.tile(np.append(ends, sign * free), K) for ends, sign in ((F.low, -1.0), (F.high, 1.0))
    )
    price = np.tile(np.append(F.price, 0.0 * np.sign(free)), K)
    for v in [np.zeros(low.size), *starts[:1]]:
        if not p.l1:
            bounds = list(zip(low, high, strict=True))
            yield scipy.optimize.minimize(
                F.smooth, v, jac=True, method="L-BFGS-B", bounds=bounds, options=OPTIONS
            ).x
            continue

        def split(u):
            value, g = F.smooth(u[: low.size] - u[low.size :])
            return value + price @ u[: low.size] + price @ u[low.size :], np.concatenate(
                [g + price, price - g]
            )

        start = np.concatenate([np.maximum(v, 0.0), np.maximum(-v, 0.0)])
        ends = np.concatenate([np.maximum(high, 0.0), np.maximum(-low, 0.0)])
        bounds = [(0.0, end) for end in ends]
        u = scipy.optimize.minimize(
            split, start, jac=True, method="L-BFGS-B", bounds=bounds, options=OPTIONS
        ).x
        yield u[: low.size] - u[low.size :]


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
    if not 0 < free.sum() <= MAX_FOR_NEWTON:
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
    """F of the best model without columns (of b = 0 where there is no intercept): shares of
    classes, or for each target a bisection on its derivative.
    """
    p, constant, K = problem, Constant(problem), problem.n_predictions
    nothing = np.zeros((K, 0))
    if not p.fit_intercept:
        return exact.value(constant, nothing, np.zeros(K))
    if p.loss.name == "multinomial":
        shares = np.bincount(p.y.astype(int), p.weights, minlength=K) / p.weights.sum()
        return exact.value(constant, nothing, np.log(shares))
    loss, weights = exact.LOSSES[p.loss.name], p.weights / p.weights.sum()
    offset = np.zeros(len(p.y)) if p.offset is None else p.offset
    ends = []
    for y in p.y.reshape(offset.size, -1).T:

        def derivative(b, y=y):
            with np.errstate(all="ignore"):
                return float(weights @ loss(p.loss, y, exact.number(offset + b))[1])

        reach = 1.0 + float(np.abs(y).max() + np.abs(offset).max())
        ends.append(_root(derivative, -reach, reach))
    return min(exact.value(constant, nothing, end) for end in np.transpose(ends))


def is_rounding(problem, of_constant):
    """Whether a constant fits: relative to a model that is exact to rounding nothing is told."""
    rounded = 64.0 * EPS * (of_constant.slack + float(np.abs(problem.y).max()))
    return of_constant.high <= rounded + NOTHING


def _root(derivative, low, high):
    """(low, high) between which a growing function is 0."""
    while derivative(low) > 0.0 and low > -1e12:
        low *= 2.0
    while derivative(high) < 0.0 and high < 1e12:
        high *= 2.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if derivative(middle) > 0.0 else (middle, high)
    return low, high


class Constant:
    """The problem without its columns."""

    def __init__(self, problem):
        self.X = np.zeros((len(problem.y), 0))
        self.n_predictions = problem.n_predictions
        self.loss, self.y, self.offset, self.weights = (
            problem.loss,
            problem.y,
            problem.offset,
            problem.weights,
        )
        self.alpha = self.l1_ratio = 0.0
        self.structure: dict = {}
