"""`record="coef"`: the model after each update, and the same model in the end."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import GDClassifier, GDRegressor
from fastgd.fitting.history import Histories

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) + np.array([0.0, 100.0, 0.0])
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=40)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y + 200.0, [-1.0, 1.0])]


def test_updates_are_those_of_the_formula():
    rows = X - X.mean(axis=0)
    options = {"learning_rate": "constant", "eta0": 0.05, "alpha": 0.1, "shuffle": False}
    options |= {"solver": "gd", "batch_size": 10, "max_iter": 3, "tol": None}
    model = GDRegressor(**options, fit_intercept=False, record="coef").fit(rows, Y)
    w, path = np.zeros(3), [np.zeros(3)]
    for _ in range(3):
        for first in range(0, 40, 10):
            here = slice(first, first + 10)
            residual = rows[here] @ w - Y[here]
            w = (1.0 - 0.05 * 0.1) * w - 0.05 * rows[here].T @ residual / 10.0
            path.append(w)
    np.testing.assert_allclose(model.coef_path_, path, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(model.coef_path_[-1], model.coef_)
    assert model.intercept_path_.shape == (13, 1)


MODELS = [
    GDRegressor(),
    GDRegressor(solver="lbfgs"),
    GDRegressor(solver="saga", max_iter=4, tol=None),
    GDRegressor(solver="adam", batch_size=8, max_iter=4, tol=None),
    GDRegressor(solver="adagrad", batch_size=1, max_iter=4, tol=None),
    GDRegressor(solver="gd", batch_size="full", learning_rate="constant", eta0=1e-5, max_iter=5),
    GDRegressor(penalty="l1", solver="gd", batch_size=1, learning_rate="invscaling", eta0=1e-5),
    GDClassifier(),
    GDClassifier(solver="gd", batch_size=4, max_iter=3, tol=None),
]


@pytest.mark.thinned(plain=1, compiled=3)
@pytest.mark.filterwarnings("ignore::fastgd.ConvergenceWarning")
@pytest.mark.parametrize("rows", [X, sp.csr_array(X)], ids=["dense", "csr"])
@pytest.mark.parametrize("model", MODELS)
def test_recording_changes_nothing(model, rows):
    y = LABELS if isinstance(model, GDClassifier) else Y
    given = model.get_params() | {"random_state": 0}
    usual = type(model)(**given).fit(rows, y)
    recorded = type(model)(**given | {"record": "coef"}).fit(rows, y)
    np.testing.assert_allclose(recorded.coef_, usual.coef_, rtol=1e-8, atol=1e-12)
    assert recorded.coef_path_.shape[1:] == usual.coef_.shape
    assert len(recorded.coef_path_) == len(recorded.intercept_path_) > 1
    if model.solver in ("auto", "lbfgs"):
        np.testing.assert_array_equal(recorded.coef_path_[-1], recorded.coef_)
        np.testing.assert_array_equal(recorded.intercept_path_[-1], recorded.intercept_)
    assert not hasattr(usual, "coef_path_")
    recorded.set_params(record=None).fit(rows, y)
    assert not hasattr(recorded, "coef_path_")


def test_one_against_the_rest_has_a_way_for_each_class():
    model = GDClassifier(multi_class="ovr", record="coef").fit(X, LABELS)
    assert [way.shape[1:] for way in model.coef_path_] == [(3,)] * 3
    for k in range(3):
        np.testing.assert_array_equal(model.coef_path_[k][-1], model.coef_[k])
        # The last check may find a better intercept for the same coefficients.
        np.testing.assert_allclose(model.intercept_path_[k][-1], model.intercept_[k], rtol=1e-6)


def test_what_is_not_recorded_is_said():
    with pytest.raises(ValueError, match="record must be None with partial_fit, got 'coef'"):
        GDRegressor(record="coef").partial_fit(X, Y)
    for record in ("loss", True, 1):
        with pytest.raises(ValueError, match="record must be None or 'coef'"):
            GDRegressor(record=record).fit(X, Y)


def test_histories_of_several_classes_print_a_line_each():
    model = GDClassifier(multi_class="ovr").fit(X, LABELS)
    lines = str(model.history_).splitlines()
    assert [line[0] for line in lines] == [" ", *"abc"]
    assert lines[0].split() == ["checks", "passes", "objective", "bound"]
    assert float(lines[1].split()[2]) == model.history_[0]["passes"][-1]
    assert repr(model.history_) == str(model.history_)
    assert model.history_._repr_html_().count("<tr>") == 4
    assert isinstance(model.history_, list)
    assert str(Histories()) == "  checks"


def test_the_way_of_a_fit_goes_with_its_other_attributes():
    model = GDRegressor(record="coef").fit(X, Y)
    model.set_params(record=None).partial_fit(X, Y)
    assert not hasattr(model, "coef_path_")
    assert not hasattr(model, "intercept_path_")
