"""Proofs for K predictions: the reach by its definition, and bounds above what is true."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier
from fastgd.certificates.duality_gap import DualityGap
from fastgd.certificates.vector_newton_proof import VectorNewtonProof, longest_difference
from fastgd.linalg.cholesky import Factor
from fastgd.losses.multinomial import Multinomial
from fastgd.objective.objective import Objective
from fastgd.objective.vector_gram import hold_shifts
from fastgd.penalties.multi_task import MultiTask
from fastgd.penalties.quadratic import with_quadratic
from fastgd.penalties.separable import L2, ElasticNet
from fastgd.penalties.weighted import weighted
from fastgd.solvers.base import Curvature
from support.components import ToySoftmax
from support.twins import with_jit


def problem(seed, storage=np.asarray, loss=None, fit_intercept=True, alpha=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 3)) * rng.uniform(0.1, 10.0, 3)
    y = (X / X.std(axis=0) @ rng.standard_normal((3, 3)) + rng.gumbel(size=(40, 3))).argmax(axis=1)
    alpha = 10.0 ** rng.uniform(-4, 0) if alpha is None else alpha
    F = Objective(
        Multinomial(3) if loss is None else loss,
        storage(X),
        y.astype(float),
        alpha=alpha,
        fit_intercept=fit_intercept,
        n_jobs=1,
    )
    F.know_null_model()
    return F, X


def optimum(F):
    v = F.start()
    for _ in range(60):
        v = v - np.linalg.lstsq(F.curvature_matrix(v), F.gradient(v), rcond=1e-13)[0]
    return v


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("loss", [Multinomial(3), ToySoftmax()], ids=lambda loss: loss.name)
def test_the_reach_is_the_longest_difference(storage, loss):
    F, X = problem(0, storage, loss, alpha=0.05)
    v = 0.3 * np.cos(np.arange(F.size))
    matrix = F.curvature_matrix(v)
    # A loss that does not say that common shifts change nothing has no inverse without more.
    held = hold_shifts(F, matrix) if loss.shift_invariant else matrix + 0.1 * np.eye(F.size)
    inverse, longest = np.linalg.inv(held), 0.0
    for x in X:
        row = np.append(x, 1.0)
        units = [np.kron(row, one) for one in np.eye(3)]
        if loss.shift_invariant:
            pairs = [0.5 * (units[k] - units[m]) for k in range(3) for m in range(k)]
            longest = max(longest, max(one @ inverse @ one for one in pairs))
        else:
            longest = max(longest, max(one @ inverse @ one for one in units))
    assert longest_difference(F, Factor(held)) == pytest.approx(np.sqrt(longest), rel=1e-9)


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(with_jit(20, 8)))
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_bounds_are_never_below_the_truth(seed, fit_intercept):
    F, _ = problem(seed, fit_intercept=fit_intercept)
    best = optimum(F)
    least, rng = F.value(best), np.random.default_rng(seed)
    direction = rng.standard_normal((F.size // 3, 3))
    direction = (direction - direction.mean(axis=1, keepdims=True)).ravel()
    proved = 0
    for size in (1e-1, 1e-2, 1e-3, 1e-5):
        v = best + size * direction / np.sqrt(direction @ F.curvature_matrix(best) @ direction)
        value, gradient = F.value_and_gradient(v)
        left = value - least
        bound = VectorNewtonProof(F).prove(v, value, gradient, np.inf)
        assert bound.value >= left * (1.0 - 1e-9)
        proved += bound.kind == "proof"
        known = Curvature(Factor(hold_shifts(F, F.curvature_matrix(best))), best)
        nearby = VectorNewtonProof(F).from_known(known, v, gradient, np.inf, value)
        assert nearby.value >= left * (1.0 - 1e-9)
        gap = DualityGap(F)
        at = gap.centered(v) if fit_intercept else v
        value, gradient = F.value_and_gradient(at)
        assert gap.bound(at, value, gradient).value >= (value - least) * (1.0 - 1e-9)
    assert proved >= 1


def test_centering_balances_each_prediction():
    F, _ = problem(1)
    v = np.cos(np.arange(F.size))
    centered = DualityGap(F).centered(v)
    np.testing.assert_allclose(F.gradient(centered)[-3:], 0.0, atol=1e-15)
    np.testing.assert_array_equal(centered[:-3], v[:-3])
    assert abs((centered - v)[-3:].sum()) < 1e-10


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_a_fit_is_proved_with_and_without_a_penalty(alpha, scale):
    rng = np.random.default_rng(4)
    X = scale * rng.standard_normal((60, 3)) + scale
    y = rng.integers(0, 3, 60)  # of no order: without a penalty there is an optimum
    model = GDClassifier(alpha=alpha, tol=1e-6).fit(X, y)
    assert model.bound_kind_ == "proof"
    assert model.converged_


# Of differences, which are 0 for equal coefficients, and a form that is positive definite.
CHAIN = np.array([[1.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]])
FORMS = pytest.mark.parametrize("form", [CHAIN, CHAIN + 0.1 * np.eye(3)], ids=["flat", "definite"])


@FORMS
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_proofs_under_a_quadratic_form_are_above_what_is_true(form, fit_intercept):
    plain, X = problem(3, fit_intercept=fit_intercept)
    y, penalty = plain.samples.targets[:, 0], with_quadratic(L2(), form)
    options = {"penalty": penalty, "alpha": 0.05, "fit_intercept": fit_intercept}
    F = Objective(Multinomial(3), X, y, **options)
    matrix = F.curvature_matrix(F.start())
    products = np.array([F.hessian_product(F.start(), one) for one in np.eye(F.size)])
    np.testing.assert_allclose(matrix, products, atol=1e-12 * np.abs(matrix).max())
    best = optimum(F)
    least = F.value(best)
    proof = VectorNewtonProof(F)
    for size in (1e-2, 1e-4):
        v = best + size * np.random.default_rng(7).normal(size=F.size) / np.sqrt(F.size)
        value, gradient = F.value_and_gradient(v)
        bound = proof.prove(v, value, gradient, 1.0)
        assert value - least <= bound.value
        if size < 1e-3:
            assert bound.value <= 1.5 * (value - least) + 1e-12


@FORMS
def test_a_quadratic_form_on_several_classes_is_proved(form):
    F, X = problem(3)
    model = GDClassifier(P2=form, alpha=0.01, tol=1e-6).fit(X, F.samples.targets[:, 0])
    assert model.converged_
    assert model.suboptimality_ <= 1e-6


def test_a_first_try_waits_for_what_a_matrix_of_all_predictions_takes():
    F, _ = problem(0)
    proof = VectorNewtonProof(F)
    far = np.full(F.size, 1e3)
    assert not proof.worth_trying(F.null_value, far, 1e-12)
    proof._run.tried_at = F.passes  # it has measured the columns meanwhile
    F.meter.count(1.99 * proof.passes)
    assert not proof.worth_trying(F.null_value, far, 1e-12)
    F.meter.count(0.02 * proof.passes)
    assert proof.worth_trying(F.null_value, far, 1e-12)


WEIGHTS = np.array([0.0, 2.0, np.inf, 0.5])
WEIGHTED = {
    "l2": L2(),
    "elastic net": ElasticNet(0.5),
    "rows": MultiTask(0.5),
}


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", WEIGHTED)
def test_a_column_without_a_penalty_is_proved(penalty, fit_intercept):
    """Kinks, a coefficient that is held at 0, and shifts that nothing but data hold."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 4))
    labels = (X @ rng.standard_normal((4, 3)) + rng.gumbel(size=(60, 3))).argmax(axis=1)
    given = {"alpha": 0.05, "fit_intercept": fit_intercept}
    model = GDClassifier(penalty=WEIGHTED[penalty], penalty_weights=WEIGHTS, tol=1e-8, **given)
    model.fit(X, labels)
    assert (model.bound_kind_, model.converged_) == ("proof", True)
    own = weighted(WEIGHTED[penalty], penalty_weights=WEIGHTS)
    F = Objective(Multinomial(3), X, labels.astype(float), penalty=own, **given)
    F.know_null_model()
    best = model.coef_.T
    best = np.vstack([best, model.intercept_]) if fit_intercept else best
    lowest = F.value(best.ravel()) * (1.0 - 1e-8)
    for size in (0.3, 0.1, 1e-2, 1e-4):
        v = (best + size * rng.standard_normal(best.shape) * (best != 0.0)).ravel()
        value, gradient = F.smooth_and_gradient(v)
        value += F.rest_value(v)
        found = VectorNewtonProof(F).prove(v, value, F.subgradient(v, gradient), np.inf)
        assert found.value >= value - lowest - 1e-8
    assert found.value <= 1e-4
