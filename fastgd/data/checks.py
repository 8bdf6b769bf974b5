"""What the parameters of the estimators may be, and the message for anything else."""

import numbers

import numpy as np


def is_real(value):
    """Whether it is a number that a float can hold, infinity and NaN among them, and no bool."""
    if type(value) is float:
        return True
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        float(value)
    except OverflowError:  # 10**400
        return False
    return True


def is_count(value):
    """Whether it is an integer and no bool."""
    return type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool))


def is_flag(value):
    """Whether it is True or False."""
    return isinstance(value, bool | np.bool_)


# Name: what it may be in words, and the test.  Strings and components are checked where they are looked up.
ALLOWED = {
    "alpha": ("a finite number of at least 0", lambda v: is_real(v) and 0 <= v < np.inf),
    "l1_ratio": ("a number from 0 to 1", lambda v: v is None or (is_real(v) and 0 <= v <= 1)),
    "fit_intercept": ("True or False", is_flag),
    "max_iter": ("an integer of at least 1", lambda v: is_count(v) and v >= 1),
    "tol": ("None or a number of at least 0", lambda v: v is None or (is_real(v) and v >= 0)),
    "shuffle": ("True or False", is_flag),
    "verbose": (
        "an integer of at least 0: a line every so many checks",
        lambda v: is_flag(v) or (is_count(v) and v >= 0),
    ),
    "epsilon": ("a finite number of at least 0", lambda v: is_real(v) and 0 <= v < np.inf),
    "eta0": ("a positive finite number", lambda v: is_real(v) and 0 < v < np.inf),
    "power_t": ("a finite number", lambda v: is_real(v) and np.isfinite(v)),
    "early_stopping": ("True or False", is_flag),
    "validation_fraction": ("a number between 0 and 1", lambda v: is_real(v) and 0 < v < 1),
    "n_iter_no_change": ("an integer of at least 1", lambda v: is_count(v) and v >= 1),
    "warm_start": ("True or False", is_flag),
    "n_jobs": (
        "a positive number of threads, a negative one (-1: all) or None",
        lambda v: v is None or (is_count(v) and v != 0),
    ),
    "average": ("True, False or the update to start from", lambda v: is_flag(v) or (is_count(v) and v >= 0)),
    "momentum": ("a number of at least 0 and below 1", lambda v: is_real(v) and 0 <= v < 1),
    "multi_class": ("'auto' or 'ovr'", lambda v: isinstance(v, str) and v in ("auto", "ovr")),
    "max_time": ("None or a positive number of seconds", lambda v: v is None or (is_real(v) and v > 0)),
    "random_state": (
        "None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState",
        lambda v: (
            v is None or v is np.random or isinstance(v, np.random.RandomState) or (is_count(v) and 0 <= v < 2**32)
        ),
    ),
    "class_weight": (
        "None, 'balanced' or a dict",
        lambda v: v is None or isinstance(v, dict) or (isinstance(v, str) and v == "balanced"),
    ),
}


def only_given(**arguments):
    """The arguments that are not None: an override in a subclass need not know those that nobody gave.

    Examples
    --------
    >>> only_given(offset=None, sample_weight=1.0)
    {'sample_weight': 1.0}
    """
    return {name: value for name, value in arguments.items() if value is not None}


def check_parameters(parameters):
    """Raise ValueError for the first parameter that is not allowed.

    Parameters
    ----------
    parameters : dict
        Names and values, others among them.

    Examples
    --------
    >>> check_parameters({"alpha": -1.0})
    Traceback (most recent call last):
    ...
    ValueError: alpha must be a finite number of at least 0, got -1.0
    """
    for name, (words, allowed) in ALLOWED.items():
        if name in parameters and not allowed(parameters[name]):
            raise ValueError(f"{name} must be {words}, got {parameters[name]!r}")
