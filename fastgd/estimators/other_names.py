"""Parameters that other libraries have, and what to write here instead."""

import functools
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

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
}


def explains_other_names(init: Callable[P, None]) -> Callable[P, None]:
    """Decorator of `__init__`: the TypeError for a parameter of another library says what to
    write.
    """

    @functools.wraps(init)
    def explained(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            init(*args, **kwargs)
        except TypeError as error:
            found = [name for name in kwargs if name in INSTEAD and f"'{name}'" in str(error)]
            if not found:
                raise
            instead = INSTEAD[found[0]].format(value=kwargs[found[0]])
            raise TypeError(f"{error}; write {instead}") from None

    return explained
