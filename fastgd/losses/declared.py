"""What a loss class declares of its formulas: told when the class is made where it is of a kind
that nothing can be done with.
"""

import dataclasses
import inspect
import numbers

import numpy as np

from fastgd.losses.domain import Interval


def check_declared(cls):
    """TypeError for a declaration of a class of another kind than it must have.

    Examples
    --------
    >>> class Late:
    ...     smooth = "no"
    >>> check_declared(Late)
    Traceback (most recent call last):
        ...
    TypeError: Late.smooth must be True or False, got 'no'
    """
    for name, (fits, what) in ALLOWED.items():
        value = vars(cls).get(name)
        if name not in vars(cls) or hasattr(value, "__get__"):  # may depend on parameters
            continue
        value = value.default if isinstance(value, dataclasses.Field) else value
        if not fits(value):
            raise TypeError(f"{cls.__name__}.{name} must be {what}, got {value!r}")


def _is_number(value):
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and not np.isnan(float(value))
    )


def _is_truth(value):
    return isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1))


TRUTH = _is_truth, "True or False"
ALLOWED = {
    "infimum": (_is_number, "a number, or -np.inf where there is none or it is not known"),
    "curvature_bound": (
        lambda value: _is_number(value) and value >= 0.0,
        "a number of at least 0, or np.inf where there is none",
    ),
    "self_concordance": (
        lambda value: value is None or (_is_number(value) and 0.0 <= value < np.inf),
        "a finite number of at least 0, or None where there is none or it is not known",
    ),
    "target_domain": (
        lambda value: isinstance(value, Interval),
        "an Interval, as fastgd.losses.Interval(low=0.0, low_closed=True)",
    ),
    **dict.fromkeys(("smooth", "convex", "classification"), TRUTH),
}
# What targets are called.
TARGETS = ("target", "y_true", "true", "label", "observed")


def argument_order(loss):
    """What is said of a derivative that is wrong and whose first parameter is called as targets
    are, as in scikit-learn's metrics.
    """
    first, second = list(inspect.signature(loss.value).parameters)
    if first.lower() not in TARGETS:
        return ""
    return f"; the prediction comes first, here it is called {first}, and the target {second}"
