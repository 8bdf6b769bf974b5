"""The estimator that did the fit, within a pipeline or a search, and the rows that it saw."""

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fastgd.runtime.component import shown


def inner_estimator(estimator):
    """The winner of a search, the end of a pipeline; another estimator is the one itself."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise ValueError(
                "estimator must be an estimator, or a pipeline or a search that ends in one, got "
                f"{shown(estimator)}"
            )
        else:
            return estimator


def last_step(estimator, X=None, y=None):
    """The end of a pipeline, and X as it sees it; the steps before it are fitted where they are
    not.
    """
    while hasattr(estimator, "steps"):
        steps, estimator = estimator[:-1], estimator.steps[-1][1]
        if X is not None and len(steps):
            X = _transformed(steps, X, y)
    return estimator, X


def _transformed(steps, X, y):
    try:
        check_is_fitted(steps)
    except NotFittedError:
        return clone(steps).fit_transform(X, y)
    return steps.transform(X)
