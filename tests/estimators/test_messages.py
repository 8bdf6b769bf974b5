"""What a user of another library writes first, and what it is told to write here."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.model_selection import GroupKFold

import fastgd
from fastgd import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV
from fastgd.estimators.unknown_parameters import INSTEAD, OF_FITS, OF_SEARCHES

X = np.random.default_rng(0).standard_normal((30, 3))
Y = (X[:, 0] > 0.0).astype(int)
FRAME = pd.DataFrame(X, columns=["age", "income", "city"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"learning_rate": 0.1},
            "0.1; a number is written learning_rate='constant', eta0=0.1",
        ),
        ({"learning_rate": "adam"}, "that is a solver: write solver='adam'"),
        ({"solver": "sgd"}, "write solver='gd' with batch_size=1"),
        ({"solver": "newton-cg"}, "write solver='newton'"),
        ({"solver": "AdamW"}, "write solver='adam'"),
        ({"loss": "log"}, "did you mean 'log_loss'"),
        ({"loss": "logistic"}, "did you mean 'log_loss'"),
        ({"loss": "mse"}, r"did you mean 'squared_error'\? It is half the .*: give half the alpha"),
        ({"loss": "mean_squared_error"}, r"did you mean 'squared_error'\? It is half the"),
        (
            {"loss": "mean_absolute_error"},
            r"did you mean 'quantile'\? With quantile=0.5 it is half",
        ),
        ({"loss": "rmse"}, r"did you mean 'squared_error'\? Known"),
        ({"loss": "gaussian"}, r"did you mean 'squared_error'\? Known"),
        ({"loss": "crossentropy"}, "did you mean 'log_loss'"),
        ({"loss": "logit"}, "did you mean 'log_loss'"),
        ({"loss": "squared_loss"}, r"did you mean 'squared_error'\? Known"),
        (
            {"loss": "absolute_error"},
            r"did you mean 'quantile'\? With quantile=0.5 it is half .*: give half the alpha",
        ),
        ({"loss": "pinball"}, r"did you mean 'quantile'\? Known"),
        ({"loss": "Hinge_"}, "did you mean 'hinge'"),
        ({"penalty": "ridge"}, "did you mean 'l2'"),
        ({"penalty": "elastic_net"}, "did you mean 'elasticnet'"),
    ],
    ids=str,
)
def test_values_of_other_libraries(parameters, message):
    with pytest.raises(ValueError, match=message):
        GDClassifier(**parameters).fit(X, Y)


def test_half_of_an_alpha_beside_the_absolute_error():
    """That is epsilon_insensitive with epsilon=0."""
    y = X @ [1.0, -2.0, 0.5] + np.random.default_rng(1).standard_t(2, 30)
    whole = GDRegressor("epsilon_insensitive", epsilon=0.0, alpha=0.2, tol=1e-10).fit(X, y)
    half = GDRegressor("quantile", alpha=0.1, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(half.coef_, whole.coef_, atol=1e-4)
    assert half.objective_ == pytest.approx(whole.objective_ / 2, rel=1e-8)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("C", 1.0, r"write alpha=1 / \(C \* n_samples\)"),
        ("lr", 0.1, "write learning_rate='constant', eta0=0.1"),
        ("unheard_of", 1, "unexpected keyword argument 'unheard_of'$"),
        ("aplha", 1, r"unexpected keyword argument 'aplha'; did you mean 'alpha'\?"),
    ],
)
def test_parameters_of_other_libraries(name, value, message):
    for kind in (GDClassifier, GDRegressor):
        with pytest.raises(TypeError, match=message):
            kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (GDClassifierCV, "C", 1.0, r"write alphas=\[1 / \(C \* n_samples\)\]$"),
        (GDRegressorCV, "reg_lambda", 0.5, r"write alphas=\[0.5\], which multiply a mean loss$"),
        (GDRegressorCV, "n_folds", 5, "write cv=5$"),
        (GDRegressor, "quantile", 0.9, r"write loss=fastgd.Quantile\(0.9\)"),
        (GDClassifier, "quantile", 0.9, "write nothing: that is of losses of GDRegressor$"),
        (GDClassifier, "n_folds", 5, "write nothing: GDClassifierCV takes it as cv$"),
        (GDRegressor, "Cs", 3, "write nothing: GDRegressorCV takes alphas, which are 1 /"),
        (GDClassifier, "lr", "adaptive", "write learning_rate='constant', eta0$"),
        (GDClassifier, "regularization", 1.0, "write penalty for its kind, .* alpha for its str"),
        (GDClassifier, "lamda", 1, "write alpha=1, which multiplies a mean loss$"),
        (GDRegressor, "l2", 0.5, "write penalty='l2', alpha=0.5, which"),
        (GDRegressorCV, "lambd", 0.5, r"write alphas=\[0.5\], which multiply a mean loss$"),
        (GDClassifier, "optimizer", "sgd", "write solver, such as 'adam', or 'gd' with batch_s"),
    ],
)
def test_what_is_advised_is_what_the_estimator_has(kind, name, value, message):
    with pytest.raises(TypeError, match=message):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (GDRegressor, "quantile", 0.9, r"for GDRegressor; write loss=fastgd.Quantile\(0.9\)$"),
        (
            GDClassifierCV,
            "C",
            1.0,
            r"parameter 'C' for GDClassifierCV; write alphas=\[1 / \(C \* n_samples\)\]$",
        ),
        (
            GDClassifier,
            "n_folds",
            5,
            "Invalid parameter 'n_folds' for GDClassifier; write nothing: GDClassifierCV takes",
        ),
        (GDRegressor, "aplha", 1, r"parameter 'aplha' for GDRegressor; did you mean 'alpha'\?$"),
        (GDRegressor, "unheard_of", 1, "Valid parameters are"),
    ],
)
def test_set_params_advises_what_the_constructor_does(kind, name, value, message):
    """It listed all parameters."""
    model = kind(tol=1e-3)
    with pytest.raises(ValueError, match=message):
        model.set_params(tol=1e-5, **{name: value})
    assert model.tol == 1e-3


@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor, GDClassifierCV, GDRegressorCV])
def test_parameters_that_are_advised_are_there(kind):
    known = inspect.signature(kind).parameters
    for name in set(INSTEAD | (OF_SEARCHES if "alphas" in known else OF_FITS)) - set(known):
        with pytest.raises(TypeError) as told:
            kind(**{name: 1})
        advised = re.search(r"; write (\w+)", str(told.value))[1]
        assert advised in known or advised == "nothing", told.value


def test_a_classifier_names_losses_that_it_takes():
    """It named those of counts, which it refuses."""
    with pytest.raises(ValueError, match="did you mean 'log_loss'") as told:
        GDClassifier("logloss").fit(X, Y)
    named = str(told.value).split("Known: ")[1].split(", ")
    assert {"hinge", "huber", "log_loss", "squared_error"} <= set(named)
    assert not {"poisson", "gamma", "tweedie", "binomial"} & set(named)
    with pytest.raises(ValueError, match=r"Known: .*poisson"):
        GDRegressor("possion").fit(X, Y)
    with pytest.raises(ValueError, match=r"'poisson'.* loss of regressions, .*'log_loss'$"):
        GDClassifier("poisson").fit(X, Y)


def test_names_of_columns_that_are_not_all_text_are_a_plain_value_error():
    with pytest.raises(ValueError, match="string names") as told:
        GDClassifier().fit(FRAME.rename(columns={"age": 1}), Y)
    assert type(told.value) is ValueError


def test_texts_are_told_what_makes_columns_of_their_words():
    texts = ["so far the best of all worlds " * 50, "a short one"]
    for call in (
        lambda: GDClassifier().fit(texts, [0, 1]),
        lambda: GDClassifier().partial_fit(texts, [0, 1], classes=[0, 1]),
    ):
        with pytest.raises(ValueError, match="with HashingVectorizer or TfidfVectorizer") as error:
            call()
        assert len(str(error.value)) < 250


def test_arguments_of_fit_elsewhere():
    class Mine(GDClassifier):
        """Whose name a message is to have."""

    weights = np.ones(len(Y))
    for call, message in (
        (lambda: Mine().fit(X, Y, weights=weights), r"Mine.fit\(\) .*write sample_weight$"),
        (lambda: GDRegressor().fit(X, Y, ofset=Y), r"GDRegressor.fit\(\) .*mean 'offset'\?"),
        (lambda: Mine().partial_fit(X, Y, clases=[0, 1]), r"Mine.partial_fit\(\) .*'classes'\?"),
        (lambda: GDRegressor().fit(X, Y, unheard_of=1), r"'unheard_of'; it has X, y, sample_w"),
        (lambda: Mine().fit(), r"Mine.fit\(\) needs X, got no X"),
        (lambda: GDClassifier().partial_fit(X), r"GDClassifier.partial_fit\(\) needs X and y, got"),
        (lambda: GDClassifierCV().fit(X, Y, sample_weights=Y), "mean 'sample_weight'"),
        (lambda: GDClassifierCV().fit(X, Y, X_val=X), "write nothing: cv says which rows"),
        (lambda: GDClassifierCV().fit(X, Y, coef_init=X), "a search begins its paths itself"),
        (lambda: GDClassifierCV().fit(), r"GDClassifierCV.fit\(\) needs X"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_parameters_of_components_elsewhere():
    for call, message in (
        (lambda: fastgd.Quantile(q=0.9), r"'q'; write Quantile\(quantile=0.9\)"),
        (lambda: fastgd.Adam(lr=0.1), "'lr'; the rate is the estimator's: .*eta0=0.1"),
        (lambda: fastgd.L1(alpha=0.1), "'alpha'; the strength is the estimator's alpha"),
        (lambda: fastgd.Rmsprop(beta=0.9), "'beta'; it has rho, epsilon"),
        (lambda: fastgd.Rmsprop(eps=1e-6), r"write Rmsprop\(epsilon=1e-06\)"),
        (lambda: fastgd.LogLoss(x=1), r"write LogLoss\(\)"),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_columns_of_frames_have_names():
    missing, text, dates = FRAME.copy(), FRAME.copy(), FRAME.copy()
    missing.loc[4, "income"] = np.nan
    text["city"] = "Paris"
    dates["city"] = pd.Timestamp("2020-01-01")
    model = GDClassifier().fit(FRAME, Y)
    for bad, message in (
        (missing, r"NaN or infinity \(first in row 4, column 'income'\)"),
        (text, "'Paris' in column 'city': encode text as numbers first"),
        (dates, r"dates or durations \(datetime64.* in column 'city'\)"),
    ):
        with pytest.raises(ValueError, match=message):
            GDClassifier().fit(bad, Y)
        with pytest.raises(ValueError, match=message):
            model.predict(bad)


@pytest.mark.parametrize(
    "call",
    [
        lambda X: GDClassifier().partial_fit(X, Y, classes=[0, 1]),
        lambda X: GDClassifier().partial_fit(FRAME, Y, classes=[0, 1]).partial_fit(X, Y),
        lambda X: GDClassifierCV(alphas=2).fit(X, Y),
        lambda X: GDClassifier().fit(FRAME, Y).summary(X, Y),
        lambda X: GDClassifier().fit(FRAME, Y).coefficients(X),
        lambda X: fastgd.PathDisplay.from_estimator(GDClassifier(), X, Y),
    ],
    ids=["partial_fit", "next chunk", "search", "summary", "coefficients", "path"],
)
def test_columns_of_frames_have_names_wherever_rows_are_read(call):
    """They were numbers."""
    missing = FRAME.copy()
    missing.loc[4, "income"] = np.nan
    with pytest.raises(ValueError, match=r"first in row 4, column 'income'"):
        call(missing)


def test_the_last_line_says_why_a_method_is_missing():
    model = GDClassifier("hinge").fit(X, Y)
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError, match="no attribute 'predict_proba': probabilities need"):
        model.predict_proba(X)
    with pytest.raises(AttributeError, match="no attribute 'partial_fit': partial_fit takes"):
        GDClassifier(solver="lbfgs").partial_fit(X, Y)
    assert "Probability of each class" in GDClassifier.predict_proba.__doc__


def test_show_versions(capsys):
    fastgd.show_versions()
    found = capsys.readouterr().out
    for word in ("fastgd", "numba", "scikit-learn", "python", "threads", "cache"):
        assert word in found


def test_x_of_one_dimension_and_x_and_y_that_are_swapped():
    with pytest.raises(
        ValueError, match=r"X has shape \(30,\)\. Reshape your data: X\.reshape\(-1, 1"
    ):
        GDRegressor().fit(X[:, 0], Y)
    with pytest.raises(
        ValueError, match=r"\(30,\), and y has two, \(30, 3\): they seem to be swapped"
    ):
        GDClassifier().fit(Y, X)
    with pytest.raises(ValueError, match=r"X\.reshape\(1, -1\) if it is one row$"):
        GDRegressor().fit(X, Y).predict(X[0])
    with pytest.raises(ValueError, match=r"y must not be sparse"):
        GDRegressor().fit(X, sp.csr_array(Y[:, None]))


def test_what_to_write_instead_of_a_function_a_name_and_a_list():
    with pytest.raises(
        ValueError, match=r"write a class with value and derivative, derived from Los"
    ):
        GDRegressor(lambda prediction, target: 0.0).fit(X, Y)
    with pytest.raises(
        ValueError, match=r"got 'auto'; GDClassifierCV and GDRegressorCV choose one"
    ):
        GDClassifier(alpha="auto").fit(X, Y)
    with pytest.raises(
        ValueError, match=r"a pair \(low, high\), each a number or one for each feat"
    ):
        GDRegressor(bounds=((0, 1),) * 3).fit(X, Y)
    with pytest.raises(AttributeError, match=r"'GDClasifier'; did you mean 'GDClassifier'\?"):
        fastgd.GDClasifier  # noqa: B018


def test_parameters_of_searches_that_have_another_name():
    for name, value, message in (
        ("alpha", 1.0, r"write alphas=\[1.0\]"),
        ("n_alphas", 5, "write alphas=5"),
        ("Cs", 5, "write alphas, which are 1"),
    ):
        with pytest.raises(TypeError, match=message):
            fastgd.GDClassifierCV(**{name: value})


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        (GDRegressor, np.where(Y == 1, "yes", "no"), "got dtype <U3; .*GDClassifier"),
        (
            GDRegressor,
            np.where(np.arange(30) == 4, np.nan, Y),
            r"y contains NaN .*\(.* row 4\): nan",
        ),
        (
            GDRegressor,
            np.where(np.arange(30) == 4, np.inf, Y),
            r"y contains NaN .*\(.* row 4\): inf",
        ),
        (
            GDClassifier,
            pd.Series([None, *"ab" * 15])[:30],
            r"y contains (missing|NaN).*\(.* row 0\): ",
        ),
        (
            GDClassifier,
            pd.Series([pd.NA, *"ab" * 15])[:30],
            r"y contains (missing|NaN).*\(.* row 0\): ",
        ),
        (GDClassifier, Y.astype(object), r"y holds Python objects \(int\).*y\.astype\(int\)"),
        (GDRegressor, Y + 1j, "y holds complex numbers"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_what_is_wrong_with_y(kind, y, message):
    with pytest.raises(ValueError, match=message):
        kind().fit(X, y)


def test_x_that_is_no_table_of_numbers():
    mixed = FRAME.rename(columns={"age": 0})
    for bad, message in (
        ("data.csv", r"X is 'data\.csv', not rows of numbers; read the file first"),
        (X + 1j, "^Complex data not supported: X holds complex numbers$"),
        (mixed, "^Feature names are only supported"),
        ([["a"] * 3] * 30, "'a': encode text as numbers first"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            GDRegressor().fit(bad, Y)


def test_messages_do_not_print_arrays():
    for parameters in ({"alpha": X}, {"penalty_weights": X}, {"loss": X}, {"bounds": X}):
        with pytest.raises(ValueError, match=r"got an array of shape \(30, 3\)"):
            GDRegressor(**parameters).fit(X, Y)
    with pytest.raises(ValueError, match=r"0, 1, \.\.\. \(list of 30\); GDClassifierCV"):
        GDRegressor(alpha=list(range(30))).fit(X, Y)
    with pytest.raises(ValueError, match=r"-numpy\.inf and numpy\.inf are no bound"):
        GDRegressor(bounds=(None, 1.0)).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scoring": "acuracy"}, "is no score of scikit-learn; did you mean 'accuracy'"),
        ({"scoring": "zzz"}, r"is no score of scikit-learn; sklearn.metrics.get_scorer_names\(\)"),
        ({"scoring": "r2"}, "scoring GDClassifier with .*r2_score.* fails: .*'b'"),
        ({"cv": GroupKFold(2)}, r"cv=GroupKFold\(.*needs groups=, a label of each row, in fit"),
    ],
)
def test_what_a_search_cannot_do(parameters, message):
    search = GDClassifierCV(alphas=[1.0], **{"cv": 2, **parameters})
    with pytest.raises(ValueError, match=message):
        search.fit(X, np.array(["a", "b"])[Y])
    assert not hasattr(search, "coef_")


def test_classes_are_a_list():
    with pytest.raises(ValueError, match="classes must be a list of all labels, got 'auto'"):
        GDClassifier().partial_fit(X, Y, classes="auto")


def test_text_in_a_chunk():
    texts = fastgd.from_chunks(lambda: iter([(FRAME.assign(city="Ulm"), Y)]))
    with pytest.raises(ValueError, match=r"chunk 0: .*'Ulm'; encode text as numbers first"):
        GDRegressor().fit(texts)


@pytest.mark.parametrize(
    ("groups", "weights", "message"),
    [
        ([0, 0, 1], None, r"as \[\[0, 1\], \[2\]\] of three features, got \[0, 0, 1\]"),
        ([["age"], ["city"]], None, "must be lists of feature numbers"),
        ([[0, 1], [2]], "sqrt", "must hold a number for each of the 2 groups, got 'sqrt'"),
    ],
)
def test_groups_that_are_none(groups, weights, message):
    with pytest.raises(ValueError, match=message):
        fastgd.GroupLasso(groups, weights)
