"""A quadratic form in place of the L2 part: closed forms, a slow twin, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from fastgd import GDClassifier, GDRegressor, GDRegressorCV, Huber, Objective
from fastgd.certificates.duality_gap import DualityGap
from fastgd.certificates.rounding import value_rounding
from fastgd.penalties.quadratic import MAX_DENSE, with_quadratic
from fastgd.penalties.separable import L1, L2, ElasticNet

D = 6
DIFFERENCES = np.diff(np.eye(D), axis=0)
P2 = DIFFERENCES.T @ DIFFERENCES + np.diag([0.0, 0.0, 0.0, 0.0, 0.0, 0.3])


def problem(n=90, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)) + 0.5
    return X, X @ np.linspace(-1.0, 1.0, D) + rng.normal(size=n)


def test_what_cancels_is_known_to_be_rounded():
    rng = np.random.default_rng(3)
    term = with_quadratic(L2(), P2).term(0.7)
    for _ in range(20):
        w = 1e7 + rng.normal(size=D)
        w[-1] = 0.0
        exact = list(map(Fraction, w.tolist()))
        halves = [Fraction(0.7 * p) * exact[i] * exact[j] for (i, j), p in np.ndenumerate(P2)]
        assert abs(Fraction(term.value(w)) - sum(halves) / 2) <= term.value_rounding(w)
    X, y = problem()
    F = Objective("huber", X, y, penalty=with_quadratic(L2(), P2), alpha=0.7)
    v = np.append(w, 0.0)
    assert value_rounding(F, v, 1.0, 0.0) > term.value_rounding(w) > 0.0


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, sp.coo_matrix])
def test_a_ridge_has_its_closed_form(form):
    X, y = problem()
    model = GDRegressor(alpha=0.7, P2=form(P2), tol=1e-12).fit(X, y)
    centred = X - X.mean(0)
    matrix = centred.T @ centred / len(y) + 0.7 * P2
    expected = np.linalg.solve(matrix, centred.T @ (y - y.mean()) / len(y))
    np.testing.assert_allclose(model.coef_, expected, atol=1e-9)
    assert model.bound_kind_ == "proof"
    same = GDRegressor(alpha=0.7, P2=np.eye(D), tol=1e-12).fit(X, y)
    ridge = GDRegressor(alpha=0.7, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(same.coef_, ridge.coef_, atol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "nesterov", "adam"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_smooth_losses(loss, solver):
    X, y = problem()
    labels = (y > np.median(y)).astype(int)
    given = {"alpha": 0.05, "P2": P2, "solver": solver, "tol": 1e-7}
    model = GDClassifier(loss, **given).fit(X, labels)
    net = with_quadratic(L2(), P2)
    F = Objective(loss, X, np.where(labels == 1, 1.0, -1.0), penalty=net, alpha=0.05)
    found = minimize(F.value_and_gradient, F.start(), jac=True, options={"gtol": 1e-9})
    assert model.objective_ == pytest.approx(found.fun, rel=1e-6)
    v, p = found.x, np.arange(D + 1.0)
    ahead, behind = (F.gradient(v + s * 1e-5 * p) for s in (1.0, -1.0))
    np.testing.assert_allclose(F.hessian_product(v, p), (ahead - behind) / 2e-5, atol=1e-5)
    np.testing.assert_allclose(F.product_at(v)(p), F.hessian_product(v, p), atol=1e-12)


def test_with_corners_weights_and_bounds():
    """Against plain proximal gradient descent."""
    X, y = problem()
    weights, low = np.array([1.0, 2.0, 0.0, np.inf, 1.0, 1.0]), -0.2
    given = {"penalty": "elasticnet", "l1_ratio": 0.4, "alpha": 0.3, "P2": P2}
    model = GDRegressor(**given, bounds=(low, 0.6), penalty_weights=weights, tol=1e-12).fit(X, y)
    centred, left, coef = X - X.mean(0), y - y.mean(), np.zeros(D)
    matrix = centred.T @ centred / len(y) + 0.3 * 0.6 * P2
    rate = 1.0 / np.linalg.eigvalsh(matrix)[-1]
    corners = np.where(np.isinf(weights), 0.0, 0.3 * 0.4 * weights)
    for _ in range(20_000):
        coef = coef - rate * (matrix @ coef - centred.T @ left / len(y))
        coef = np.clip(coef - np.clip(coef, -rate * corners, rate * corners), low, 0.6)
        coef[3] = 0.0
    np.testing.assert_allclose(model.coef_, coef, atol=1e-7)
    assert model.bound_kind_ == "proof"
    assert model.coef_[3] == 0.0
    assert model.coef_.min() >= low


def test_along_paths_and_other_losses():
    X, y = problem()
    search = GDRegressorCV(penalty="elasticnet", l1_ratio=0.5, P2=P2, alphas=5, cv=3).fit(X, y)
    assert np.isfinite(search.scores_).all()
    given = GDRegressorCV(P2=P2, alphas=[1.0, 0.1], cv=3).fit(X, y)
    assert given.alpha_ in (1.0, 0.1)
    assert GDRegressor(Huber(0.5), P2=P2, alpha=0.1).fit(X, y).converged_


def test_glum_finds_the_same():
    glum = pytest.importorskip("glum")
    X, y = problem()
    theirs = glum.GeneralizedLinearRegressor(
        family="normal", alpha=0.7, l1_ratio=0.0, P2=P2, gradient_tol=1e-12
    ).fit(X, y)
    own = GDRegressor(alpha=0.7, P2=P2, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(own.coef_, theirs.coef_, atol=1e-6)


WRONG = [
    ({"P2": np.ones((D, 2))}, "P2 must be a square matrix of numbers, got shape .6, 2."),
    ({"P2": np.eye(3)}, "P2 must be of shape .6, 6., as X has 6 features, got .3, 3."),
    ({"P2": "smooth"}, "P2 must be a square matrix of numbers, got 'smooth'"),
    ({"P2": np.eye(D) + np.eye(D, k=1)}, "P2 must be symmetric, it differs from its .* by 1"),
    ({"P2": np.diag([1.0, 1, 1, 1, 1, -0.5])}, "must be positive semi-definite, .*eigenvalue -0.5"),
    ({"P2": np.nan * np.eye(D)}, "P2 must be finite"),
    ({"P2": P2, "penalty": "l1"}, "P2 goes with penalty 'l2' or 'elasticnet', got L1"),
    ({"P2": P2, "penalty_weights": np.arange(D)}, "penalty_weights go with P2 where"),
    ({"P2": P2, "solver": "saga"}, "saga.*takes penalties of single coefficients"),
    ({"P2": P2, "solver": "sdca"}, "sdca"),
    ({"P2": P2, "batch_size": 4}, "needs batch_size='full'"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_refused(given, message):
    X, y = problem()
    with pytest.raises(ValueError, match=message):
        GDRegressor(**given).fit(X, y)


def test_levels_of_a_category_with_an_intercept():
    """Neither X nor the form changes along one shift of all levels: proved all the same."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, D, 200)
    X, y = np.eye(D)[levels], np.sin(levels) + rng.normal(size=200)
    form = DIFFERENCES.T @ DIFFERENCES
    model = GDRegressor(alpha=0.1, P2=form, tol=1e-10).fit(X, y)
    assert model.bound_kind_ == "proof"
    centred = X - X.mean(0)
    matrix = centred.T @ centred / 200 + 0.1 * form
    expected = np.linalg.lstsq(matrix, centred.T @ (y - y.mean()) / 200, rcond=1e-12)[0]
    np.testing.assert_allclose(np.diff(model.coef_), np.diff(expected), atol=1e-8)
    labels = (y > 0).astype(int)
    assert GDClassifier(alpha=0.01, P2=form, tol=1e-6).fit(X, labels).bound_kind_ == "proof"
    held = np.diff(GDRegressor(alpha=1e4, P2=form, tol=1e-10).fit(X, y).coef_)
    np.testing.assert_allclose(held, 0.0, atol=1e-3)


def test_large_forms_are_looked_at_too():
    size = MAX_DENSE + 1
    ones = np.ones(size - 1)
    chain = sp.diags_array([np.r_[1.0, 2.0 * ones[1:], 1.0], -ones, -ones], offsets=[0, 1, -1])
    with_quadratic(ElasticNet(0.5), chain)
    with pytest.raises(ValueError, match="positive semi-definite"):
        with_quadratic(ElasticNet(0.5), chain - 0.5 * sp.eye_array(size))
    with pytest.raises(ValueError, match="P2 goes with"):
        with_quadratic(L1(), chain)


def test_large_forms_that_are_0_along_some_directions_are_taken():
    """Lanczos steps did not find an eigenvalue that is 0: ArpackNoConvergence after 6 s."""
    size = MAX_DENSE + 1
    ones = np.ones(size - 2)
    second = sp.diags_array([ones, -2.0 * ones, ones], offsets=[0, 1, 2], shape=(size - 2, size))
    form = sp.csr_array(second.T @ second)
    unlike = sp.diags_array(np.logspace(-3, 3, size))
    for scales in (sp.eye_array(size), unlike):
        with_quadratic(ElasticNet(0.5), scales @ form @ scales)
    with pytest.raises(ValueError, match="semi-definite, it has an eigenvalue below 0"):
        with_quadratic(ElasticNet(0.5), form - 1e-3 * sp.eye_array(size))
    with pytest.raises(ValueError, match="semi-definite, it has the eigenvalue -1"):
        with_quadratic(ElasticNet(0.5), sp.diags_array(np.r_[-1.0, ones, 1.0]))


@pytest.mark.parametrize("least", [1.0, -0.5])
def test_large_forms_that_are_clearly_definite_or_not_are_not_eliminated(least, monkeypatch):
    """Squares of the Laplacian of a random graph fill: 8,000 columns took 9 s, 0.06 s before."""
    size, rng = MAX_DENSE + 1, np.random.default_rng(0)
    ends = rng.integers(0, size, (2, 3 * size))
    near = sp.coo_array((np.ones(3 * size), ends), shape=(size, size)).tocsr()
    near = near + near.T
    near.setdiag(0.0)
    laplacian = sp.diags_array(near.sum(axis=1)) - near
    form = sp.csr_array(least * sp.eye_array(size) + laplacian @ laplacian)
    monkeypatch.setattr("scipy.sparse.linalg.splu", None)
    if least > 0.0:
        with_quadratic(ElasticNet(0.5), form)
    else:
        with pytest.raises(ValueError, match=r"semi-definite, it has the eigenvalue -0\.5"):
            with_quadratic(ElasticNet(0.5), form)


@pytest.mark.parametrize("weights", [3.0, [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
def test_weights_that_would_be_ignored_are_refused(weights):
    with pytest.raises(ValueError, match="penalty_weights go with P2 where there is an L1 part"):
        GDRegressor(P2=P2, penalty_weights=weights).fit(*problem())
    excluded = GDRegressor(P2=P2, penalty_weights=[np.inf, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert excluded.fit(*problem()).coef_[0] == 0.0


def test_default_alphas_are_those_of_the_diagonal():
    """They were refused."""
    X, y = problem()
    size = X.shape[1]
    plain = GDRegressorCV(alphas=5, cv=3).fit(X, y).alphas_
    np.testing.assert_array_equal(
        plain, GDRegressorCV(alphas=5, cv=3, P2=np.eye(size)).fit(X, y).alphas_
    )
    scale = np.arange(1.0, size + 1.0)
    weighed = GDRegressorCV(alphas=5, cv=3, penalty_weights=scale).fit(X, y)
    diagonal = GDRegressorCV(alphas=5, cv=3, P2=np.diag(scale)).fit(X, y)
    np.testing.assert_allclose(diagonal.alphas_, weighed.alphas_, rtol=1e-12)
    for matrix in (P2, DIFFERENCES.T @ DIFFERENCES):
        search = GDRegressorCV(alphas=5, cv=3, P2=matrix).fit(X, y)
        alone = GDRegressor(alpha=search.alpha_, P2=matrix).fit(X, y)
        np.testing.assert_allclose(search.coef_, alone.coef_, rtol=1e-6, atol=1e-8)
    with pytest.raises(ValueError, match="got a P2 of zeros; pass an array of alphas"):
        GDRegressorCV(P2=np.zeros((size, size))).fit(X, y)


def test_what_is_small_beside_the_largest_entry_counts():
    with pytest.raises(ValueError, match="positive semi-definite"):
        with_quadratic(L2(), np.diag([1e8, -0.005]))
    with pytest.raises(ValueError, match=r"differs from its transpose by 0\.009"):
        with_quadratic(L2(), [[1e8, 0.0, 0.0], [0.0, 1.0, 0.009], [0.0, 0.0, 1.0]])
    term = with_quadratic(L2(), np.diag([1e8, 4e-8, 0.0])).term(1.0)
    np.testing.assert_array_equal(np.abs(term.flat()), [[0.0], [0.0], [1.0]])


def chain(size):
    """Squares of differences of neighbours: 0 along one direction, and no further below."""
    return sp.csr_array(sp.diags_array([2.0, -1.0, -1.0], offsets=[0, 1, -1], shape=(size, size)))


@pytest.mark.parametrize("size", [D, MAX_DENSE + 1])
def test_an_eigenvalue_below_0_by_more_than_rounding_is_refused(size):
    """One of -1e-10 of the largest was taken, and a model proved where F has no minimum."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=size) / np.sqrt(size)
    steep = 10.0 ** rng.uniform(-3.0, 3.0, size)
    if size == D:
        held = np.linalg.qr(np.column_stack([v, rng.normal(size=(D, D - 1))]))[0]
        form = (held * np.r_[-1e-10, np.ones(D - 1)]) @ held.T
    else:
        least = 2.0 - 2.0 * np.cos(np.pi / (size + 1))
        form = chain(size) - (least + 1e-10) * sp.eye_array(size)
    form = sp.diags_array(steep) @ form @ sp.diags_array(steep)
    with pytest.raises(ValueError, match="positive semi-definite"):
        with_quadratic(L2(), form)
    lifted = sp.csr_array(form) + 1e-9 * sp.diags_array(sp.csr_array(form).diagonal())
    assert with_quadratic(L2(), lifted).below <= size * 1e-15


def test_a_message_says_what_lifts_an_eigenvalue_to_0():
    form = np.ones((D, D))
    form[0, 1] = form[1, 0] = 1.0 + 1e-9
    with pytest.raises(ValueError, match=r"multiply its diagonal by 1 \+ ([0-9.e-]+)$") as refused:
        with_quadratic(L2(), form)
    lifted = form + np.diag(np.full(D, float(str(refused.value).rsplit(" ", 1)[1])))
    with_quadratic(L2(), lifted)


def test_rows_beside_a_diagonal_of_0_are_refused():
    """The eigenvalue is -1e-18, and F goes to minus infinity along the first column."""
    form = np.diag(np.r_[0.0, np.ones(D - 1)])
    form[0, 1] = form[1, 0] = 1e-9
    with pytest.raises(ValueError, match="its row 0 is not 0 beside a diagonal of 0"):
        with_quadratic(L2(), form)


def rounded_forms(size):
    rng = np.random.default_rng(size)
    wide = rng.normal(size=(size // 2, size))
    held = np.linalg.qr(rng.normal(size=(size, size)))[0][:, : size // 2]
    t = np.linspace(0.0, 1.0, size)
    near = np.triu(rng.random((size, size)) * (rng.random((size, size)) < 0.3), 1)
    near += near.T
    centering = np.eye(size) - 1.0 / size
    kernel = np.exp(-5.0 * np.subtract.outer(t, t) ** 2)
    yield from (wide.T @ wide, np.linalg.pinv(wide.T @ wide, hermitian=True), np.ones((size, size)))
    yield from (np.eye(size) - held @ held.T, kernel, centering @ kernel @ centering)
    yield np.diag(near.sum(0)) - near
    yield (held * 10.0 ** np.linspace(-8.0, 8.0, held.shape[1])) @ held.T


@pytest.mark.parametrize("size", [10, 60, 400])
def test_rounding_takes_no_form_too_far_below_0(size):
    for form in rounded_forms(size):
        penalty = with_quadratic(L2(), form)
        term, w = penalty.term(1.0), np.linspace(-1.0, 1.0, size)
        size_of_form = float(np.diag(form) @ w**2)
        assert 0.0 < penalty.below <= 2e-16 * size**2
        assert term.value_rounding(w) >= 0.5 * penalty.below * size_of_form


def beside_two_axes(rng):
    angle = rng.uniform(0.0, 2.0 * np.pi)
    Q = np.zeros((D, 2))
    Q[:2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.eye(D) - Q @ Q.T


def beside_a_basis(rng):
    Q = np.linalg.qr(rng.normal(size=(D, rng.integers(1, D))))[0]
    return np.eye(D) - Q @ Q.T


def of_residuals(rng):
    X = rng.normal(size=(30, rng.integers(3, 8)))
    return np.eye(30) - X @ np.linalg.pinv(X)


def of_a_constant(rng):
    X = rng.normal(size=(100, D))
    X[:, 2] = 1.0
    return X.T @ X / 100 - np.outer(X.mean(0), X.mean(0))


CANCELLED = [beside_two_axes, beside_a_basis, of_residuals, of_a_constant]


@pytest.mark.parametrize("family", CANCELLED)
def test_forms_of_entries_that_cancel_are_taken(family):
    """A diagonal of 1e-17 beside entries as small was refused, and rounding beside a diagonal of
    1e-3 was measured as 1e3 times what it is.
    """
    rng = np.random.default_rng(0)
    for seed in range(100):
        with_quadratic(L2(), family(np.random.default_rng(seed)))
    for seed in range(5):
        form = family(np.random.default_rng(seed))
        X = rng.normal(size=(60, form.shape[0]))
        y = X[:, 0] + rng.normal(size=60)
        model = GDRegressor(P2=form, alpha=0.1, tol=1e-8).fit(X, y)
        centred = X - X.mean(0)
        matrix = centred.T @ centred / 60 + 0.1 * form
        expected = np.linalg.solve(matrix, centred.T @ (y - y.mean()) / 60)
        np.testing.assert_allclose(model.coef_, expected, atol=1e-3)
        assert model.converged_
        assert model.bound_kind_ == "proof"


@pytest.mark.parametrize("family", CANCELLED)
def test_cancelled_forms_less_1e_10_of_the_largest_are_refused(family):
    """The message says what to add, or to multiply by, and that is enough."""
    X, y = problem()
    for seed in range(20):
        form = family(np.random.default_rng(seed))
        form -= 1e-10 * np.linalg.eigvalsh(form)[-1] * np.eye(form.shape[0])
        with pytest.raises(ValueError, match=r"positive semi-definite.* its diagonal") as refused:
            with_quadratic(L2(), form)
        hint = str(refused.value).split("rounding, ")[1]
        if hint.startswith("multiply"):
            lift = float(hint.split(" + ")[1]) * np.diag(form)
        else:
            lift = np.full(form.shape[0], float(hint.split(" ")[1]))
        with_quadratic(L2(), form + np.diag(lift))
        if form.shape[0] == D:
            with pytest.raises(ValueError, match="positive semi-definite"):
                GDRegressor(P2=form).fit(X, y)


def test_rounding_that_is_taken_counts_in_claims():
    """Of a diagonal of 1e-4: 1e-12 in units in which it is 1."""
    u = np.r_[np.sqrt(1.0 - 1e-4), -1e-2 * np.ones(D - 1) / np.sqrt(D - 1)]
    form = np.eye(D) - np.outer(u, u) * (1.0 + 4e-16)
    penalty = with_quadratic(L2(), form)
    scaled = form / np.sqrt(np.outer(np.diag(form), np.diag(form)))
    least = np.linalg.eigvalsh(scaled)[0]
    assert least < -1e-13
    assert penalty.below >= -least
    assert penalty.term(1.0).value_rounding(u) >= 0.5 * penalty.below * (np.diag(form) @ u**2)


@pytest.mark.parametrize("bounds", [None, (0.0, np.inf), (-0.3, 0.4)], ids=str)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_the_gap_with_corners_bounds_what_is_left(loss, bounds):
    X, y = problem()
    y = np.sign(y) if loss == "log_loss" else y
    penalty = with_quadratic(ElasticNet(0.4), P2, bounds=bounds)
    F = Objective(loss, X, y, penalty=penalty, alpha=0.3, fit_intercept=False)
    F.know_null_model()
    ends = None if bounds is None else [bounds] * D
    halves = lambda u: u[:D] - u[D:]  # noqa: E731
    best = minimize(
        lambda u: F.smooth_and_gradient(halves(u))[0] + 0.3 * 0.4 * u.sum(),
        np.zeros(2 * D),
        bounds=[(0.0, 10.0)] * (2 * D),
        constraints=[]
        if ends is None
        else {
            "type": "ineq",
            "fun": lambda u: np.append(halves(u) - bounds[0], min(bounds[1], 1e3) - halves(u)),
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    rng, gap = np.random.default_rng(0), DualityGap(F)
    at = F.allowed(halves(best.x))
    for size in (1.0, 0.1, 1e-3, 0.0):
        v = F.allowed(at + size * rng.normal(size=D))
        smooth, gradient = F.smooth_and_gradient(v)
        left = smooth + F.rest_value(v) - best.fun
        bound = gap.bound(v, smooth, gradient).value
        assert bound >= left - 1e-9
        if size == 0.0:
            assert bound <= 1e-3


@pytest.mark.parametrize("bounds", [None, (0.0, np.inf)], ids=str)
def test_several_classes_with_corners_are_proved(bounds):
    """Nothing bounded what was left: such fits ended on estimates."""
    X, y = problem()
    labels = np.digitize(y, [-1.0, 1.0])
    settings = {"penalty": "elasticnet", "l1_ratio": 0.3, "alpha": 0.05, "bounds": bounds}
    model = GDClassifier(P2=P2, tol=1e-6, **settings).fit(X, labels)
    assert model.bound_kind_ == "proof"
    assert model.suboptimality_ <= 1e-6
