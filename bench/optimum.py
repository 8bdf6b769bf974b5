"""The optimum of a problem, to about 1e-12, by slow and sure means, and with a proof of how far off
it can be.

Without an L1 norm: Newton with a line search, the steps by a dense solve for few features and by
conjugate gradients for many. With one: a working set of columns, on which L-BFGS-B (w = p - m, both
nonnegative) finds the signs and Newton the coefficients; for many features fastgd finds the point,
where NumPy can prove it. A loss with a corner: Newton on the loss
with its corner rounded less and less; a hinge without an intercept: dual coordinate ascent first.
The proof is Fenchel's gap. What is not proved to 1e-9 has to be found by L-BFGS-B on its own, too;
else there is no race.
"""

import hashlib
import json
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp
import scipy.sparse.linalg
from sklearn.svm import LinearSVC

from .multinomial import best_constant, by_itself, objective_of, proved
from .problems import CORNERED, MULTINOMIAL, NOT_CONVEX, SECANTS, PlainObjective, rounded
from .rivals import Answer

MAX_FOR_NEWTON = 2000  # beyond so many features the Hessian is not formed
AT_CORNER = 1e-6  # a row's distance from its corner that is rounding and what LIBLINEAR leaves
ROWS_READ = 1000  # of which the cache knows the data
CACHED = "optimum", "constant", "reference", "uncertainty"
CERTAIN = 1e-9  # relative: what is proved to it, or what two methods agree to, is a reference
SHORT = 0.25  # of a Newton step: where no more of it can be taken, its curvature is of no use there


def solve(problem, cache=None):
    """Fill in `constant`, `optimum`, `reference` and `uncertainty`; from the JSON file `cache`
    where they are there.

    Raises
    ------
    SystemExit
        Where the optimum is neither proved nor found twice to `CERTAIN`.
    """
    known = json.loads(cache.read_text()) if cache is not None and cache.is_file() else {}
    key = (
        "{data} {loss} {alpha:.12g} {l1_ratio} {fit_intercept} {n_samples} {n_features} {stored} "
    ).format(**problem.describe()) + fingerprint(problem.X, problem.y)
    if not set(CACHED) <= known.get(key, {}).keys():
        _solve(problem)
        known[key] = {name: getattr(problem, name) for name in CACHED}
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(known, indent=1))
    for name in CACHED:
        setattr(problem, name, known[key][name])


def fingerprint(X, y):
    """Of the targets and of about `ROWS_READ` rows from the first to the last: generated data have
    the name and the shape of the real ones.
    """
    found = hashlib.blake2b(np.ascontiguousarray(y).tobytes(), digest_size=8)
    part = sp.csr_array(X[:: max(X.shape[0] // ROWS_READ, 1)])
    for values in (part.data, part.indices, part.indptr):
        found.update(values.tobytes())
    return found.hexdigest()


def _solve(problem):
    if problem.loss == MULTINOMIAL:
        _multinomial(problem)
        return
    F = PlainObjective(problem)
    of_constant = scipy.optimize.minimize_scalar(
        lambda b: F.loss(problem.y, np.full(problem.y.size, b))[0].mean()
    )
    problem.constant = float(of_constant.fun if problem.fit_intercept else F.value(F.start()))
    start = F.start()
    if problem.fit_intercept:
        start[-1] = of_constant.x
    if problem.loss in CORNERED:
        problem.optimum, gap, how = _cornered(problem)
        _tell(problem, how, gap)
        return
    if problem.l1 > 0.0 and start.size > MAX_FOR_NEWTON:
        found = _proved_sparse(problem)
        if found is not None:
            problem.optimum, gap = found
            _tell(problem, "fastgd", gap)
            return
    if problem.l1 > 0.0:
        v = _sparse(problem)
        how = "working sets of L-BFGS-B and Newton"
    else:
        v = newton(F, start)
        how = "Newton"
    problem.optimum = float(F.value(v))
    gap = proof(problem, v)
    if gap is None or problem.suboptimality(problem.optimum + gap) > CERTAIN:
        w = _by_itself(F, start)
        values = problem.optimum, float(F.value(w))
        problem.optimum = min(values)
        if gap is not None:  # the better of the lower bounds
            gap = problem.optimum - max(values[0] - gap, values[1] - proof(problem, w))
        _tell(problem, how, gap, abs(values[1] - values[0]))
        return
    _tell(problem, how, gap)


def _multinomial(problem):
    F = objective_of(problem)
    start, problem.constant = best_constant(F)
    if start.size > MAX_FOR_NEWTON and problem.l2 > 0.0:
        problem.optimum, gap = _proved_multinomial(F)
        _tell(problem, "fastgd", gap)
        return
    values = [float(F.value(v)) for v in (newton(F, start), by_itself(F, start))]
    problem.optimum = min(values)
    _tell(problem, "Newton", None, abs(values[1] - values[0]))


def _proved_multinomial(F):
    """F and its gap, which NumPy proves whoever found the point: here fastgd, for no matrix of so
    many unknowns is formed.
    """
    for v in _by_fastgd(F):
        value, gap = proved(F, v)
        if gap <= 0.5 * CERTAIN * value:
            break
    return value, gap


def _proved_sparse(problem):
    """F and its gap with an L1 norm and many features, likewise; None where NumPy does not prove
    it.  At 0.001 of the greatest alpha on a text of 1.3 million columns SciPy was not there after
    ten minutes.
    """
    F = PlainObjective(problem)
    for v in _by_fastgd(F):
        value, gap = float(F.value(v)), proof(problem, v)
        if gap is None or gap <= 0.5 * CERTAIN * value:
            break
    return None if gap is None or gap > 0.5 * CERTAIN * value else (value, gap)


def _by_fastgd(F):
    """Unknowns by fastgd's default solver, to less and less."""
    import fastgd

    p = F.problem
    kind = fastgd.GDClassifier if p.classification else fastgd.GDRegressor
    loss = "log_loss" if p.loss == MULTINOMIAL else p.loss
    settings = {"alpha": p.alpha, "fit_intercept": p.fit_intercept, "max_iter": 5000}
    if p.l1 > 0.0:
        settings |= {"penalty": "elasticnet", "l1_ratio": p.l1_ratio}
    for tol in (3e-10, 1e-11, 1e-13):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's proof tells whether it was reached
            estimator = kind(loss, tol=tol, **settings).fit(p.X, p.y)
        intercept = np.ravel(estimator.intercept_) if p.fit_intercept else np.zeros(p.n_outputs)
        coef = estimator.coef_ if p.loss == MULTINOMIAL else np.ravel(estimator.coef_)
        yield F.joined(Answer(coef, intercept))


def _tell(problem, how, gap, apart=np.inf):
    """Say how the optimum was found, and how sure it is; SystemExit where it is not sure enough."""
    proved = problem.suboptimality(problem.optimum + gap) if gap is not None else np.inf
    twice = problem.suboptimality(problem.optimum + apart)
    problem.uncertainty = float(max(min(proved, twice), 0.0))
    found = f", and by L-BFGS-B alone to {twice:.0e}" if np.isfinite(apart) else ""
    problem.reference = f"{how}{found}" + (f", proved to {proved:.0e}" if gap is not None else "")
    if not problem.uncertainty <= CERTAIN:
        raise SystemExit(
            f"{problem.name}, {problem.loss}, alpha {problem.alpha:.3g}: no reference to judge "
            f"by. The lowest value found is {problem.optimum:.12g} ({problem.reference}), and "
            f"{CERTAIN:g} is needed. Divide the columns by their greatest magnitude (--scale), "
            "raise --alpha, or look for rows and columns that are out of all scale"
        )


def _cornered(problem):
    """F at the optimum, the proof, and how it was found: a derivative of the rounded loss is a dual
    point of the loss itself.
    """
    if problem.l1 or not problem.alpha:
        raise SystemExit(
            f"the reference for {problem.loss} is for an L2 penalty alone, with alpha above 0"
        )
    F, G = PlainObjective(problem), PlainObjective(problem)
    v = F.start()
    best = np.inf
    lower = 0.0
    if problem.loss == "hinge" and not problem.fit_intercept:
        w, *dual = _by_coordinates(problem)
        best = F.value(w)
        lower = best - _gap(problem, w, *dual)
        if best - lower <= 0.5 * CERTAIN * best:
            return best, best - lower, "dual coordinate ascent"
    # All rows are in it.
    widest = 2.0 * max(F.loss(problem.y, np.zeros(problem.y.size))[0].max(), 1.0)
    for width in np.geomspace(widest, 1e-9, 45):
        G.loss, G.curvature = rounded(problem.loss, width)
        v = newton(G, v)
        z = F.predictions(v)
        values, u = G.loss(problem.y, z)
        found = [(v, u, u * z - values), _at_corners(problem, z, u)]
        for point, *dual in filter(None, found):
            value = F.value(point)
            best, lower = min(best, value), max(lower, value - _gap(problem, point, *dual))
        if best - lower <= 1e-3 * CERTAIN * best:
            break
    return best, best - lower, "Newton on a corner rounded less and less"


def _by_coordinates(problem):
    """Unknowns and dual point (w, u, loss*(u)) of a hinge: by LIBLINEAR's dual coordinate ascent,
    which tells w alone; the shares of rows at their corner are those that w is made of.
    """
    X, strength = problem.X, problem.alpha * problem.y.size
    settings = {"dual": True, "fit_intercept": False, "max_iter": 1_000_000, "random_state": 0}
    svc = LinearSVC(loss="hinge", tol=1e-10, C=1.0 / strength, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = svc.fit(X, problem.y).coef_.ravel()
    t, s = CORNERED[problem.loss](problem.y, X @ w)
    c, share = t - s * (X @ w), (t > 0.0) * 1.0
    corner = np.flatnonzero(np.abs(t) <= AT_CORNER)
    share[corner] = 0.0
    left = -w - X.T @ (s * share) / strength
    A = X[corner]

    def squares(shares):
        off = A.T @ (s[corner] * shares) / strength - left
        return 0.5 * strength * (off @ off), s[corner] * (A @ off)

    options = {"maxiter": 3000, "maxfun": 4000, "ftol": 0.0, "gtol": 1e-12}
    share[corner] = scipy.optimize.minimize(
        squares,
        np.full(corner.size, 0.5),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * corner.size,
        options=options,
    ).x
    return -X.T @ (s * share) / strength, s * share, -share * c


def _at_corners(problem, z, u):
    """Unknowns and dual point (v, u, loss*(u)) where the rows inside the rounding are at their
    corners exactly.

    With t = c + s z, a row's loss is the supremum of share * t over shares in [0, 1]; w = -X'(s
    share) / (alpha n). Of rows that are the same only the sum of the shares matters. None for more
    different ones than a dense system should have.
    """
    t, s = CORNERED[problem.loss](problem.y, z)
    c, share = t - s * z, u / s
    corner = np.flatnonzero((share > 0.0) & (share < 1.0))
    first, group = _different(problem.X[corner], s[corner], c[corner])
    if not 0 < first.size <= min(4 * problem.shape[1] + 4, MAX_FOR_NEWTON):
        return None
    one = corner[first]
    share, n, X, s_corner = (share >= 1.0) * 1.0, problem.y.size, problem.X[one], s[one]
    strength = problem.alpha * n
    inner = (X @ X.T).toarray() if sp.issparse(X) else X @ X.T
    K = np.zeros((first.size + 1, first.size + 1))
    K[:-1, :-1] = -s_corner[:, None] * inner * s_corner / strength
    K[-1, :-1] = K[:-1, -1] = s_corner * problem.fit_intercept
    above = problem.X.T @ (s * share)
    wanted = np.append(
        -c[one] + s_corner * (X @ above) / strength, -(s @ share) * problem.fit_intercept
    )
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.append(K.diagonal()[:-1], 1.0)), 1e-300))
    found = scale * np.linalg.lstsq(scale[:, None] * K * scale, scale * wanted)[0]
    share[corner] = np.clip(found[:-1] / np.bincount(group), 0.0, 1.0)[group]
    coef = -(problem.X.T @ (s * share)) / strength
    return np.append(coef, [found[-1]] * problem.fit_intercept), s * share, -share * c


def _different(X, s, c):
    """The first of each set of rows that are the same, with what stands beside them, and the set
    that each row is of.
    """
    rows = (
        [(X.indices[a:b].tobytes(), X.data[a:b].tobytes()) for a, b in pairwise(X.indptr)]
        if sp.issparse(X)
        else [row.tobytes() for row in X]
    )
    sets: dict = {}
    group = [sets.setdefault(key, len(sets)) for key in zip(rows, s, c, strict=True)]
    return np.unique(group, return_index=True)[1], np.array(group, dtype=int)


def _by_itself(F, start):
    """Unknowns by L-BFGS-B from the constant model, in units in which all columns together have
    curvature 1.
    """
    d, l1 = F.problem.shape[1], F.problem.l1
    if start.size <= MAX_FOR_NEWTON and not l1:
        H = F.hessian(start, np.full(F.problem.y.size, 1.0 / F.problem.y.size))
        scale = 1.0 / np.sqrt(np.maximum(H.diagonal(), 1e-300))
        values, vectors = scipy.linalg.eigh(scale[:, None] * H * scale)
        root = scale[:, None] * vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    else:
        squares = (
            F.problem.X.multiply(F.problem.X) if sp.issparse(F.problem.X) else F.problem.X**2
        ).mean(axis=0)
        root = sp.diags_array(
            1.0 / np.sqrt(np.append(np.maximum(squares, 1e-300), np.ones(start.size - d)))
        )

    def value_and_gradient(u):
        value, gradient = F.value_and_gradient(start + root @ u)
        return value, root.T @ gradient

    def split(u):
        value, gradient = value_and_gradient(np.append(u[:d] - u[d : 2 * d], u[2 * d :]))
        pull = l1 * root.diagonal()[:d]
        both = np.concatenate([gradient[:d] + pull, pull - gradient[:d], gradient[d:]])
        return value + pull @ (u[:d] + u[d : 2 * d]), both

    options = {"maxiter": 10_000, "maxfun": 20_000, "ftol": 0.0, "gtol": 0.0, "maxcor": 50}
    if not l1:
        u = scipy.optimize.minimize(
            value_and_gradient, np.zeros(start.size), jac=True, method="L-BFGS-B", options=options
        ).x
        return start + root @ u
    bounds = [(0, None)] * 2 * d + [(None, None)] * (start.size - d)
    u = scipy.optimize.minimize(
        split, np.zeros(start.size + d), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x
    return start + root @ np.append(u[:d] - u[d : 2 * d], u[2 * d :])


def newton(F, v, linear=0.0, most=200):
    """Minimum of F plus a linear term by Newton's method."""

    def with_linear(v):
        value, gradient = F.value_and_gradient(v)
        return value + np.sum(linear * v), gradient + linear

    def searched(step, way):
        """Point, value, gradient and length of the first of the halved steps with enough of a
        fall, or None.
        """
        length = 1.0
        while length > 1e-8:
            new_value, new_gradient = with_linear(v - length * step)
            if new_value <= value - 1e-4 * length * way and new_value < value:
                return v - length * step, new_value, new_gradient, length
            length *= 0.5
        return None

    value, gradient = with_linear(v)
    for _ in range(most):
        step = _step(F, v, gradient)
        if gradient @ step <= 1e-15 * abs(value):
            # Far out, where a loss is linear, a step of its curvature may look as if there were no
            # more to gain.
            found = (
                (v - step, *with_linear(v - step))
                if with_linear(v - step)[0] <= value
                else (v, value, gradient)
            )
            secant = (
                searched(_step(F, found[0], found[2], True), 0.0)
                if F.problem.loss in SECANTS
                else None
            )
            if secant is None or not secant[1] < found[1] - 1e-12 * abs(value):
                return found[0]
            v, value, gradient = secant[:3]
            continue
        found = searched(step, gradient @ step)
        if F.problem.loss in SECANTS and (found is None or found[3] < SHORT):
            step = _step(F, v, gradient, True)
            other = searched(step, gradient @ step)
            found = min(
                (one for one in (found, other) if one is not None),
                key=lambda one: one[1],
                default=None,
            )
        if found is None:
            return v
        v, value, gradient, _ = found
    return v


def _step(F, v, gradient, secant=False):
    """Newton's step; `secant`: of the parabola through each row's loss that is nowhere below it."""
    weights = (
        SECANTS[F.problem.loss](F.problem.y, F.predictions(v)) / F.problem.y.size
        if secant
        else None
    )
    way = _dense_step if v.size <= MAX_FOR_NEWTON else _iterative_step
    return way(F, v, gradient, weights)


def _dense_step(F, v, gradient, weights=None):
    H = F.hessian(v, weights)
    # Columns of very different scales: to unit diagonal first.
    scale = 1.0 / np.sqrt(np.maximum(H.diagonal(), 1e-300))
    return scale * np.linalg.lstsq(scale[:, None] * H * scale, scale * gradient)[0]


def _iterative_step(F, v, gradient, weights=None):
    H = scipy.sparse.linalg.LinearOperator(
        (v.size, v.size), matvec=lambda p: F.hessian_product(v, p, weights)
    )
    accuracy = min(0.1, np.sqrt(np.linalg.norm(gradient)))
    return scipy.sparse.linalg.cg(H, gradient, rtol=accuracy, maxiter=2000)[0]


def _sparse(problem, most=50):
    """Coefficients (and intercept) of a problem with an L1 norm."""
    F, d = PlainObjective(problem), problem.shape[1]
    v = F.start()
    tight = 0.7
    columns = sp.csc_array(problem.X) if sp.issparse(problem.X) else problem.X
    for _ in range(most):
        _, gradient = F.value_and_gradient(v)
        chosen = np.flatnonzero((v[:d] != 0.0) | (np.abs(gradient[:d]) >= tight * problem.l1))
        part = replace(
            problem,
            X=sp.csr_array(columns[:, chosen]) if sp.issparse(columns) else columns[:, chosen],
        )
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
        return value + l1 * u[: 2 * d].sum(), np.concatenate(
            [gradient[:d] + l1, l1 - gradient[:d], gradient[d:]]
        )

    bounds = [(0, None)] * 2 * d + [(None, None)] * (v.size - d)
    for rounds in (200, 1000, 5000):
        options = {
            "maxiter": rounds,
            "maxfun": 2 * rounds,
            "ftol": 0.0,
            "gtol": 1e-3 * l1,
            "maxcor": 30,
        }
        start = np.concatenate([np.maximum(v[:d], 0.0), np.maximum(-v[:d], 0.0), v[d:]])
        v = joined(
            scipy.optimize.minimize(
                split, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
            ).x
        )
        for _ in range(20):
            # Newton for the signs there are; a coefficient that crosses zero stays there.
            support = np.flatnonzero(v[:d])
            part = F.problem.X[:, support]
            G = PlainObjective(
                replace(F.problem, X=sp.csr_array(part) if sp.issparse(part) else part)
            )
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
    """What F(v) can be above the optimum, by the derivatives of the losses there; None where
    there is no penalty.
    """
    F = PlainObjective(problem)
    if problem.alpha == 0.0 or problem.loss in NOT_CONVEX:
        return None
    z = F.predictions(v)
    values, u = F.loss(problem.y, z)
    return _gap(problem, v, u, u * z - values)


def _gap(problem, v, u, conjugates):
    """Fenchel's gap of v and a dual point, `conjugates` what loss*(u) is at most.

    With an intercept u has to sum to 0: the heavier sign is scaled down, which at infimum 0 leaves
    no greater a share of loss* than of u. With an L1 norm alone no column's correlation with u may
    be above it: so is all of u.
    """
    F, n = PlainObjective(problem), problem.y.size
    if problem.fit_intercept:
        above, below = u[u > 0.0].sum(), -u[u < 0.0].sum()
        share = np.where(
            u > 0.0,
            min(1.0, below / above if above else 1.0),
            min(1.0, above / below if below else 1.0),
        )
        u, conjugates = share * u, share * conjugates
    correlations = np.abs(problem.X.T @ u) / n
    if problem.l2 == 0.0:
        shrunk = min(1.0, problem.l1 / max(correlations.max(), 1e-300))
        penalty, conjugates = 0.0, shrunk * conjugates
    else:
        penalty = np.sum(np.maximum(correlations - problem.l1, 0.0) ** 2) / (2.0 * problem.l2)
    return max(float(F.value(v) + conjugates.mean() + penalty), 0.0)
