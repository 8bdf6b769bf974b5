"""The optimum of a problem, to about 1e-12, by slow and sure means, and with a proof of how far off it can be.

Without an L1 norm: Newton with a line search, the steps by a dense solve for few features and by conjugate gradients
for many. With one: a working set of columns, on which L-BFGS-B (w = p - m, both nonnegative) finds the signs and Newton
the coefficients. A loss with a corner: Newton on the loss with its corner rounded less and less. The proofs are
|gradient|^2 / (2 alpha), and Fenchel's gap for the log loss with an L1 norm.
"""

import json
from dataclasses import replace

import numpy as np
import scipy.optimize
import scipy.sparse as sp
import scipy.sparse.linalg

from .problems import CORNERED, PlainObjective, rounded

MOST_FOR_NEWTON = 2000  # beyond so many features the Hessian is not formed
CACHED = "optimum", "constant", "reference"


def solve(problem, cache=None):
    """Fill in `constant`, `optimum` and `reference`; from the JSON file `cache` where they are there."""
    known = json.loads(cache.read_text()) if cache is not None and cache.is_file() else {}
    key = "{data} {loss} {alpha:.12g} {l1_ratio} {fit_intercept} {n_samples} {n_features} {stored}".format(
        **problem.describe()
    )
    if key not in known:
        _solve(problem)
        known[key] = {name: getattr(problem, name) for name in CACHED}
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(known, indent=1))
    for name in CACHED:
        setattr(problem, name, known[key][name])


def _solve(problem):
    F = PlainObjective(problem)
    of_constant = scipy.optimize.minimize_scalar(lambda b: F.loss(problem.y, np.full(problem.y.size, b))[0].mean())
    problem.constant = float(of_constant.fun if problem.fit_intercept else F.value(F.start()))
    if problem.loss in CORNERED:
        problem.optimum, gap = _cornered(problem)
        proved = problem.suboptimality(problem.optimum + gap)
        problem.reference = f"Newton on a corner rounded less and less, proved to {proved:.0e}"
        return
    if problem.l1 > 0.0:
        v, problem.reference = _sparse(problem), "working sets of L-BFGS-B and Newton"
    else:
        v, problem.reference = newton(F, F.start()), "Newton"
    problem.optimum = float(F.value(v))
    gap = proof(problem, v)
    if gap is not None:
        problem.reference += f", proved to {problem.suboptimality(problem.optimum + gap):.0e}"


def _cornered(problem):
    """F at the optimum and the proof; what is rounded is below F, and so is its optimum."""
    if problem.l1 or not problem.alpha:
        raise SystemExit(f"the reference for {problem.loss} is for an L2 penalty alone, with alpha above 0")
    F, G = PlainObjective(problem), PlainObjective(problem)
    v, best, lower = F.start(), np.inf, 0.0
    widest = 2.0 * max(F.loss(problem.y, np.zeros(problem.y.size))[0].max(), 1.0)  # all rows are in it
    for width in np.geomspace(widest, 1e-9, 45):
        G.loss, G.curvature = rounded(problem.loss, width)
        v = newton(G, v)
        value, gradient = G.value_and_gradient(v)
        best, lower = min(best, F.value(v)), max(lower, value - gradient @ gradient / (2.0 * problem.alpha))
    return best, best - lower


def newton(F, v, linear=0.0, most=200):
    """Minimum of F plus a linear term by Newton's method."""

    def with_linear(v):
        value, gradient = F.value_and_gradient(v)
        return value + np.sum(linear * v), gradient + linear

    value, gradient = with_linear(v)
    for _ in range(most):
        step = _dense_step(F, v, gradient) if v.size <= MOST_FOR_NEWTON else _iterative_step(F, v, gradient)
        if gradient @ step <= 1e-15 * abs(value):
            return v - step if with_linear(v - step)[0] <= value else v
        length = 1.0
        while length > 1e-8:
            new_value, new_gradient = with_linear(v - length * step)
            if new_value <= value - 1e-4 * length * (gradient @ step):
                break
            length *= 0.5
        if not new_value < value:
            return v
        v, value, gradient = v - length * step, new_value, new_gradient
    return v


def _dense_step(F, v, gradient):
    H = F.hessian(v)
    # Columns of very different scales: to unit diagonal first.
    scale = 1.0 / np.sqrt(np.maximum(H.diagonal(), 1e-300))
    return scale * np.linalg.lstsq(scale[:, None] * H * scale, scale * gradient)[0]


def _iterative_step(F, v, gradient):
    H = scipy.sparse.linalg.LinearOperator((v.size, v.size), matvec=lambda p: F.hessian_product(v, p))
    accuracy = min(0.1, np.sqrt(np.linalg.norm(gradient)))
    return scipy.sparse.linalg.cg(H, gradient, rtol=accuracy, maxiter=2000)[0]


def _sparse(problem, most=50):
    """Coefficients (and intercept) of a problem with an L1 norm."""
    F, d = PlainObjective(problem), problem.shape[1]
    v, tight, columns = F.start(), 0.7, sp.csc_array(problem.X) if sp.issparse(problem.X) else problem.X
    for _ in range(most):
        _, gradient = F.value_and_gradient(v)
        chosen = np.flatnonzero((v[:d] != 0.0) | (np.abs(gradient[:d]) >= tight * problem.l1))
        part = replace(problem, X=sp.csr_array(columns[:, chosen]) if sp.issparse(columns) else columns[:, chosen])
        of_part = np.append(chosen, np.arange(d, v.size))  # with the intercept
        new = np.zeros_like(v)
        new[of_part] = _on_working_set(PlainObjective(part), v[of_part])
        if F.value(new) >= F.value(v) and tight > 0.9:
            break
        v, tight = new, 1.0 - 0.1 * (1.0 - tight)
    return v


def _on_working_set(F, v):
    l1, d = F.problem.l1, F.problem.shape[1]

    def joined(u):
        return np.append(u[:d] - u[d : 2 * d], u[2 * d :])

    def split(u):
        value, gradient = F.value_and_gradient(joined(u))
        return value + l1 * u[: 2 * d].sum(), np.concatenate([gradient[:d] + l1, l1 - gradient[:d], gradient[d:]])

    bounds = [(0, None)] * 2 * d + [(None, None)] * (v.size - d)
    for rounds in (200, 1000, 5000):
        options = {"maxiter": rounds, "maxfun": 2 * rounds, "ftol": 0.0, "gtol": 1e-3 * l1, "maxcor": 30}
        start = np.concatenate([np.maximum(v[:d], 0.0), np.maximum(-v[:d], 0.0), v[d:]])
        v = joined(scipy.optimize.minimize(split, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)
        for _ in range(20):  # Newton for the signs there are; a coefficient that crosses zero stays there
            support = np.flatnonzero(v[:d])
            part = F.problem.X[:, support]
            G = PlainObjective(replace(F.problem, X=sp.csr_array(part) if sp.issparse(part) else part))
            of_part = np.append(support, np.arange(d, v.size))
            linear = l1 * np.sign(v[of_part])
            linear[support.size :] = 0.0
            new = np.zeros_like(v)
            new[of_part] = newton(G, v[of_part], linear)
            crossed = new[:d] * v[:d] < 0.0
            new[:d][crossed] = 0.0
            if F.value(new) < F.value(v):
                v = new
            if not crossed.any():
                break
        _, gradient = F.value_and_gradient(v)
        if np.all(np.abs(gradient[:d][v[:d] == 0.0]) <= l1 * (1.0 + 1e-6)):
            break
    return v


def proof(problem, v):
    """What F(v) can be above the optimum, or None."""
    F = PlainObjective(problem)
    _, gradient = F.value_and_gradient(v)
    if problem.l1 == 0.0:
        return gradient @ gradient / (2.0 * problem.alpha) if problem.alpha > 0.0 else None
    if problem.loss != "log_loss" or problem.fit_intercept:
        return None
    dual = -problem.y * F.loss(problem.y, problem.X @ v)[1]  # in [0, 1]
    correlations = np.abs(problem.X.T @ (problem.y * dual)) / problem.y.size
    if problem.l2 == 0.0:
        shrunk = min(1.0, problem.l1 / correlations.max())
        dual, correlations = shrunk * dual, shrunk * correlations
        penalty = 0.0
    else:
        penalty = np.sum(np.maximum(correlations - problem.l1, 0.0) ** 2) / (2.0 * problem.l2)
    entropy = -np.mean(_xlogx(dual) + _xlogx(1.0 - dual))
    return F.value(v) - (entropy - penalty)


def _xlogx(t):
    return t * np.log(np.maximum(t, 1e-300))
