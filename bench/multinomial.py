"""The multinomial problem: one score for each of K classes, the objective in plain NumPy, and its
optimum.

    F(W, b) = mean of log(sum_k exp(z_ik)) - z_iy + alpha / 2 |W|^2,   z = X W + b

The unknowns are the (d, K) table W and b in one array, row by row.  The optimum is Newton's, and
has to be found by L-BFGS-B on its own, too.
"""

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from .problems import MULTINOMIAL, PlainObjective


def objective_of(problem):
    """F of any problem."""
    return (PlainMultinomial if problem.loss == MULTINOMIAL else PlainObjective)(problem)


class PlainMultinomial(PlainObjective):
    """F of K classes in NumPy and SciPy, with the methods of `PlainObjective`."""

    def __init__(self, problem):
        self.problem, self.passes, self._at = problem, 0, None
        self.classes = int(problem.y.max()) + 1
        self.truth = problem.y.astype(np.int64)

    def start(self):
        return np.zeros((self.problem.shape[1] + self.problem.fit_intercept) * self.classes)

    def split(self, v):
        table = v.reshape(-1, self.classes)
        d = self.problem.shape[1]
        return table[:d], table[d] if self.problem.fit_intercept else np.zeros(self.classes)

    def joined(self, answer):
        table = np.reshape(answer.coef, (self.classes, -1)).T
        if self.problem.fit_intercept:
            table = np.vstack([table, np.reshape(answer.intercept, (1, -1))])
        return np.array(table, dtype=np.float64).ravel()

    def value_and_gradient(self, v):
        p = self.problem
        self._check_deadline()
        coef, intercept = self.split(v)
        z = p.X @ coef + intercept
        rows = np.arange(p.y.size)
        z -= z.max(axis=1, keepdims=True)
        own = z[rows, self.truth].copy()
        shares = np.exp(z, out=z)
        total = shares.sum(axis=1)
        value = (np.log(total) - own).mean()
        shares /= total[:, None]
        self._at = v.copy(), shares
        derivatives = shares.copy()
        derivatives[rows, self.truth] -= 1.0
        derivatives /= p.y.size
        parts = [p.X.T @ derivatives + p.l2 * coef]
        if p.fit_intercept:
            parts.append(derivatives.sum(axis=0)[None])
        self.passes += 1
        return value + 0.5 * p.l2 * np.sum(coef**2), np.vstack(parts).ravel()

    def hessian_product(self, v, direction, curvature=None):
        p = self.problem
        self._check_deadline()
        (coef, shift), shares = self.split(direction), self._shares(v)
        change = p.X @ coef + shift
        change = shares * (change - (shares * change).sum(axis=1, keepdims=True)) / p.y.size
        parts = [p.X.T @ change + p.l2 * coef]
        if p.fit_intercept:
            parts.append(change.sum(axis=0)[None])
        self.passes += 1
        return np.vstack(parts).ravel()

    def hessian(self, v, curvature=None):
        p, K, shares = self.problem, self.classes, self._shares(v)
        X = p.X
        if p.fit_intercept:
            ones = np.ones((p.y.size, 1))
            X = sp.csr_array(sp.hstack([X, ones])) if sp.issparse(X) else np.hstack([X, ones])
        H = np.empty((X.shape[1], K, X.shape[1], K))
        for k in range(K):
            for j in range(k + 1):
                weights = shares[:, k] * ((k == j) - shares[:, j]) / p.y.size
                weighted = sp.diags_array(weights) @ X if sp.issparse(X) else weights[:, None] * X
                block = X.T @ weighted
                H[:, k, :, j] = block.toarray() if sp.issparse(block) else block
                H[:, j, :, k] = H[:, k, :, j]
        H = H.reshape(v.size, v.size)
        coefs = np.arange(p.shape[1] * K)
        H[coefs, coefs] += p.l2
        return H

    def _shares(self, v):
        """Of the classes for each row at `v`, which the last gradient left behind for the products
        that follow.
        """
        if self._at is None or not np.array_equal(self._at[0], v):
            self.value_and_gradient(v)
        return self._at[1]


def best_constant(F):
    """Unknowns of the best model without columns, and F there."""
    p, start = F.problem, F.start()
    if not p.fit_intercept:
        return start, float(F.value(start))
    shares = np.bincount(F.truth, minlength=F.classes) / p.y.size
    start[-F.classes :] = np.log(shares) - np.log(shares).mean()
    return start, float(F.value(start))


def proved(F, v):
    """F at `v` with the best intercepts, and the duality gap there: |gradient in W|^2 / (2 l2), for
    an optimum with an L2 norm alone.
    """
    p, d = F.problem, F.problem.shape[1]
    z = p.X @ F.split(v)[0]
    v = v.copy()
    for _ in range(50 if p.fit_intercept else 0):
        odds = z + F.split(v)[1]
        odds = np.exp(odds - odds.max(axis=1, keepdims=True))
        shares = odds / odds.sum(axis=1, keepdims=True)
        sums = shares.mean(axis=0) - np.bincount(F.truth, minlength=F.classes) / p.y.size
        H = np.diag(shares.mean(axis=0)) - shares.T @ shares / p.y.size
        v[d * F.classes :] -= np.linalg.lstsq(H, sums)[0]
        if np.abs(sums).max() < 1e-14:
            break
    value, gradient = F.value_and_gradient(v)
    own = gradient[: d * F.classes]
    return float(value), float(own @ own) / (2.0 * p.l2)


def by_itself(F, start):
    """Unknowns by L-BFGS-B from the constant model, columns divided by their root mean squares."""
    X = F.problem.X
    squares = (X.multiply(X) if sp.issparse(X) else X**2).mean(axis=0)
    scale = 1.0 / np.sqrt(np.maximum(np.asarray(squares).ravel(), 1e-300))
    scale = np.repeat(np.append(scale, [1.0] * F.problem.fit_intercept), F.classes)

    def value_and_gradient(u):
        value, gradient = F.value_and_gradient(start + scale * u)
        return value, scale * gradient

    options = {"maxiter": 10_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 0.0, "maxcor": 50}
    found = scipy.optimize.minimize(
        value_and_gradient, 0.0 * start, jac=True, method="L-BFGS-B", options=options
    )
    return start + scale * found.x
