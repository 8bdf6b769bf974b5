"""Standard errors of several classes: plain loops, a class of reference, statsmodels."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from matplotlib.figure import Figure

from fastgd import CoefficientDisplay, GDClassifier, GDRegressor

RNG = np.random.default_rng(0)
N = 150
X = RNG.normal([0.0, 3.0], size=(N, 2))
SCORES = (X - [0.0, 3.0]) @ RNG.normal(size=(2, 3)) + RNG.gumbel(size=(N, 3))
LABELS = np.array(["a", "b", "c"])[np.argmax(SCORES, axis=1)]
WEIGHTS = RNG.integers(1, 4, size=N).astype(float)
CLUSTERS = RNG.integers(0, 20, size=N)


def fitted(rows=X, weights=WEIGHTS, **options):
    return GDClassifier(**{"alpha": 0.0, "tol": 1e-13, **options}).fit(rows, LABELS, weights)


def slow(model, kind, reading="counts"):
    """Covariance of the coefficients of the other classes less those of the first, without a
    penalty, by loops over rows and in these differences.
    """
    Z = np.column_stack([X, np.ones(N)])
    scores = model.decision_function(X)
    probability = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    truth = LABELS[:, None] == np.array(["b", "c"])
    information, meat, by_cluster = np.zeros((6, 6)), np.zeros((6, 6)), {}
    for i in range(N):
        p = probability[i, 1:]
        own = np.kron(p - truth[i], Z[i])
        information += WEIGHTS[i] * np.kron(np.diag(p) - np.outer(p, p), np.outer(Z[i], Z[i]))
        meat += (WEIGHTS[i] if reading == "counts" else WEIGHTS[i] ** 2) * np.outer(own, own)
        by_cluster[CLUSTERS[i]] = by_cluster.get(CLUSTERS[i], 0.0) + WEIGHTS[i] * own
    total, outer = WEIGHTS.sum() if reading == "counts" else float(N), np.linalg.inv(information)
    if kind == "model":
        meat = information
    elif kind == "HC1":
        meat *= total / (total - 6.0)
    elif kind == "cluster":
        n = len(by_cluster)
        meat = sum(np.outer(u, u) for u in by_cluster.values())
        meat *= n / (n - 1) * (total - 1) / (total - 6.0)
    return outer @ meat @ outer


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("kind", ["model", "HC0", "HC1", "cluster"])
def test_differences_have_the_covariance_of_a_model_with_a_reference(kind, storage):
    model = fitted(storage(X))
    clusters = CLUSTERS if kind == "cluster" else None
    table = model.summary(storage(X), LABELS, WEIGHTS, covariance=kind, clusters=clusters)
    relative = table.relative_to("a")
    np.testing.assert_allclose(relative.covariance, slow(model, kind), rtol=1e-6, atol=1e-10)
    whole = np.column_stack([model.coef_, model.intercept_])
    np.testing.assert_allclose(relative.coef, (whole[1:] - whole[0]).ravel())
    assert relative.outputs == ["b"] * 3 + ["c"] * 3
    assert relative.names == ["x0", "x1", "intercept"] * 2
    assert table.n_effective == pytest.approx(6.0)
    # Over the classes every coefficient sums to 0, and so does its covariance with anything.
    sums = table.covariance.reshape(3, 3, 9).sum(axis=0)
    np.testing.assert_allclose(sums, 0.0, atol=1e-12)
    np.testing.assert_array_equal(table.coef, whole.ravel())


@pytest.mark.parametrize("kind", ["model", "HC0", "HC1", "cluster"])
def test_weights_that_are_precisions(kind):
    model = fitted()
    given = {"clusters": CLUSTERS if kind == "cluster" else None, "weights": "precision"}
    table = model.summary(X, LABELS, WEIGHTS, covariance=kind, **given)
    expected = slow(model, kind, "precision")
    np.testing.assert_allclose(table.relative_to("a").covariance, expected, rtol=1e-6, atol=1e-10)
    assert table.n_observations == N


def test_a_model_that_is_not_at_the_optimum_says_so():
    model = fitted()
    table = model.summary(X, LABELS, WEIGHTS)
    assert table.from_optimum < 1e-3
    del model.objective_  # which would tell of other rows
    model.coef_[:, 0] += table.std_error[0] * np.array([0.2, -0.1, -0.1])
    moved = model.summary(X, LABELS, WEIGHTS)
    assert moved.from_optimum == pytest.approx(0.2, rel=0.05)
    assert "0.2 standard errors from the optimum" in moved.notes[-1]


def test_two_classes_have_one_output_and_a_penalty_leaves_less():
    y = np.where(LABELS == "a", "a", "b")
    joint = GDClassifier("log_loss", multi_class="multinomial", alpha=0.0, tol=1e-13).fit(X, y)
    assert joint.summary(X, y).outputs == [""] * 3
    three, model = fitted(alpha=0.1), fitted()
    shrunk, free = (one.summary(X, LABELS, WEIGHTS) for one in (three, model))
    assert shrunk.n_effective < free.n_effective
    assert "penalised" in shrunk.notes[0]
    assert (shrunk.std_error[:2] < free.std_error[:2]).all()


def test_likelihood_and_what_it_gives():
    model = fitted()
    table = model.summary(X, LABELS, WEIGHTS)
    own = model.predict_log_proba(X)[np.arange(N), np.searchsorted(model.classes_, LABELS)]
    assert table.log_likelihood == pytest.approx(WEIGHTS @ own)
    assert table.aic == pytest.approx(12.0 - 2.0 * WEIGHTS @ own)
    shares = np.array([WEIGHTS[one == LABELS].sum() for one in "abc"]) / WEIGHTS.sum()
    null = WEIGHTS.sum() * (shares @ np.log(shares))
    assert table.deviance_explained == pytest.approx(1.0 - (WEIGHTS @ own) / null)


def test_statsmodels():
    sys.path.append("/tmp/sm")
    try:
        api = pytest.importorskip("statsmodels.api")
    finally:
        sys.path.remove("/tmp/sm")
    Z = np.column_stack([X, np.ones(N)])
    options = {"disp": 0, "method": "newton", "maxiter": 50}
    theirs = api.MNLogit(LABELS, Z).fit(**options)
    ours = fitted(weights=None).summary(X, LABELS).relative_to("a")
    np.testing.assert_allclose(ours.coef, np.ravel(theirs.params.T), rtol=1e-6)
    np.testing.assert_allclose(ours.std_error, np.ravel(theirs.bse.T), rtol=1e-6)
    assert ours.aic == pytest.approx(theirs.aic)
    assert ours.deviance_explained == pytest.approx(theirs.prsquared)


def test_it_is_shown_with_its_classes():
    table = fitted().summary(X, LABELS, WEIGHTS)
    assert str(table).splitlines()[1].startswith("a: x0")
    assert "<th>c: intercept</th>" in table._repr_html_()
    frame = pytest.importorskip("pandas") and table.to_frame()
    assert list(frame["output"]) == [one for one in "abc" for _ in range(3)]
    ax = Figure().subplots()
    CoefficientDisplay.from_summary(table.relative_to("b"), ax=ax)
    shown = {text.get_text()[2:] for text in ax.get_yticklabels()}
    assert shown == {", class a", ", class c"}
    with pytest.raises(ValueError, match="output must be one of a, b, c, got 'd'"):
        table.relative_to("d")


def test_without_an_intercept():
    table = fitted(fit_intercept=False).summary(X, LABELS, WEIGHTS)
    assert table.names == ["x0", "x1"] * 3
    assert table.n_effective == pytest.approx(4.0)


@pytest.mark.filterwarnings("ignore::fastgd.ConvergenceWarning")
def test_what_has_none():
    rest = fitted(multi_class="ovr")
    with pytest.raises(ValueError, match=r"is for one model, here are 3.*one of a, b, c, got None"):
        rest.summary(X, LABELS)
    with pytest.raises(ValueError, match="output= must be one of a, b, c, got 'd'"):
        rest.loo_predictions(X, LABELS, output="d")
    with pytest.raises(ValueError, match=r"is for one model, here are 2.*must be one of 0, 1"):
        GDRegressor(alpha=0.1).fit(X, X).summary(X, X)
    with pytest.raises(ValueError, match="output goes with several models, here is one, got 'a'"):
        fitted().summary(X, LABELS, output="a")
    with pytest.raises(ValueError, match="one prediction for each row, this one has 3"):
        fitted().loo_predictions(X, LABELS)
    dependent = np.column_stack([X, X[:, 0]])
    model = fitted(dependent)
    with pytest.raises(ValueError, match="linearly dependent"):
        model.summary(dependent, LABELS, WEIGHTS)


def test_one_of_several_models():
    rest, is_b = fitted(multi_class="ovr"), LABELS == "b"
    alone = GDClassifier(**rest.get_params()).fit(X, is_b, sample_weight=WEIGHTS)
    given = {"sample_weight": WEIGHTS, "covariance": "HC1"}
    one, same = rest.summary(X, LABELS, output="b", **given), alone.summary(X, is_b, **given)
    np.testing.assert_allclose(one.std_error, same.std_error, rtol=1e-6)
    np.testing.assert_allclose(one.coef, same.coef, rtol=1e-6)
    left_out = rest.loo_predictions(X, LABELS, WEIGHTS, output="b")
    np.testing.assert_allclose(left_out, alone.loo_predictions(X, is_b, WEIGHTS), atol=1e-6)
    targets = X[:, :2] * [1.0, 2.0] + X[:, :1]
    table = GDRegressor(alpha=0.1).fit(X, targets).summary(X, targets, output=1)
    same = GDRegressor(alpha=0.1).fit(X, targets[:, 1]).summary(X, targets[:, 1])
    np.testing.assert_allclose(table.std_error, same.std_error)


@pytest.mark.parametrize("fitted", ["multinomial", "ovr"])
def test_the_model_is_the_one_that_was_fitted(fitted):
    """Of several classes, whatever multi_class is by now."""
    model = GDClassifier(multi_class=fitted).fit(X, LABELS)
    output = None if fitted == "multinomial" else "b"
    before = model.summary(X, LABELS, output=output)
    model.set_params(multi_class="ovr" if fitted == "multinomial" else "multinomial")
    after = model.summary(X, LABELS, output=output)
    np.testing.assert_array_equal(after.std_error, before.std_error)
    np.testing.assert_array_equal(after.coef, before.coef)
    if fitted == "multinomial":
        with pytest.raises(ValueError, match="loo_predictions is for a model with one prediction"):
            model.loo_predictions(X, LABELS, output="b")


def test_a_y_of_other_columns_than_that_of_the_fit():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 3)), rng.normal(size=(60, 3))
    one, three = GDRegressor().fit(X, Y[:, 0]), GDRegressor().fit(X, Y)
    labels = GDClassifier().fit(X, Y > 0.0)
    for report in ("summary", "loo_predictions"):
        with pytest.raises(ValueError, match=r"y has shape \(60, 3\), .* fitted to one target: "):
            getattr(one, report)(X, Y)
        with pytest.raises(ValueError, match=r"y has shape \(60,\), .* fitted to 3 targets: "):
            getattr(three, report)(X, Y[:, 2], output=2)
        with pytest.raises(ValueError, match=r"y has shape \(60, 2\), .* fitted to 3 targets: "):
            getattr(labels, report)(X, Y[:, :2] > 0.0, output=2)
    column, row = one.summary(X, Y[:, :1]), one.summary(X, Y[:, 0])
    np.testing.assert_array_equal(column.std_error, row.std_error)


def test_a_penalty_of_its_own_for_each_column():
    shares, units = np.array([4.0, 0.25]), np.array([0.5, 2.0, 1.0] * 3)
    rows, given = X / np.sqrt(shares), {"alpha": 0.01, "tol": 1e-12}
    expected = fitted(rows, **given).summary(rows, LABELS, WEIGHTS)
    found = fitted(penalty_weights=shares, **given).summary(X, LABELS, WEIGHTS)
    np.testing.assert_allclose(found.std_error, units * expected.std_error, rtol=1e-5)
