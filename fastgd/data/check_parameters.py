"""What the parameters of the estimators may be, and the message for anything else."""

import numbers
import os

import numpy as np

from fastgd.runtime.component import shown


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
    return type(value) is int or (
        isinstance(value, numbers.Integral) and not isinstance(value, bool)
    )


def is_flag(value):
    """Whether it is True or False."""
    return isinstance(value, bool | np.bool_)


def is_no_array(value):
    """Whether it is neither a dense nor a sparse array of one or more dimensions."""
    return getattr(value, "ndim", 0) == 0


# Name: what it may be in words, and the test.  Strings and components are checked where they are
# looked up, for which they must not be arrays: these equal a string here and there.
ALLOWED = {
    "alpha": ("a finite number of at least 0", lambda v: is_real(v) and 0 <= v < np.inf),
    "l1_ratio": ("a number from 0 to 1", lambda v: v is None or (is_real(v) and 0 <= v <= 1)),
    "positive": ("True or False", is_flag),
    "fit_intercept": ("True or False", is_flag),
    "learning_rate": ("the name of a schedule, such as 'constant'", is_no_array),
    "batch_size": ("'auto', 'full', 'growing', a number of rows or a share of them", is_no_array),
    "memory": (
        "a number of bytes, at least 1e6, or None",
        lambda v: v is None or (is_real(v) and 1e6 <= v < np.inf),
    ),
    "max_iter": ("an integer of at least 1", lambda v: is_count(v) and v >= 1),
    "tol": ("None or a number of at least 0", lambda v: v is None or (is_real(v) and v >= 0)),
    "shuffle": ("True or False", is_flag),
    "verbose": (
        "an integer of at least 0: a line every so many checks",
        lambda v: is_flag(v) or (is_count(v) and v >= 0),
    ),
    "epsilon": ("a finite number of at least 0", lambda v: is_real(v) and 0 <= v < np.inf),
    "eta0": ("a positive finite number", lambda v: is_real(v) and 0 < v < np.inf),
    "power_t": ("a finite number", lambda v: is_real(v) and -np.inf < v < np.inf),
    "early_stopping": ("True or False", is_flag),
    "validation_fraction": ("a number between 0 and 1", lambda v: is_real(v) and 0 < v < 1),
    "n_iter_no_change": ("an integer of at least 1", lambda v: is_count(v) and v >= 1),
    "warm_start": ("True or False", is_flag),
    "n_jobs": (
        "a positive number of threads, a negative one (-1: all) or None",
        lambda v: v is None or (is_count(v) and v != 0),
    ),
    "average": (
        "True, False or the update to start from",
        lambda v: is_flag(v) or (is_count(v) and v >= 0),
    ),
    "forget": (
        "None or a positive number of rows, the half-life",
        lambda v: v is None or (is_real(v) and v > 0),
    ),
    "record": ("None or 'coef'", lambda v: v is None or (isinstance(v, str) and v == "coef")),
    "momentum": ("a number of at least 0 and below 1", lambda v: is_real(v) and 0 <= v < 1),
    "multi_class": (
        "'auto', 'multinomial' or 'ovr'",
        lambda v: isinstance(v, str) and v in ("auto", "multinomial", "ovr"),
    ),
    "max_time": (
        "None or a positive number of seconds",
        lambda v: v is None or (is_real(v) and v > 0),
    ),
    "checkpoint": (
        "None or the path of a file",
        lambda v: v is None or (isinstance(v, str | os.PathLike) and isinstance(os.fspath(v), str)),
    ),
    "checkpoint_every": (
        "a number of seconds, at least 0",
        lambda v: is_real(v) and 0 <= v < np.inf,
    ),
    "random_state": (
        "None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState",
        lambda v: (
            v is None
            or v is np.random
            or isinstance(v, np.random.RandomState)
            or (is_count(v) and 0 <= v < 2**32)
        ),
    ),
    "class_weight": (
        "None, 'balanced' or a dict",
        lambda v: v is None or isinstance(v, dict) or (isinstance(v, str) and v == "balanced"),
    ),
}


def only_given(**arguments):
    """The arguments that are not None: an override in a subclass need not know those that nobody
    gave.

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
            given = parameters[name]
            search = name == "alpha" and isinstance(given, str | list | tuple | np.ndarray)
            hint = "; GDClassifierCV and GDRegressorCV choose one" if search else ""
            raise ValueError(f"{name} must be {words}, got {shown(given)}{hint}")


def refuse_negative(weights, name="sample_weight"):
    """Raise ValueError for a negative weight; None are no weights."""
    if weights is not None and (np.asarray(weights) < 0).any():
        raise ValueError(f"{name} must not be negative, got {np.min(weights):g}")


def as_weights(sample_weight, n_samples, name="sample_weight", of="X"):
    """Weights as given, (n_samples,) float64, one number repeated; checked: finite, none negative,
    not all zero.

    `name` and `of` are what messages call the weights and the matrix whose rows they belong to.

    Examples
    --------
    >>> as_weights(2, 3)
    array([2., 2., 2.])
    """
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_samples, float(sample_weight))
    weights = as_numbers(sample_weight, name, n_samples, of)
    if weights.ndim != 1:
        raise ValueError(f"{name} must have shape ({n_samples},), got {weights.shape}")
    refuse_negative(weights, name)
    if not weights.any():
        raise ValueError(f"{name} is zero for every row; give some rows a positive weight")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"{name} adds up to more than a float can hold; divide it by {weights.max():g}"
        )
    return weights


def as_offset(offset, n_samples, name="offset", of="X"):
    """Offsets as float64, (n_samples,), all finite; ValueError else.

    `name` and `of` are what messages call the offsets and the matrix whose rows they belong to.
    """
    offsets = as_numbers(offset, name, n_samples, of)
    if offsets.ndim != 1:
        raise ValueError(f"{name} must have shape ({n_samples},), got {offsets.shape}")
    return offsets


def as_numbers(values, name, n_samples, of="X"):
    """`values` as float64, (n_samples, ...), all finite; ValueError else."""
    refuse_masked(values, name)
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiubO":
            raise TypeError("neither floating point nor integer")
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must hold one real number for each row of {of}, got {_typed(values)}: {error}"
        ) from error
    if array.ndim == 0 or array.shape[0] != n_samples:
        raise ValueError(
            f"{name} must have one entry for each of the {n_samples} rows of {of}, got shape "
            f"{array.shape}"
        )
    if not np.isfinite(array).all():
        i = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(f"{name} contains NaN or infinity (first in row {i}); drop such rows")
    return array


def as_floats(values, name):
    """`values` as float64; ValueError for anything but real numbers.

    Examples
    --------
    >>> as_floats([1, 2], "x0")
    array([1., 2.])
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise ValueError(f"{name} must hold real numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def refuse_masked(values, name):
    """Raise ValueError for a masked array with masked values, which NumPy would read as if they
    were not.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values; fill them in or drop their rows")


def _typed(values):
    return f"dtype {values.dtype}" if hasattr(values, "dtype") else f"a {type(values).__name__}"
