"""Problems of a few rows, and short ways to run a solver on them."""

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from fastgd.fitting.build import make_solver
from fastgd.fitting.loop import Loop
from fastgd.fitting.plan import Settings, make_plan
from fastgd.losses.classification import LogLoss
from fastgd.losses.each_target import EachTarget
from fastgd.losses.multinomial import Multinomial
from fastgd.losses.regression import SquaredError
from fastgd.objective.objective import Objective
from fastgd.penalties.base import Penalty
from support.twins import sparse_problem, targets_of


class Quartic(Penalty):
    """A user's smooth penalty: w^2 / 2 + w^4 / 4."""

    smooth = True

    def value(self, coefficient, j):
        return 0.5 * coefficient**2 + 0.25 * coefficient**4

    def derivative(self, coefficient, j):
        return coefficient + coefficient**3


def dense_problem(loss, n=23, d=4, seed=0):
    """Columns without zeros, weights, offsets."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d) + rng.standard_normal(n)
    if isinstance(loss, Multinomial):
        # Of no order, so that without a penalty there is an optimum.
        y = np.random.default_rng(seed + 1).integers(0, 3, n).astype(float)
    elif isinstance(loss, EachTarget):
        y = targets_of(loss.loss, np.c_[z, X[:, 0] - z])
    else:
        y = targets_of(loss, z)
    return X, y, rng.uniform(0.5, 1.5, n) * (rng.random(n) < 0.9), 0.1 * rng.standard_normal(n)


def objective(loss, penalty="l2", alpha=0.1, storage=np.asarray, fit_intercept=True, **shape):
    X, y, weights, offsets = dense_problem(loss, **shape)
    return Objective(
        loss,
        storage(X),
        y,
        sample_weight=weights,
        offset=offsets,
        penalty=penalty,
        alpha=alpha,
        l1_ratio=0.4,
        fit_intercept=fit_intercept,
        n_jobs=1,
    )


def small(loss="log_loss", penalty="l2", alpha=0.1):
    """Few rows with zeros, for a loss by its name: what plans are made for."""
    X, y, _, _ = sparse_problem(
        SquaredError() if loss in ("squared_error", "huber", "epsilon_insensitive") else LogLoss()
    )
    return Objective(loss, X, y, penalty=penalty, alpha=alpha)


def wide(
    loss,
    alpha=0.01,
    fit_intercept=True,
    storage=sp.csr_array,
    n=23,
    d=60,
    n_jobs=1,
    seed=0,
    weighted=True,
):
    """More columns than rows, most values 0."""
    X, y, weights, offsets = sparse_problem(loss, n=n, d=d, seed=seed)
    given = {"sample_weight": weights, "offset": offsets} if weighted else {}
    return Objective(
        loss, storage(X), y, alpha=alpha, fit_intercept=fit_intercept, n_jobs=n_jobs, **given
    )


def optimum(F):
    """Least value that SciPy finds, polished by restarts."""
    v = F.start()
    for _ in range(5):
        options = {"gtol": 1e-11, "maxiter": 2000}
        found = scipy.optimize.minimize(
            F.value_and_gradient, v, jac=True, method="BFGS", options=options
        )
        v = found.x
    return found.fun


def started(solver, point=None):
    state = solver.start(solver.objective.start() if point is None else point)
    return state


def iterations(solver, count, state=None):
    state = started(solver) if state is None else state
    for _ in range(count):
        solver.advance(state)
    return state


def nearly_done(solver, state, tol):
    """Whether the solver says that no more than tol of F is left, or that it can do no more."""
    known = solver.progress(state)
    return known.gap_estimate <= tol * abs(known.lower + known.gap_estimate) or known.done


def proved(solver, tol=1e-6, max_iter=4000):
    state = started(solver)
    return Loop(solver, [], max_iter=max_iter, tol=tol).run(state)


def build(F, rule, batch, rate, seed=3):
    settings = Settings(rule, batch, rate, eta0=0.05, tol=1e-3, n_iter_no_change=1)
    plan, component = make_plan(settings, F)
    return make_solver(plan, component, settings, F, seed)
