"""Arrays that were read from a file: of the shapes and types that compiled loops take for granted,
which go over arrays without asking how long these are.

A class says by `shaped` what its attributes are, each in words:

    "n"                      float64, (n,)
    "k n | 0"                (k, n) or (0,)
    "float32 n"              of another type
    "int64 * in 0:d"         of any length, with entries from 0 to d - 1
    "any"                    not looked at

A length is a number, a name, a name and a number ("d+1"), or *.  Names that nobody gave are of the
instance: its first array with such a name tells how long it is.  A tuple of such words is for the
entries of a tuple, a dict of them for those of a dict ("*" for the others) or for attributes of an
instance; else the words are for all arrays within an attribute.
"""

import numpy as np

TYPES = "float32", "int64", "int32", "uint8", "bool"


class WrongArray(ValueError):
    """An array of another shape or type, or with other entries, than it has to have."""


def check_arrays(value, lengths, words=None, name="", own=None):
    """Raise `WrongArray` for an array in `value` that is not as its class says, or of which its
    class says nothing.

    Parameters
    ----------
    value : object
        An instance, or a list, tuple or dict.
    lengths : dict
        Names and lengths.
    words : str, tuple or dict, optional
        What its arrays are.
    name : str, optional
        What it is called in messages.
    own : dict, optional
        Lengths of the instance.

    Examples
    --------
    >>> check_arrays([np.zeros(3), np.zeros((2, 3))], {"n": 3}, "n | 2 n", "a list")
    >>> check_arrays(np.zeros(2), {"n": 3}, "n", "an array")
    Traceback (most recent call last):
    ...
    fastgd.runtime.array_shapes.WrongArray: an array is float64 of shape (2,), not as n says
    """
    own = {} if own is None else own
    if isinstance(words, str) and words == "any":
        return
    if isinstance(value, np.ndarray):
        if not isinstance(words, str):
            raise WrongArray(f"{name} is an array")
        _check_array(value, lengths, words, name, own)
    elif isinstance(value, dict):
        known = words if isinstance(words, dict) else {"*": words}
        for key, one in value.items():
            here = known.get(key, known.get("*"))
            check_arrays(one, lengths, here, f"{name}[{key!r}]", own)
    elif isinstance(value, list) or type(value) is tuple:
        each = words if isinstance(words, tuple) else (words,) * len(value)
        if len(each) != len(value):
            raise WrongArray(f"{name} has {len(value)} entries, not {len(each)}")
        for one, here in zip(value, each, strict=True):
            check_arrays(one, lengths, here, name, own)
    elif type(value).__module__.startswith("fastgd."):
        known = shapes_of(type(value)) | (words if isinstance(words, dict) else {})
        of_it: dict[str, int] = {}
        for key, one in _attributes(value).items():
            check_arrays(one, lengths, known.get(key), f"{type(value).__name__}.{key}", of_it)


def shaped(**words):
    """Decorator of a class: what its attributes are, beside those of its bases.

    Examples
    --------
    >>> @shaped(table="n", point="u")
    ... class Kept:
    ...     pass
    >>> shapes_of(Kept)
    {'table': 'n', 'point': 'u'}
    """

    def noted(cls):
        cls.shapes = words
        return cls

    return noted


def shapes_of(cls):
    """What a class and its bases say of attributes."""
    found: dict = {}
    for one in reversed(cls.__mro__):
        found |= vars(one).get("shapes", {})
    return found


def _attributes(value):
    if isinstance(value, tuple):
        return dict(zip(type(value)._fields, value, strict=True))  # type: ignore[attr-defined]
    return vars(value)


def _check_array(array, lengths, words, name, own):
    told, _, ends = words.partition(" in ")
    first, _, others = told.partition(" ")
    dtype, shapes = (first, others) if first in TYPES else ("float64", told)
    known = {**own, **lengths}
    fits = array.dtype == dtype and any(
        _fits(array.shape, one.split(), known, own) for one in shapes.split("|")
    )
    if fits and ends and array.size:
        low, high = (_length(one, {**own, **lengths}) for one in ends.split(":"))
        fits = (low is None or array.min() >= low) and (high is None or array.max() < high)
    if not fits:
        raise WrongArray(f"{name} is {array.dtype} of shape {array.shape}, not as {words} says")


def _fits(shape, names, known, own):
    """Whether a shape is that of these names, which are bound where nobody knows them."""
    if len(shape) != len(names):
        return False
    bound: dict[str, int] = {}
    for length, name in zip(shape, names, strict=True):
        wanted = _length(name, {**bound, **known})
        if wanted is None:
            bound[name] = length
        elif wanted != length:
            return False
    bound.pop("*", None)
    own |= bound
    return True


def _length(name, known):
    """How long that is; None where nobody knows."""
    if name == "*":
        return None
    sign = -1 if name.startswith("-") else 1
    name, _, more = name.removeprefix("-").partition("+")
    length = int(name) if name.isdigit() else known.get(name)
    return None if length is None else sign * length + int(more or 0)
