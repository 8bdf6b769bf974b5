"""Methods that an estimator has only where its parameters allow them."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


class offered_if:
    """Decorator of a method that is there where `check(estimator)` is true.

    As scikit-learn's `available_if`, but the last line of the AttributeError says why: `check`
    raises an AttributeError with the reason.

    Examples
    --------
    >>> def never(model):
    ...     raise AttributeError("loss")
    >>> class Model:
    ...     @offered_if(never)
    ...     def predict_proba(self, X):
    ...         return X
    >>> Model().predict_proba
    Traceback (most recent call last):
    ...
    AttributeError: This 'Model' has no attribute 'predict_proba': loss
    """

    def __init__(self, check: Callable[..., Any]) -> None:
        self.check = check

    def __call__(self, method: Method) -> Method:
        """Make the attribute of the class."""
        return cast(Method, _Offered(method, self.check))


class _Offered:
    def __init__(self, method, check):
        self.method, self.check = method, check
        self.__doc__ = method.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:  # for documentation: the plain function
            return self.method
        try:
            self.check(instance)
        except AttributeError as error:
            raise AttributeError(
                f"This {type(instance).__name__!r} has no attribute {self.method.__name__!r}: "
                f"{error}"
            ) from None
        return self.method.__get__(instance, owner)
