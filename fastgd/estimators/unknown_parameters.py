"""Parameters that other libraries have or that are misspelt, and what to write here instead."""

import difflib
import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import sklearn

from fastgd.data.check_parameters import ALLOWED

P = ParamSpec("P")
Method = TypeVar("Method", bound=Callable[..., Any])

# What estimators and searches have.
INSTEAD = {
    "delta": "epsilon={value!r}",
    "quantile": "loss=fastgd.Quantile({value!r})",
    "power": "loss=fastgd.Tweedie({value!r})",
    "dual": "solver='sdca' for the dual problem",
    "lr": "learning_rate='constant', eta0={value!r}",
    "step_size": "learning_rate='constant', eta0={value!r}",
    "epochs": "max_iter={value!r}",
    "max_epochs": "max_iter={value!r}",
    "n_epochs": "max_iter={value!r}",
    "n_iter": "max_iter={value!r}",
    "optimizer": "solver, such as 'adam', or 'gd' with batch_size=1 for SGD",
    "optimiser": "solver, such as 'adam', or 'gd' with batch_size=1 for SGD",
    "seed": "random_state={value!r}",
    "n_threads": "n_jobs={value!r}",
    "intercept": "fit_intercept={value!r}",
    "selection": "nothing: the solvers here choose their columns themselves",
    "class_weight": "nothing: that is of classes; sample_weight in fit weighs rows",
}
# What the strength of a penalty is called elsewhere.
STRENGTHS = (
    *("lam", "lamb", "lambd", "lambda_", "lamda", "lmbda"),
    *("reg", "reg_param", "reg_lambda", "regularisation_strength", "weight_decay"),
)
# What fits to one alpha have; SEARCH stands for the class that searches.
OF_FITS = {
    "C": "alpha=1 / (C * n_samples)",
    **dict.fromkeys(STRENGTHS, "alpha={value!r}, which multiplies a mean loss"),
    "l1": "penalty='l1', alpha={value!r}, which multiplies a mean loss",
    "l2": "penalty='l2', alpha={value!r}, which multiplies a mean loss",
    "regularization": "penalty for its kind, such as 'l2', and alpha for its strength",
    "Cs": "nothing: SEARCH takes alphas, which are 1 / (C * n_samples)",
    "n_alphas": "nothing: SEARCH takes it as alphas",
    "n_splits": "nothing: SEARCH takes it as cv",
    "n_folds": "nothing: SEARCH takes it as cv",
    "cv": "nothing: SEARCH takes it",
}
# What searches have.
OF_SEARCHES = {
    "alpha": "alphas=[{value!r}]",
    "C": "alphas=[1 / (C * n_samples)]",
    **dict.fromkeys(STRENGTHS, "alphas=[{value!r}], which multiply a mean loss"),
    "l1": "penalty='l1', alphas=[{value!r}], which multiply a mean loss",
    "l2": "penalty='l2', alphas=[{value!r}], which multiply a mean loss",
    "regularization": "penalty for its kind, such as 'l2', and alphas for its strength",
    "Cs": "alphas, which are 1 / (C * n_samples)",
    "n_alphas": "alphas={value!r}",
    "n_splits": "cv={value!r}",
    "n_folds": "cv={value!r}",
    "checkpoint": "nothing: a search is many fits; with refit=False its alpha_ can be fitted by an "
    "estimator with checkpoint={value!r}",
}
# What is not of classes.
OF_CLASSIFIERS = dict.fromkeys(("quantile", "power"), "nothing: that is of losses of GDRegressor")
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
# Of the `fit` of searches.
FOLDS = "nothing: cv says which rows are held out, as a splitter or as pairs of indices"
START = "nothing: a search begins its paths itself; fit an estimator with alpha_"
ARGUMENTS_OF_SEARCHES = {
    **ARGUMENTS,
    **dict.fromkeys(("X_val", "y_val", "sample_weight_val", "offset_val"), FOLDS),
    **dict.fromkeys(("eval_set", "validation_data"), FOLDS),
    **dict.fromkeys(("coef_init", "intercept_init"), START),
}


def explains_unknown_names(init: Callable[P, None]) -> Callable[P, None]:
    """Decorator of `__init__`: the TypeError for a parameter that there is not says what to
    write.
    """
    known = list(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def explained(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            init(*args, **kwargs)
        except TypeError as error:
            unknown = [name for name in kwargs if name not in known and f"'{name}'" in str(error)]
            text = str(error).split(". Did you mean")[0]  # Python 3.13's own, of names alone
            for name in unknown:
                if told := parameter_instead(name, kwargs[name], explained, known):
                    raise TypeError(f"{text}; {told}") from None
            raise

    return explained


def parameter_instead(name: str, value: object, init: Callable[..., None], known: list[str]) -> str:
    """What to write instead of a parameter that there is not, or ""; `known` are those of `init`.

    Examples
    --------
    >>> from fastgd import GDRegressor
    >>> parameter_instead("quantile", 0.9, GDRegressor.__init__, ["loss", "alpha"])
    'write loss=fastgd.Quantile(0.9)'
    """
    instead = INSTEAD | (OF_SEARCHES if "alphas" in known else OF_FITS)
    instead |= OF_CLASSIFIERS if "class_weight" in known else {}
    if name in instead:
        search = f"{init.__qualname__.split('.')[0]}CV"
        return f"write {_filled(instead[name].replace('SEARCH', search), value)}"
    return _near(name, known)


def explains_unknown_arguments(method: Method) -> Method:
    """Decorator of `fit`: the TypeError for an argument that there is not names the user's class,
    not the one that the method is inherited from, and says what to write.

    A method that takes further ones, for others by metadata routing, refuses what it has advice
    for, unless routing is enabled.
    """
    parameters = list(inspect.signature(method).parameters.values())[1:]
    named = [one for one in parameters if one.kind is not one.VAR_KEYWORD]
    needed = [one.name for one in named if one.default is one.empty]
    routes = len(named) < len(parameters)
    known = [one.name for one in named] + (["groups"] if routes else [])
    instead = ARGUMENTS_OF_SEARCHES if routes else ARGUMENTS

    @functools.wraps(method)
    def explained(self, *args, **kwargs):
        where = f"{type(self).__name__}.{method.__name__}()"
        elsewhere = routes and sklearn.get_config()["enable_metadata_routing"]
        for name in [] if elsewhere else [name for name in kwargs if name not in known]:
            advice = _advice(name, known, instead)
            if advice or not routes:
                advice = advice or f"it has {', '.join(known)}"
                raise TypeError(f"{where} has no argument {name!r}; {advice}")
        for name in needed[len(args) :]:
            if name not in kwargs:
                raise TypeError(f"{where} needs {' and '.join(needed)}, got no {name}")
        return method(self, *args, **kwargs)

    return cast(Method, explained)


def _advice(name: str, known: list[str], instead: dict[str, str]) -> str:
    return f"write {instead[name]}" if name in instead else _near(name, known)


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _filled(advice: str, value: object) -> str:
    """The advice with the value that was given; without, where the parameter may not be that."""
    shown = re.search(r"(\w+)=\{value!r\}", advice)
    if shown and shown[1] in ALLOWED and not ALLOWED[shown[1]][1](value):
        return advice.replace(shown[0], shown[1])
    return advice.format(value=value)
