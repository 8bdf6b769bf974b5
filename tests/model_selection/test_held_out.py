"""Searches over rows in blocks: the folds, scores and choices of arrays."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold

from fastgd import GDClassifierCV, GDRegressorCV, from_chunks
from fastgd.model_selection import held_out
from fastgd.model_selection.held_out import RowsElsewhere

N, D = 150, 4
MEMORY = 1e6


def data(kind):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((N, D))
    X[:, 3] += 100.0
    z = X[:, :3] @ [1.0, -1.0, 0.5] + rng.standard_normal(N)
    if kind == "classes":
        return X, np.digitize(z, [-1.0, 1.0])
    if kind == "counts":
        return X, rng.poisson(np.exp(z / 3)).astype(float)
    return X, z if kind == "numbers" else (z > 0.0).astype(int)


def source(X, *beside, step=40):
    def chunks():
        for first in range(0, X.shape[0], step):
            own = slice(first, first + step)
            yield X[own], *(one[own] for one in beside)

    return from_chunks(chunks)


CASES = {
    "two classes": (GDClassifierCV(), "signs"),
    "probabilities": (GDClassifierCV(scoring="neg_log_loss"), "signs"),
    "three classes": (GDClassifierCV(), "classes"),
    "one against the rest": (GDClassifierCV("squared_hinge"), "classes"),
    "least squares, shares": (
        GDRegressorCV(penalty="elasticnet", l1_ratios=[0.2, 0.9], scoring="r2"),
        "numbers",
    ),
    "counts, weights, offsets": (GDRegressorCV("poisson"), "counts"),
}


@pytest.mark.jit
@pytest.mark.parametrize("name", CASES)
def test_the_search_is_that_of_arrays(name):
    search, kind = CASES[name]
    search = clone(search).set_params(alphas=4, cv=3, tol=1e-12, memory=MEMORY)
    X, y = data(kind)
    beside = {}
    if "weights" in name:
        rng = np.random.default_rng(0)
        beside = {"sample_weight": rng.integers(0, 3, N) / 1.0, "offset": rng.random(N)}
    usual = clone(search).fit(X, y, **beside)
    rows = source(X, y, *beside.values())
    found = clone(search).fit(rows)
    np.testing.assert_allclose(found.alphas_, usual.alphas_, rtol=1e-12)
    np.testing.assert_allclose(found.scores_, usual.scores_, atol=1e-6)
    assert found.alpha_ == pytest.approx(usual.alpha_, rel=1e-12)
    assert found.objective_ == pytest.approx(usual.objective_, rel=1e-10)
    assert found.bound_kind_ == usual.bound_kind_ == "proof"
    assert found.score(rows) == pytest.approx(usual.score(X, y, **beside), abs=1e-6)
    assert "read anew" in str(found.plan_)
    np.testing.assert_allclose(found.predict(X), usual.predict(X), atol=1e-4)


def test_as_many_models_as_fit_in_memory_are_scored_by_one_reading(monkeypatch):
    X, y = data("signs")
    readings = []

    def search():
        rows, count = source(X, y), [0]
        plain = rows.factory

        def counted():
            count[0] += 1
            return plain()

        rows.factory = counted
        found = GDClassifierCV(alphas=[1.0, 0.1, 0.01, 1e-3], cv=3, memory=MEMORY).fit(rows)
        readings.append(count[0])
        return found

    many = search()
    monkeypatch.setattr(held_out, "PREDICTIONS", 1e-6)
    single = search()
    np.testing.assert_allclose(many.scores_, single.scores_, atol=1e-6)
    assert readings[1] >= readings[0] + 9


def test_splitters_and_scorers_get_what_they_need():
    X, y = data("signs")
    groups = np.arange(N) % 5
    search = GDClassifierCV(alphas=[0.1, 0.01], cv=GroupKFold(3), memory=MEMORY, tol=1e-10)
    usual = clone(search).fit(X, y, groups=groups)
    np.testing.assert_allclose(
        clone(search).fit(source(X, y), groups=groups).scores_, usual.scores_, atol=1e-6
    )
    twice = [(np.r_[0:100, 0:20], np.array([120, 100, 120]))]
    usual = clone(search).set_params(cv=twice).fit(X, y)
    found = clone(search).set_params(cv=twice).fit(source(X, y))
    np.testing.assert_allclose(found.scores_, usual.scores_, atol=1e-6)
    with pytest.raises(ValueError, match="reads X, whose rows are not in memory"):
        search.set_params(scoring=lambda model, X, y: float(np.sum(X))).fit(
            source(X, y), groups=groups
        )
    with pytest.raises(ValueError, match="cv='loo' needs X in memory"):
        GDClassifierCV(cv="loo").fit(source(X, y))
    with pytest.raises(ValueError, match="y is given beside a source"):
        GDClassifierCV().fit(source(X, y), y)
    assert RowsElsewhere(10, 3)[np.array([1, 5])].shape == (2, 3)
