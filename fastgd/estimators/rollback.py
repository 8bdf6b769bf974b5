"""An estimator is fitted, or it is left as it was; an interrupt is raised again."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from fastgd.fitting.stopping import StopReason

Method = TypeVar("Method", bound=Callable[..., Any])


def restores_on_error(method: Method) -> Method:
    """Decorator: where the method raises, the estimator is left as it was."""

    @functools.wraps(method)
    def guarded(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self.__dict__ = before  # at once: a second interrupt may come at any time
            for state in before.get("_states") or ():
                if state is not None:
                    state.take_back()
            raise

    return cast(Method, guarded)


def interruptible(fit: Method) -> Method:
    """Decorator: where an interrupt has ended a fit that has stored its model so far,
    KeyboardInterrupt is raised again.
    """

    @functools.wraps(fit)
    def guarded(self, *args, **kwargs):
        fitted = fit(self, *args, **kwargs)
        if self.stop_reason_ is StopReason.INTERRUPTED:
            onwards = "; the next fit goes on from it" if self.warm_start else ""
            raise KeyboardInterrupt(
                f"the best model so far is stored: objective {self.objective_:.6g} after "
                f"{self.n_iter_} iterations{onwards}"
            )
        return fitted

    return cast(Method, guarded)
