"""scikit-learn's callbacks around the iterations of a fit; without them (scikit-learn before 1.9)
nothing but the rest.
"""

import functools
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np

from fastgd.fitting.observers import Watch

__all__ = [
    "CallbackSupportMixin",
    "FitCallbacks",
    "IterationCallbacks",
    "fit_callbacks",
    "with_callbacks",
]

Method = TypeVar("Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's; without `set_callbacks` there are none to call."""

    def _with_callbacks(method):
        """Call the method; there are no callbacks to tear down."""

        @functools.wraps(method)
        def alone(self, *args, **kwargs):
            return method(self, *args, **kwargs)

        return alone


def with_callbacks(method: Method) -> Method:
    """scikit-learn's decorator, with the types of the method."""
    return cast(Method, _with_callbacks(method))


def fit_callbacks(estimator, X, y, sample_weight, n_targets):
    """The callbacks of a fit, informed that it begins, or None where the estimator has none."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return FitCallbacks(estimator, X, y, sample_weight, n_targets)


class FitCallbacks:
    """The tasks of a fit as callbacks see them: the fit, for one-vs-rest each class, and in these
    each iteration.

    Hooks get X as it was given, the labels or targets, `{"sample_weight": ...}` as metadata where
    there are weights, and an estimator that can predict as if the fit had ended there (the other
    classes' coefficients as they are).  They are called one at a time, whatever the number of
    threads.

    Parameters
    ----------
    estimator : GDEstimator
    X, y, sample_weight
        What is fitted.
    n_targets : int
        Number of models.
    """

    def __init__(self, estimator, X, y, sample_weight, n_targets):
        self.estimator, self.lock = estimator, threading.RLock()
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        none = np.zeros(estimator.n_features_in_), 0.0
        self.models = [none] * n_targets
        iterations = {"max_subtasks": int(estimator.max_iter)}
        self.tasks, self.open = [None] * n_targets, {}
        if n_targets == 1:
            self.root = self.tasks[0] = estimator._init_callback_context(**iterations)
            self.root.call_on_fit_task_begin(**self.data)
            return
        self.root = estimator._init_callback_context(
            max_subtasks=n_targets, sequential_subtasks=False
        )
        self.root.call_on_fit_task_begin(**self.data)
        self.tasks = [
            self.root.subcontext(task_name="class", task_id=k, **iterations)
            for k in range(n_targets)
        ]

    def watch(self, k):
        """The Watch that tells the callbacks about target `k`, whose fit begins."""
        if len(self.tasks) > 1:
            with self.lock:
                self.tasks[k].call_on_fit_task_begin(**self.data)
        self.open[k] = IterationCallbacks(self, k)
        return self.open[k]

    def end(self):
        """Tell that the fit has ended; the estimator is fitted."""
        # What is still open was interrupted before it had a model.
        for k, watch in list(self.open.items()):
            watch.close(lambda k=k: (self.estimator.coef_[k], self.estimator.intercept_[k]))
        self.root.call_on_fit_task_end(**self.data, reconstruction_attributes=dict)

    def model(self, k, model):
        """Function that gives the attributes of an estimator whose target `k` has this `model`."""
        if len(self.models) == 1:
            return lambda: self._attributes([model()])
        coef, intercept = model()
        self.models[k] = np.array(coef), intercept
        return lambda: self._attributes(self.models)

    def _attributes(self, models):
        models = [
            SimpleNamespace(coef=np.array(coef), intercept=intercept) for coef, intercept in models
        ]
        return dict(zip(("coef_", "intercept_"), self.estimator._shaped(models), strict=True))


class IterationCallbacks(Watch):
    """Tells the callbacks of a fit about the iterations of target `k`."""

    def __init__(self, fit, k):
        self.fit, self.k = fit, k
        self.task: Any = None  # the iteration that is open

    def iteration_begins(self, model):
        """Open a task for the iteration."""
        fit = self.fit
        with fit.lock:
            self.task = fit.tasks[self.k].subcontext(task_name="iteration")
            self.task.call_on_fit_task_begin(
                **fit.data, reconstruction_attributes=fit.model(self.k, model)
            )

    def iteration_ends(self, model):
        """Close it; whether a callback asks for the end of this target's iterations."""
        fit = self.fit
        with fit.lock:
            task, self.task = self.task, None
            return task.call_on_fit_task_end(
                **fit.data, reconstruction_attributes=fit.model(self.k, model)
            )

    def ended(self, result, model):
        """Close what is open."""
        self.close(model)

    def close(self, model):
        """Close the task of a class, and that of an iteration that was interrupted."""
        fit = self.fit
        fit.open.pop(self.k, None)
        if self.task is not None:
            self.iteration_ends(model)
        if len(fit.tasks) > 1:
            with fit.lock:
                fit.tasks[self.k].call_on_fit_task_end(
                    **fit.data, reconstruction_attributes=fit.model(self.k, model)
                )
