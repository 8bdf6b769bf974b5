"""Parameters that other libraries have or that are misspelt, and what to write here instead."""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
Method = TypeVar("Method", bound=Callable[..., Any])

INSTEAD = {
    "C": "alpha=1 / (C * n_samples)",
    "lambda_": "alpha",
    "reg": "alpha",
    "reg_lambda": "alpha={value!r}, which multiplies a mean loss",
    "lam": "alpha={value!r}, which multiplies a mean loss",
    "weight_decay": "alpha={value!r}, which multiplies a mean loss",
    "delta": "epsilon={value!r}",
    "reg_param": "alpha",
    "quantile": "loss=fastgd.Quantile({value!r})",
    "power": "loss=fastgd.Tweedie({value!r})",
    "dual": "solver='sdca' for the dual problem",
    "lr": "learning_rate='constant', eta0={value!r}",
    "step_size": "learning_rate='constant', eta0={value!r}",
    "epochs": "max_iter={value!r}",
    "max_epochs": "max_iter={value!r}",
    "n_epochs": "max_iter={value!r}",
    "n_iter": "max_iter={value!r}",
    "optimizer": "solver={value!r}",
    "optimiser": "solver={value!r}",
    "seed": "random_state={value!r}",
    "n_threads": "n_jobs={value!r}",
    "regularization": "penalty={value!r}",
    "intercept": "fit_intercept={value!r}",
    "checkpoint": "nothing: a search is many fits; with refit=False its alpha_ can be fitted by an "
    "estimator with checkpoint={value!r}",
    "selection": "nothing: the solvers here choose their columns themselves",
    "Cs": "alphas, which are 1 / (C * n_samples)",
    "n_alphas": "alphas={value!r}",
    "n_splits": "cv={value!r}",
    "n_folds": "cv={value!r}",
    "class_weight": "nothing: that is of classes; sample_weight in fit weighs rows",
}
# Arguments of `fit` elsewhere.
ARGUMENTS = {
    "weights": "sample_weight",
    "weight": "sample_weight",
    "w": "sample_weight",
    "exposure": "offset=np.log(exposure)",
    "eval_set": "X_val and y_val",
    "validation_data": "X_val and y_val",
    "epochs": "max_iter in the constructor",
    "target": "y",
}
# What a search chooses, where an estimator has one of it.
SEARCHED = {"alpha": "alphas=[{value!r}]"}


def explains_unknown_names(init: Callable[P, None]) -> Callable[P, None]:
    """Decorator of `__init__`: the TypeError for a parameter that there is not says what to
    write.
    """
    known = list(inspect.signature(init).parameters)[1:]
    instead = INSTEAD | (SEARCHED if "alphas" in known else {})

    @functools.wraps(init)
    def explained(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            init(*args, **kwargs)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in known and f"'{name}'" in str(error)]
            text = str(error).split(". Did you mean")[0]  # Python 3.13's own, of names alone
            for name in unknown:
                if name in instead:
                    told = f"; write {instead[name].format(value=kwargs[name])}"
                    raise TypeError(f"{text}{told}") from None
                for near in difflib.get_close_matches(name, known, n=1):
                    raise TypeError(f"{text}; did you mean {near!r}?") from None
            raise

    return explained


def explains_unknown_arguments(method: Method) -> Method:
    """Decorator of `fit`: the TypeError for an argument that there is not names the user's class,
    not the one that the method is inherited from, and says what to write.
    """
    known = list(inspect.signature(method).parameters)[1:]

    @functools.wraps(method)
    def explained(self, *args, **kwargs):
        for name in kwargs:
            if name not in known:
                where = f"{type(self).__name__}.{method.__name__}()"
                raise TypeError(f"{where} has no argument {name!r}{_instead(name, known)}")
        return method(self, *args, **kwargs)

    return cast(Method, explained)


def _instead(name: str, known: list[str]) -> str:
    if name in ARGUMENTS:
        return f"; write {ARGUMENTS[name]}"
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known)}"
