"""Fields of components as parameters of the estimator."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgd import MCP, Adam, GDRegressor, GDRegressorCV, GroupLasso, Quantile, SparseGroupLasso

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=60)


def test_fields_are_parameters_where_a_component_is_given():
    model = GDRegressor(Quantile(0.9), penalty=MCP(3.0), solver=Adam())
    deep = model.get_params()
    assert deep["loss__quantile"] == 0.9
    assert deep["penalty__gamma"] == 3.0
    assert "solver__beta1" in deep
    assert not any("__" in name for name in model.get_params(deep=False))
    assert not any("__" in name for name in GDRegressor("quantile").get_params())


def test_setting_one_makes_another_component():
    loss = Quantile(0.9)
    model = GDRegressor(loss)
    assert model.set_params(loss__quantile=0.1, alpha=2.0) is model
    assert (model.loss.quantile, model.alpha, loss.quantile) == (0.1, 2.0, 0.9)
    model.set_params(loss=Quantile(0.5), loss__quantile=0.6)
    assert model.loss.quantile == 0.6
    assert clone(model).loss.quantile == 0.6


def test_of_groups_the_default_weights_follow_the_groups():
    model = GDRegressor(penalty=SparseGroupLasso([[0, 2], [1]], l1_ratio=0.2))
    assert model.get_params()["penalty__groups"] == [[0, 2], [1]]
    model.set_params(penalty__groups=[[0], [1], [2]], penalty__l1_ratio=0.3)
    assert model.penalty.weights.tolist() == [1.0, 1.0, 1.0]
    assert model.penalty.l1_ratio == 0.3
    weighted = GDRegressor(penalty=GroupLasso([[0], [1, 2]], weights=[3.0, 4.0]))
    weighted.set_params(penalty__groups=[[1], [0, 2]])
    assert weighted.penalty.weights.tolist() == [3.0, 4.0]


def test_a_grid_over_them_is_the_grid_over_components():
    nested = GridSearchCV(
        make_pipeline(StandardScaler(), GDRegressor(Quantile())),
        {"gdregressor__loss__quantile": [0.1, 0.5, 0.9]},
        cv=2,
    ).fit(X, Y)
    plain = GridSearchCV(
        make_pipeline(StandardScaler(), GDRegressor()),
        {"gdregressor__loss": [Quantile(0.1), Quantile(0.5), Quantile(0.9)]},
        cv=2,
    ).fit(X, Y)
    ours, theirs = (one.cv_results_["mean_test_score"] for one in (nested, plain))
    np.testing.assert_array_equal(ours, theirs)
    search = GDRegressorCV(Quantile(), alphas=[1.0, 0.1], cv=2).set_params(loss__quantile=0.9)
    assert search.fit(X, Y).best_estimator_.loss.quantile == 0.9


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"loss__width": 1.0}, r"no parameter 'width'; those of its own are: loss__quantile"),
        ({"loss__quantile": 2.0}, "quantile"),
        ({"penalty__gamma": 2.0}, r"penalty='l2' is none: give penalty=an object such as"),
        ({"alpha__x": 2.0}, r"alpha=0.0001 is none: alpha is never one"),
        ({"los__quantile": 0.5}, "Invalid parameter 'los'"),
        ({"alhpa": 0.5}, "Invalid parameter 'alhpa'"),
    ],
)
def test_others_are_refused_and_nothing_changes(params, told):
    model = GDRegressor(Quantile(0.9))
    before = model.get_params()
    with pytest.raises(ValueError, match=told):
        model.set_params(**params)
    assert model.get_params() == before


def test_what_is_refused_changes_nothing():
    model = GDRegressor(alpha=0.5)
    with pytest.raises(ValueError, match="alhpa"):
        model.set_params(alpha=2.0, alhpa=1.0)
    assert model.alpha == 0.5
