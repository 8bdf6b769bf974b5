"""The spectrum of products of rows, of which there are fewer than columns."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastgd import Objective
from fastgd.objective import moments
from fastgd.objective import row_spectrum as spectrum
from fastgd.objective.row_spectrum import row_spectrum


def spectrum_of(X, fit_intercept=False):
    """Eigenvalues of products of rows beside their mean square, slowly: the greatest first."""
    X = X.toarray() if sp.issparse(X) else X
    unit = (X**2).sum() / len(X)
    centered = X - X.mean(axis=0) if fit_intercept else X
    return np.linalg.eigvalsh(centered @ centered.T)[::-1] / unit


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array], ids=lambda one: one.__name__)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_of_all_rows_where_there_are_few(storage, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 400)) + 0.5
    F = Objective("squared_error", storage(X), X[:, 0], fit_intercept=fit_intercept)
    *greatest, least = row_spectrum(F)
    values = spectrum_of(X, fit_intercept)
    assert greatest[0] == pytest.approx(values[0], rel=0.02)
    assert 0.3 < least / np.sort(values)[1 if fit_intercept else 0] < 3.0


@pytest.mark.parametrize("shared", [0.0, 0.3, 3.0])
def test_of_a_sample_it_tells_that_of_all(shared):
    """Of 1,584 rows of counts a tenth showed a tenth of what all of them share: past gradients
    took 32 iterations where 9 were told.
    """
    rng = np.random.default_rng(1)
    X = rng.standard_normal((400, 900)) + shared * rng.random(900)
    F = Objective("squared_error", X, X[:, 0], fit_intercept=False)
    assert moments.sample_of_rows(F).shape[0] == 100
    *greatest, least = row_spectrum(F)
    values = spectrum_of(X)
    assert 0.7 < greatest[0] / values[0] < 1.4
    assert 0.2 < least / values[-1] < 5.0


def test_it_is_looked_at_on_the_columns_that_rows_touch(monkeypatch):
    rng = np.random.default_rng(0)
    X = sp.random_array((40, 600), density=0.01, random_state=rng, format="csr")
    found = []
    for many in (600, 601):
        monkeypatch.setattr(moments, "MANY_COLUMNS", many)
        found.append(row_spectrum(Objective("squared_error", X, rng.standard_normal(40))))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_rows_of_zeros():
    assert list(row_spectrum(Objective("squared_error", np.zeros((5, 9)), np.ones(5)))) == [1.0]


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_products_of_all_rows_at_once_have_the_same_spectrum(fit_intercept, monkeypatch):
    X = np.random.default_rng(0).standard_normal((40, 90)) + 0.5
    given = {"alpha": 0.1, "fit_intercept": fit_intercept}
    at_once = row_spectrum(Objective("squared_error", X, np.zeros(40), **given))
    monkeypatch.setattr(spectrum, "FEW_ROWS", 0)
    one_by_one = row_spectrum(Objective("squared_error", X, np.zeros(40), **given))
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-9)


def test_of_long_rows_fewer_are_looked_at():
    n, d, a_row = 3000, 5000, 400
    columns = np.tile(np.arange(a_row), n)
    X = sp.csr_array((np.ones(n * a_row), columns, np.arange(0, n * a_row + 1, a_row)), (n, d))
    assert spectrum._rows_of_sample(Objective("squared_error", X, np.zeros(n))) == 300
    longer = Objective("squared_error", sp.vstack([X] * 4, format="csr"), np.zeros(4 * n))
    assert spectrum._rows_of_sample(longer) == 500  # 200,000 values


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_sample_of_one_row_tells_of_no_growth(fit_intercept, monkeypatch):
    """It was said to grow by log(1) / log(1)."""
    monkeypatch.setattr(spectrum, "SAMPLE_ROWS", 1)
    X = np.random.default_rng(0).standard_normal((5, 9))
    found = row_spectrum(Objective("squared_error", X, X[:, 0], fit_intercept=fit_intercept))
    assert np.isfinite(found).all()
