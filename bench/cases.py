"""The cases of the suite: data, preparation, loss, penalty and intercept; on real data of the data
folder, else on generated data of the same shapes and on scikit-learn's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler

from .data import load_all, signs
from .problems import CLASSIFICATION, DEVIANCES, LOSSES, MULTINOMIAL, Problem


@dataclass(frozen=True)
class Case:
    """One row of the table; alpha is `times / n`, or `share` of the least alpha at which all
    coefficients are zero.
    """

    name: str
    data: str
    loss: str
    times: float = 1.0
    share: float | None = None
    l1_ratio: float = 0.0
    fit_intercept: bool = False
    prepare: Callable = lambda X, y: (X, y)
    rows: int | None = None
    beside: str = ""  # what `prepare` is given beside X and y, by its name in the data folder

    def problem(self):
        """X in float64, C-contiguous or CSR."""
        X, y, more = _loaded(self.data, self.rows)
        if self.beside and self.beside not in more:
            raise SystemExit(f"{self.data} comes without {self.beside!r}")
        X, y = self.prepare(X, y, more[self.beside]) if self.beside else self.prepare(X, y)
        if self.loss in CLASSIFICATION:
            y = signs(y)
        if self.loss == MULTINOMIAL:
            y = np.unique(y, return_inverse=True)[1]
        X = (
            sp.csr_array(X, dtype=np.float64)
            if sp.issparse(X)
            else np.ascontiguousarray(X, dtype=np.float64)
        )
        y = np.asarray(y, dtype=np.float64)
        alpha = self.times / y.size
        if self.share is not None:
            derivative = LOSSES[self.loss](y, np.zeros(y.size))[1] / y.size
            alpha = self.share * np.abs(X.T @ derivative).max() / self.l1_ratio
        return Problem(self.name, self.loss, X, y, float(alpha), self.fit_intercept, self.l1_ratio)

    @property
    def sklearn_default(self):
        """The rival that is scikit-learn's default estimator for this problem, with an L1 norm
        the nearest to one.
        """
        if self.loss in DEVIANCES:
            return "sklearn/deviance/lbfgs"
        if self.loss in ("hinge", "squared_hinge"):
            primal = self.loss == "squared_hinge" and self.data != "news20_binary"
            return f"sklearn/LinearSVC/{'primal' if primal else 'dual'}"
        if self.loss == "squared_error":
            sparse = self.data.startswith("flights")
            return f"sklearn/Ridge/{'sparse_cg' if sparse else 'cholesky'}"
        solvers = {0.0: "lbfgs", 1.0: "liblinear"}
        return f"sklearn/LogisticRegression/{solvers.get(self.l1_ratio, 'saga')}"


@lru_cache(maxsize=1)
def _loaded(data, rows):
    options = {} if rows is None else {"n": rows}
    return load_all(data, **options)


def _standardised(X, y):
    return StandardScaler().fit_transform(X), y


def _standardised_and_centred(X, y):
    return StandardScaler().fit_transform(X), y - y.mean()


def _odd_against_even(X, y):
    return X, np.where(y % 2 == 1, 1.0, -1.0)


def _without_outliers(X, y):
    return X, np.clip(y, -60.0, 180.0)


def _scaled(X, y):
    return X / np.abs(X).max(axis=0), y


def _mean_claim(X, y, amounts):
    claims = (y > 0.0) & (amounts > 0.0)
    return X[claims], amounts[claims] / y[claims]


def _premium(X, y, amounts):
    return X, amounts


def _late(X, y):
    return X, np.where(y > 15.0, 1.0, -1.0)


def _route_cases():
    for loss, name, prepare in (
        ("squared_error", "squared", _without_outliers),
        ("log_loss", "log", _late),
    ):
        for fit_intercept in (False, True):
            yield Case(
                f"flights_routes {name} 1/n{' intercept' * fit_intercept}",
                "flights_routes",
                loss,
                fit_intercept=fit_intercept,
                prepare=prepare,
                rows=1_000_000,
            )


def _several_classes():
    for name, data in (
        ("mnist 10 classes", "mnist"),
        ("news20 20 classes", "news20"),
        ("covtype raw 7 classes", "covtype"),
    ):
        yield Case(f"{name} log 1/n intercept", data, MULTINOMIAL, fit_intercept=True)


def _insurance():
    """Counts of claims, amounts of claims, and amounts of policies."""
    for loss, name, given in (
        ("poisson", "counts poisson", {}),
        ("gamma", "claims gamma", {"prepare": _mean_claim, "beside": "claim_amount"}),
        ("tweedie", "premiums tweedie", {"prepare": _premium, "beside": "claim_amount"}),
    ):
        # As premiums are set: 1 / n leaves rare levels to themselves.
        yield Case(
            f"french_motor {name} 100/n intercept",
            "french_motor",
            loss,
            times=100.0,
            fit_intercept=True,
            **given,
        )


def _l1_cases(data):
    """L1 penalties, down to weak ones."""
    for share in (0.1, 0.03, 0.01, 0.003, 0.001):
        name = f"{data} log l1 {share:g} alpha_max"
        yield Case(name, data, "log_loss", share=share, l1_ratio=1.0)


def _elastic_net_cases(data):
    for share in (0.1, 0.01):
        name = f"{data} log elastic net {share:g} alpha_max"
        yield Case(name, data, "log_loss", share=share, l1_ratio=0.5)


# In the order of the data sets, so that each is loaded once.
CASES = [
    Case(
        "protein standardised squared 1/n",
        "protein",
        "squared_error",
        prepare=_standardised_and_centred,
    ),
    Case("a9a log 1/n", "a9a", "log_loss"),
    Case("a9a log 1/n intercept", "a9a", "log_loss", fit_intercept=True),
    Case("w8a log 1/n", "w8a", "log_loss"),
    Case("w8a hinge 1/n", "w8a", "hinge"),
    Case("news20_binary log 1/n", "news20_binary", "log_loss"),
    Case("news20_binary log 0.01/n", "news20_binary", "log_loss", times=0.01),
    Case("news20_binary squared hinge 1/n", "news20_binary", "squared_hinge"),
    Case("news20_binary hinge 1/n", "news20_binary", "hinge"),
    *_l1_cases("news20_binary"),
    *_elastic_net_cases("news20_binary"),
    Case("census log 1/n", "census", "log_loss"),
    Case("census log 1/n intercept", "census", "log_loss", fit_intercept=True),
    *_l1_cases("census"),
    *_elastic_net_cases("census"),
    Case("covtype_binary raw log 1/n", "covtype_binary", "log_loss"),
    Case("covtype_binary raw log 1/n intercept", "covtype_binary", "log_loss", fit_intercept=True),
    Case(
        "covtype_binary standardised log 1/n", "covtype_binary", "log_loss", prepare=_standardised
    ),
    Case("mnist odd or even log 1/n", "mnist", "log_loss", prepare=_odd_against_even),
    Case(
        "flights squared 1/n", "flights", "squared_error", prepare=_without_outliers, rows=1_000_000
    ),
    *_route_cases(),
    *_several_classes(),
    *_insurance(),
    *_l1_cases("short_texts"),
    *_l1_cases("long_texts"),
    *_l1_cases("even_columns"),
    Case("zipf_levels log 1/n", "zipf_levels", "log_loss"),
]
# What everyone has; in the suite where there is no data folder.
OF_SKLEARN = [
    Case(
        "breast_cancer standardised log 1/n",
        "sklearn:breast_cancer",
        "log_loss",
        prepare=_standardised,
    ),
    Case("digits odd or even log 1/n", "sklearn:digits", "log_loss", prepare=_odd_against_even),
    Case(
        "diabetes standardised squared 1/n",
        "sklearn:diabetes",
        "squared_error",
        prepare=_standardised_and_centred,
    ),
    Case("digits log 1/n intercept", "sklearn:digits", MULTINOMIAL, fit_intercept=True),
]
SMOKE = [Case("breast_cancer log 1/n", "sklearn:breast_cancer", "log_loss", prepare=_scaled)]
