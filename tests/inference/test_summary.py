"""Standard errors, against their formulas with plain loops and against other packages."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from sklearn.datasets import load_breast_cancer, load_diabetes

from fastgd import GDClassifier, GDRegressor, Tweedie
from fastgd.estimators.reports import standard_deviations
from fastgd.inference.summary import Coefficients

X, Y = load_diabetes(return_X_y=True)
X = X[:, :5] * 10.0 + 0.5
Y = Y / 50.0
RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(1, 4, len(Y)).astype(float)
CLUSTERS = RNG.integers(0, 40, len(Y))
LABELS = (Y > 3.0).astype(int)
EXACT = {"tol": 1e-12}


def regressor(**options):
    return GDRegressor(**{"alpha": 0.0, **EXACT, **options}).fit(X, Y, sample_weight=WEIGHTS)


def classifier(**options):
    return GDClassifier(**{"alpha": 0.0, **EXACT, **options}).fit(X, LABELS, sample_weight=WEIGHTS)


def slow(prediction_terms, coef, alpha, kind, reading="counts"):
    """(covariance, p) with loops over rows; `prediction_terms(z, i)` is (derivative, curvature)."""
    Z = np.column_stack([X, np.ones(len(X))])
    total, size = WEIGHTS.sum(), Z.shape[1]
    n = total if reading == "counts" else len(X)
    information, meat = np.zeros((size, size)), np.zeros((size, size))
    by_cluster = {}
    for i, row in enumerate(Z):
        derivative, curvature = prediction_terms(float(row @ coef), i)
        information += WEIGHTS[i] * curvature * np.outer(row, row)
        share = WEIGHTS[i] if reading == "counts" else WEIGHTS[i] ** 2
        meat += share * derivative**2 * np.outer(row, row)
        by_cluster[CLUSTERS[i]] = by_cluster.get(CLUSTERS[i], 0.0) + WEIGHTS[i] * derivative * row
    penalty = np.diag([alpha * total] * (size - 1) + [0.0])
    outer = np.linalg.inv(information + penalty)
    p = np.trace(outer @ information)
    if kind == "cluster":
        groups = len(by_cluster)
        meat = sum(np.outer(u, u) for u in by_cluster.values())
        meat *= groups / (groups - 1) * (n - 1) / (n - p)
    elif kind == "HC1":
        meat *= n / (n - p)
    elif kind == "model":
        meat = information
    return outer @ meat @ outer, p


def squared(z, i):
    return z - Y[i], 1.0


def logistic(z, i):
    p = 1.0 / (1.0 + np.exp(-z))
    return p - LABELS[i], p * (1.0 - p)


@pytest.mark.parametrize("reading", ["counts", "precision"])
@pytest.mark.parametrize("kind", ["model", "HC0", "HC1", "cluster"])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("which", ["squared", "logistic"])
def test_covariances_are_their_formulas(which, alpha, kind, reading):
    if which == "squared":
        model, y, terms = regressor(alpha=alpha), Y, squared
    else:
        model, y, terms = classifier(alpha=alpha), LABELS, logistic
    clusters = CLUSTERS if kind == "cluster" else None
    given = {"covariance": kind, "clusters": clusters, "weights": reading}
    found = model.summary(X, y, sample_weight=WEIGHTS, **given)
    coef = np.r_[np.ravel(model.coef_), model.intercept_]
    expected, p = slow(terms, coef, alpha, kind, reading)
    n = WEIGHTS.sum() if reading == "counts" else len(Y)
    assert found.n_observations == n
    if kind == "model" and which == "squared":
        residuals = Y - model.predict(X)
        expected *= (WEIGHTS @ residuals**2) / (n - p)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(found.n_effective, p, rtol=1e-8)
    np.testing.assert_allclose(found.coef, coef)
    assert found.covariance_type == found.kind == kind
    assert bool(found.notes) == (alpha > 0.0)


def test_least_squares_agrees_with_the_textbook():
    """`scipy.stats.linregress` on one column."""
    model = GDRegressor(alpha=0.0, **EXACT).fit(X[:, :1], Y)
    found, other = model.summary(X[:, :1], Y), scipy.stats.linregress(X[:, 0], Y)
    expected = other.stderr, other.intercept_stderr
    np.testing.assert_allclose(found.std_error, expected, rtol=1e-7)
    np.testing.assert_allclose(found.deviance_explained, other.rvalue**2, rtol=1e-7)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_weights_are_repeats_and_dense_is_csr(storage):
    repeats = np.repeat(np.arange(len(Y)), WEIGHTS.astype(int))
    model = regressor()
    weighted = model.summary(storage(X), Y, sample_weight=WEIGHTS)
    repeated = model.summary(X[repeats], Y[repeats])
    for name in ("std_error", "p_value", "log_likelihood", "aic", "bic", "deviance_explained"):
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-8, atol=1e-14, err_msg=name
        )


COUNTS = np.round(Y)
MEANS = {"poisson": 1.0, "gamma": 2.0, "tweedie": 1.5, "inverse_gaussian": 3.0}
DENSITIES = {
    "poisson": lambda y, mean, dispersion: scipy.stats.poisson.logpmf(y, mean),
    "gamma": lambda y, mean, dispersion: scipy.stats.gamma.logpdf(
        y, 1.0 / dispersion, scale=dispersion * mean
    ),
    "inverse_gaussian": lambda y, mean, dispersion: scipy.stats.invgauss.logpdf(
        y, dispersion * mean, scale=1.0 / dispersion
    ),
    "negative_binomial": lambda y, mean, dispersion: scipy.stats.nbinom.logpmf(
        y, 1.0, 1.0 / (1.0 + mean)
    ),
}


@pytest.mark.jit
@pytest.mark.parametrize("loss", [*MEANS, "negative_binomial"])
def test_losses_with_a_log_link(loss):
    """Fisher's information is sum of s_i mean_i^2 / variance(mean_i) x_i x_i'."""
    y = COUNTS if loss in ("poisson", "negative_binomial") else Y
    model = GDRegressor(loss=loss, alpha=0.0, **EXACT).fit(X, y, sample_weight=WEIGHTS)
    found = model.summary(X, y, sample_weight=WEIGHTS)
    means = model.predict(X)
    variances = means + means**2 if loss == "negative_binomial" else means ** MEANS[loss]
    Z = np.column_stack([X, np.ones(len(X))])
    information = (Z.T * (WEIGHTS * means**2 / variances)) @ Z
    dispersion = 1.0
    if loss not in ("poisson", "negative_binomial"):
        squares = WEIGHTS @ ((y - means) ** 2 / variances)
        dispersion = squares / (WEIGHTS.sum() - Z.shape[1])
    np.testing.assert_allclose(found.dispersion, dispersion, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, dispersion * np.linalg.inv(information), rtol=1e-6)
    if loss in DENSITIES:
        expected = WEIGHTS @ DENSITIES[loss](y, means, dispersion)
        np.testing.assert_allclose(found.log_likelihood, expected, rtol=1e-8)
    np.testing.assert_allclose(
        found.deviance_explained, model.score(X, y, sample_weight=WEIGHTS), rtol=1e-6
    )


@pytest.mark.jit
@pytest.mark.parametrize("power", [0.0, 2.0, 3.0])
@pytest.mark.parametrize("weights", ["counts", "precision"])
def test_powers_with_a_density_have_its_likelihood(power, weights):
    name = {0.0: "squared_error", 2.0: "gamma", 3.0: "inverse_gaussian"}[power]
    given = {"sample_weight": WEIGHTS}
    found, expected = (
        GDRegressor(loss, alpha=0.0, **EXACT).fit(X, Y, **given) for loss in (Tweedie(power), name)
    )
    found, expected = (one.summary(X, Y, **given, weights=weights) for one in (found, expected))
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-8)
    assert found.aic == pytest.approx(expected.aic, rel=1e-8)


SHARES = np.round(10.0 * Y / (1.0 + Y)) / 10.0
TARGETS = {
    "squared_error": Y,
    "poisson": COUNTS,
    "gamma": Y,
    "inverse_gaussian": Y,
    "negative_binomial": COUNTS,
    "binomial": SHARES,
}


@pytest.mark.filterwarnings("ignore:cov_type not fully supported with var_weights")
@pytest.mark.parametrize("loss", TARGETS)
def test_weights_that_are_precisions_are_var_weights_of_statsmodels(loss):
    api = pytest.importorskip("statsmodels.api")
    log, family = api.families.links.Log(), api.families
    families = {
        "squared_error": family.Gaussian(),
        "poisson": family.Poisson(),
        "gamma": family.Gamma(log),
        "inverse_gaussian": family.InverseGaussian(log),
        "negative_binomial": family.NegativeBinomial(alpha=1.0),
        "binomial": family.Binomial(),
    }
    y, weights = TARGETS[loss], np.where(CLUSTERS > 2, 0.1 * WEIGHTS, 0.0)
    some = weights > 0.0
    model = GDRegressor(loss, alpha=0.0, **EXACT).fit(X, y, weights)
    for kind in ("nonrobust", "HC0", "cluster"):
        groups = {"cov_kwds": {"groups": CLUSTERS[some]}} if kind == "cluster" else {}
        rows = y[some], np.column_stack([X, np.ones(len(X))])[some]
        theirs = api.GLM(*rows, family=families[loss], var_weights=weights[some])
        theirs = theirs.fit(tol=1e-13, maxiter=200, cov_type=kind, **groups)
        covariance = "model" if kind == "nonrobust" else kind
        given = {"clusters": CLUSTERS if kind == "cluster" else None, "weights": "precision"}
        ours = model.summary(X, y, weights, covariance=covariance, **given)
        np.testing.assert_allclose(ours.std_error, theirs.bse, rtol=1e-6)
        assert ours.dispersion == pytest.approx(theirs.scale, rel=1e-6)
        if loss != "binomial":  # theirs has a number of ways to order a share of a trial
            assert ours.aic == pytest.approx(theirs.aic, rel=1e-8)
            assert ours.bic == pytest.approx(theirs.bic_llf, rel=1e-8)


@pytest.mark.jit
@pytest.mark.parametrize("loss", ["squared_error", "gamma", "inverse_gaussian"])
def test_the_likelihood_of_rows_of_different_precision(loss):
    model = GDRegressor(loss, alpha=0.0, **EXACT).fit(X, Y, WEIGHTS)
    table = model.summary(X, Y, WEIGHTS, weights="precision")
    means = model.predict(X)
    if loss == "squared_error":
        variance = WEIGHTS @ (Y - means) ** 2 / len(Y)
        expected = scipy.stats.norm.logpdf(Y, means, np.sqrt(variance / WEIGHTS)).sum()
    else:
        expected = DENSITIES[loss](Y, means, table.dispersion / WEIGHTS).sum()
    assert table.log_likelihood == pytest.approx(expected, rel=1e-8)
    assert table.bic == pytest.approx(np.log(len(Y)) * 6.0 - 2.0 * expected, rel=1e-8)
    # Only the ratios of such weights say anything.
    ten = model.summary(X, Y, 10.0 * WEIGHTS, weights="precision")
    np.testing.assert_allclose(ten.std_error, table.std_error, rtol=1e-9)
    assert ten.aic == pytest.approx(table.aic)


def test_a_note_says_how_weights_were_read_that_may_be_no_counts():
    def notes(loss, y, given, reading=None):
        model = GDRegressor(loss, alpha=0.0, **EXACT).fit(X, y, given)
        return model.summary(X, y, given, weights=reading).notes

    (note,) = notes("squared_error", Y, 0.3 * WEIGHTS)
    assert "read as counts" in note
    assert "weights='precision'" in note
    assert notes("binomial", SHARES, WEIGHTS) == (note,)
    for reading in ("counts", "precision"):
        assert notes("squared_error", Y, 0.3 * WEIGHTS, reading) == ()
    for weights in (WEIGHTS, None, 0.0 + (WEIGHTS > 1.0)):
        assert notes("squared_error", Y, weights) == ()
    assert notes("binomial", SHARES, None) == ()
    with pytest.raises(ValueError, match=r"got 1 and 6: weights are read as counts.*of 442 rows"):
        notes("squared_error", Y, WEIGHTS / WEIGHTS.sum())


def test_residuals_of_losses_that_are_not_convex_take_the_second_derivative():
    model = GDRegressor("inverse_gaussian", alpha=0.0, **EXACT).fit(X, Y, WEIGHTS)
    found = model.summary(X, Y, WEIGHTS, covariance="HC0")
    component, coef = model._components()[0], np.r_[model.coef_, model.intercept_]

    def terms(z, i):
        return component.derivative(z, Y[i]), component.curvature(z, Y[i])

    expected, p = slow(terms, coef, 0.0, "HC0")
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6)
    assert found.n_effective == pytest.approx(p)
    model.intercept_ += 5.0
    with pytest.raises(ValueError, match="second derivative at this model is not positive"):
        model.summary(X, Y, covariance="HC0")


@pytest.mark.parametrize("loss", TARGETS)
def test_a_model_that_is_not_at_the_optimum_says_so(loss):
    model = GDRegressor(loss, alpha=0.0, **EXACT).fit(X, TARGETS[loss], WEIGHTS)
    table = model.summary(X, TARGETS[loss], WEIGHTS, weights="counts")
    assert table.from_optimum < 1e-3
    assert table.notes == ()
    model.coef_[1] += 0.02 * table.std_error[1]
    del model.objective_  # which would tell of other rows
    moved = model.summary(X, TARGETS[loss], WEIGHTS, weights="counts")
    # Fisher's curvature, which steps of "model" take, is the second derivative but for some of it.
    assert moved.from_optimum == pytest.approx(0.02, rel=0.2)
    (note,) = moved.notes
    assert "standard errors from the optimum: fit with a smaller tol" in note


@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_rounding_is_no_distance(noise):
    far = X + np.array([1e6, 0.0, 0.0, 0.0, 0.0])
    y = X.sum(axis=1) + noise * Y
    for rows in (X, far):
        table = GDRegressor(alpha=0.0, **EXACT).fit(rows, y).summary(rows, y)
        assert table.from_optimum < 0.01


def test_columns_far_from_zero():
    far = X + np.array([1e6, 0.0, 0.0, 0.0, 0.0])
    near = GDRegressor(alpha=0.0, **EXACT).fit(X, Y).summary(X, Y)
    found = GDRegressor(alpha=0.0, **EXACT).fit(far, Y).summary(far, Y)
    np.testing.assert_allclose(found.std_error[:-1], near.std_error[:-1], rtol=1e-5)
    # The intercept is now that of a point a million away.
    assert found.std_error[-1] > 1e5 * near.std_error[0]


def test_it_prints_and_gives_a_frame():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    found = GDRegressor(alpha=1e-3, **EXACT).fit(X, y).summary(X, y, covariance="HC1")
    frame = found.to_frame()
    assert list(frame.index) == [*X.columns, "intercept"]
    assert list(frame.columns) == ["coef", "std_error", "z", "p_value", "low", "high"]
    text, html = str(found), found._repr_html_()
    for word in ("bmi", "intercept", "HC1", "AIC", "penalised"):
        assert word in text
        assert word in html
    assert (found.low < found.coef).all()
    assert (found.coef < found.high).all()


@pytest.mark.parametrize("level", [None, 0.5])
def test_p_values_and_intervals_are_those_of_a_normal(level):
    given = {} if level is None else {"level": level}
    of_one = regressor().summary(X, Y, **given)
    several = (
        GDClassifier(alpha=0.1, **EXACT)
        .fit(X, LABELS + (Y > 1.0))
        .summary(X, LABELS + (Y > 1.0), **given)
    )
    for found in (of_one, several, several.relative_to("1")):
        normal = scipy.stats.norm(found.coef, np.sqrt(np.diag(found.covariance)))
        assert found.level == (level or 0.95)
        np.testing.assert_allclose((found.low, found.high), normal.interval(level or 0.95))
        np.testing.assert_allclose(found.z, found.coef / normal.std())
        tails = 2.0 * scipy.stats.norm.sf(np.abs(found.z))
        np.testing.assert_allclose(found.p_value, tails, rtol=1e-9)
    frame = several.to_frame()
    np.testing.assert_array_equal(frame[["low", "high"]], np.c_[several.low, several.high])


def test_standard_errors_need_more_observations_than_coefficients():
    model = GDRegressor(alpha=0.0, **EXACT).fit(X[:6], Y[:6])
    with pytest.raises(ValueError, match=r"observations than coefficients, got 6 and 6$"):
        model.summary(X[:6], Y[:6], covariance="HC1")
    given = {"sample_weight": np.full(9, 0.5)}
    model = GDRegressor(alpha=0.0, **EXACT).fit(X[:9], Y[:9], **given)
    with pytest.raises(ValueError, match=r"got 4\.5 and 6: .* reads them as .* of 9 rows"):
        model.summary(X[:9], Y[:9], weights="counts", **given)


def test_coefficients_of_any_model():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = GDClassifier("hinge", penalty="l1", alpha=1e-2).fit(X, y)
    table = model.coefficients(X)
    order = [list(X.columns).index(name) for name in table.names]
    np.testing.assert_array_equal(table.values, model.coef_[0][order])
    np.testing.assert_allclose(table.standardised, (model.coef_[0] * X.std(ddof=0).array)[order])
    assert (np.diff(np.abs(table.standardised)) <= 0.0).all()
    model = GDClassifier("hinge", penalty="l1", alpha=1e-2).fit(X.to_numpy(), y)
    sparse = model.coefficients(sp.csr_array(X.to_numpy()))
    np.testing.assert_allclose(sparse.standardised, table.standardised, rtol=1e-9)
    assert "worst" in str(table)
    assert "worst" in table._repr_html_()
    assert len(table.to_frame()) == X.shape[1]
    with pytest.raises(ValueError, match="X contains NaN"):  # columns had the deviation NaN
        model.coefficients(X.where(X > 0.1).to_numpy())
    with pytest.raises(TypeError, match=r"GDClassifier\.summary\(\) needs X and y, got no y"):
        model.summary(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [0.0, 1e4, 1e8])
def test_standard_deviations_of_csr_are_those_of_dense_columns(far, dtype):
    dense = np.column_stack([X[:, 0] + far, np.where(X[:, 1] > 0.5, X[:, 1], 0.0)]).astype(dtype)
    rows = sp.csr_array(dense)
    twice = sp.csr_array((rows.data.repeat(2) / 2, rows.indices.repeat(2), 2 * rows.indptr))
    for given in (rows, twice):
        found = standard_deviations(given)
        np.testing.assert_allclose(found, standard_deviations(dense), rtol=1e-7, atol=1e-12)


def test_coefficients_of_several_classes_name_them():
    model = GDClassifier("hinge").fit(X, np.array(["a", "b", "c"])[np.digitize(Y, [2.0, 4.0])])
    table = model.coefficients()
    assert set(table.outputs) == {"a", "b", "c"}
    assert table.values.size == 3 * X.shape[1]


STRENGTHS = np.array([1.0, 4.0, 0.25, 9.0, 0.1])


@pytest.mark.parametrize("kind", ["model", "HC1"])
def test_a_penalty_of_its_own_for_each_column(kind):
    """It is columns in other units, or a form with these on its diagonal; 0 is next to nothing."""
    plain = GDRegressor(alpha=1e-3, **EXACT).fit(X / np.sqrt(STRENGTHS), Y)
    expected = plain.summary(X / np.sqrt(STRENGTHS), Y, covariance=kind)
    for given in ({"penalty_weights": STRENGTHS}, {"P2": np.diag(STRENGTHS)}):
        found = GDRegressor(alpha=1e-3, **EXACT, **given).fit(X, Y).summary(X, Y, covariance=kind)
        units = np.append(1.0 / np.sqrt(STRENGTHS), 1.0)
        np.testing.assert_allclose(found.std_error, units * expected.std_error, rtol=1e-6)
        assert found.n_effective == pytest.approx(expected.n_effective, rel=1e-8)
        assert found.notes == expected.notes
    tables = [
        GDRegressor(alpha=1e-3, penalty_weights=np.append(least, np.ones(4)), **EXACT)
        .fit(X, Y)
        .summary(X, Y, covariance=kind)
        for least in (0.0, 1e-12)
    ]
    np.testing.assert_allclose(tables[0].std_error, tables[1].std_error, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({}, {"covariance": "robust"}, r"covariance must be one of .*'robust'"),
        ({}, {"covariance": np.ones(442)}, r"covariance must be one of .* array of shape \(442,\)"),
        ({}, {"weights": "exposure"}, r"weights says how sample_weight is read, .*got 'exposure'"),
        ({}, {"weights": np.ones(442)}, r"as sample_weight, got an array of shape \(442,\)"),
        ({}, {"level": 95}, "level must be a float between 0 and 1, got 95"),
        ({}, {"covariance": "cluster"}, "needs clusters=, a label for each row"),
        ({}, {"clusters": CLUSTERS}, "clusters go with covariance='cluster', got 'model'"),
        (
            {},
            {"covariance": "cluster", "clusters": CLUSTERS[:5]},
            r"clusters must have shape \(442,\)",
        ),
        ({}, {"covariance": "cluster", "clusters": 0 * CLUSTERS}, "at least 2 clusters, got 1"),
        (
            {},
            {"covariance": "cluster", "clusters": np.where(CLUSTERS > 3, CLUSTERS, np.nan)},
            "clusters must hold a label for each row, row .* has .*nan",
        ),
        (
            {},
            {"covariance": "cluster", "clusters": np.array(["a", 1] * 221, dtype=object)},
            "clusters mixes labels that cannot be ordered",
        ),
        ({"loss": "huber"}, {}, "needs a loss that is a likelihood, and 'huber' is none"),
        ({"loss": "quantile"}, {"covariance": "HC1"}, "needs a loss with a derivative"),
        ({"penalty": "l1"}, {"covariance": "HC1"}, "an L2 penalty or none, got loss="),
    ],
)
def test_bad_input(options, changes, message):
    model = GDRegressor(**options).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.summary(X, Y, **changes)


def test_dependent_columns_have_no_standard_errors():
    twice = np.column_stack([X, X[:, 0]])
    with pytest.raises(ValueError, match="columns of X are linearly dependent"):
        GDRegressor(alpha=0.0).fit(twice, Y).summary(twice, Y)
    assert np.isfinite(GDRegressor(alpha=0.1).fit(twice, Y).summary(twice, Y).std_error).all()


def test_a_note_says_that_the_rows_are_not_those_that_were_fitted():
    X, y = load_breast_cancer(return_X_y=True)
    several = np.digitize(X[:, 0], [12.0, 15.0])
    for labels in (y, several):
        model = GDClassifier(alpha=0.1).fit(X[:400], labels[:400])
        right = model.summary(X[:400], labels[:400])
        assert not any("objective of these rows" in note for note in right.notes)
        other = model.summary(X[100:], labels[100:])
        assert "right for the rows, weights and offsets that were fitted" in other.notes[-1]
    exact = GDRegressor(alpha=0.0).fit(X[:, :2], X[:, 0])
    assert len(exact.summary(X[:, :2], X[:, 0]).notes) == 0


def test_tables_print_as_tables_at_a_prompt():
    X, y = load_breast_cancer(return_X_y=True)
    model = GDClassifier().fit(X[:, :2], y)
    for table in (model.summary(X[:, :2], y), model.coefficients(X[:, :2])):
        assert repr(table) == str(table)
        assert repr(table).startswith("column ")


def test_tables_say_whose_coefficients_they_have():
    """Of two classes nothing said that a positive coefficient speaks for the second."""
    two = np.where(LABELS > 0, "yes", "no")
    model = GDClassifier(alpha=0.1).fit(X, two)
    for table in (model.summary(X, two), model.coefficients(), model.coefficients(X)):
        assert table.about == "class yes, against class no"
        for text in (str(table), table._repr_html_()):
            assert "class yes, against class no" in text
    with pytest.raises(ValueError, match=r"several classes; .*of class yes, against class no$"):
        model.summary(X, two).relative_to("yes")
    three = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
    rest = GDClassifier(multi_class="ovr", alpha=0.1).fit(X, three)
    assert rest.summary(X, three, output=2).about == "class 2, against the rest"
    assert rest.coefficients().about == ""
    table = GDClassifier(alpha=0.1).fit(X, three).summary(X, three)
    assert table.about == ""
    assert table.relative_to(1).notes[-1] == "Differences to class 1."
    both = np.column_stack([Y > 2.0, Y > 3.0]).astype(int)
    marked = GDClassifier(alpha=0.1).fit(X, both)
    assert marked.summary(X, both, output=0).about == "label 0"
    targets = GDRegressor(alpha=0.1).fit(X, np.column_stack([Y, -Y]))
    assert targets.summary(X, np.column_stack([Y, -Y]), output=1).about == "target 1"
    alone = regressor()
    assert alone.summary(X, Y).about == alone.coefficients().about == ""
    with pytest.raises(ValueError, match=r"this table is of one model$"):
        alone.summary(X, Y).relative_to(0)


def test_long_tables_print_their_first_and_last_rows():
    """200 classes of 2,000 columns were 400,001 lines."""
    names = [f"c{j}" for j in range(1000)]
    values = np.linspace(2.0, 1.0, 200_000).reshape(200, 1000)
    table = Coefficients.of(names, [str(k) for k in range(200)], values)
    lines = str(table).splitlines()
    assert len(lines) == 63
    assert lines[1].split() == ["c0", "0", "2"]
    assert lines[31].split() == ["..."] * 3
    assert lines[61].split() == ["c999", "199", "1"]
    assert lines[62] == "200,000 coefficients; to_frame() has all."
    assert table._repr_html_().count("<tr>") == 62
    assert len(table.to_frame()) == len(table.values) == 200_000
    wide = np.random.default_rng(3).normal(size=(200, 70))
    found = GDRegressor(alpha=1.0).fit(wide, wide[:, 0]).summary(wide, wide[:, 0])
    lines = str(found).splitlines()
    assert lines[60].split()[0] == "x69"
    assert lines[61].split()[0] == "intercept"
    assert "coefficients: 71; to_frame() has all" in lines
    short = Coefficients.of(names[:60], [""], values[:1, :60])
    assert len(str(short).splitlines()) == 61


def test_small_p_values_are_not_printed_as_0():
    table = GDRegressor(alpha=0.0).fit(X, Y).summary(X, Y)
    assert table.p_value.min() < 1e-4
    assert "<0.0001" in str(table)
    assert " 0.0000" not in str(table)
    assert "&lt;0.0001" in table._repr_html_()


@pytest.mark.parametrize("classes", [2, 3])
def test_separated_classes_have_no_standard_errors(classes):
    x = np.arange(30.0)[:, None]
    y = np.digitize(x[:, 0], [9.5, 19.5][: classes - 1])
    model = GDClassifier(alpha=0.0).fit(x, y)
    with pytest.raises(ValueError, match=r"no standard errors: the classes are separated .*alpha"):
        model.summary(x, y)
    held = GDClassifier(alpha=1e-3).fit(x, y).summary(x, y)
    assert np.isfinite(held.std_error).all()


def test_rows_without_weight_are_in_no_cluster():
    model, weights = classifier(), WEIGHTS.copy()
    weights[CLUSTERS < 5] = 0.0
    some = weights > 0.0
    given = {"covariance": "cluster", "clusters": CLUSTERS}
    found = model.summary(X, LABELS, weights, **given).std_error
    given["clusters"] = CLUSTERS[some]
    expected = model.summary(X[some], LABELS[some], weights[some], **given).std_error
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    one = np.where(CLUSTERS == 3, 1.0, 0.0)
    with pytest.raises(ValueError, match="at least 2 clusters, got 1"):
        model.summary(X, LABELS, one, covariance="cluster", clusters=CLUSTERS)
