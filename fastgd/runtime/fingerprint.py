"""Fingerprints: hashes of code as it is in memory, equal only where the same machine code would be
compiled.

The text of a file would not do: it may be edited after its import, there is none in a notebook, and
it does not show the helpers and constants that code reads from elsewhere. A class of components is
known here by its `_protocol`: the methods that its family lets kernels call.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np

# Numba brings its own code for what these modules have.
_KNOWN_BY_NAME = {"numpy", "numba", "math", "cmath", "builtins", "operator"}


def fingerprint(value: Any) -> str:
    """Hash of a function, kernel or class: its bytecode and all constants, globals, closures and
    functions it reads.
    """
    text = "\0".join(_describe(value, frozenset(), {}))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def current_stamp(cls: type) -> str:
    """Fingerprint of a component class; taken anew each time for a user's class, whose globals
    may change.
    """
    return _stamp_of_ours(cls) if is_ours(cls) else fingerprint(cls)


def is_ours(cls: type) -> bool:
    """Whether a class is part of this package, and so does not change while it runs."""
    return cls.__module__.partition(".")[0] == "fastgd"


_stamp_of_ours = functools.cache(fingerprint)


def callable_methods(cls: Any) -> dict[str, FunctionType]:
    """Methods that kernels may call on components of a class: those of the family, and what
    these call in turn.
    """
    found: dict[str, FunctionType] = {}
    names = list(cls._protocol)
    for name in names:
        method = inspect.getattr_static(cls, name, None)
        hidden = name.startswith("__") or any(
            hasattr(vars(base).get(name), "python_only") for base in cls.__mro__
        )
        if inspect.isfunction(method) and name not in found and not hidden:
            found[name] = method
            names.extend(_all_names(method))
    return dict(sorted(found.items()))


def class_constants(cls: type) -> dict[str, float]:
    """Numbers in the body of a class and its bases, which methods may read from `self`."""
    values = {name: getattr(cls, name) for name in dir(cls) if name[:2] != "__"}
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float)}


def _describe(value: Any, names: frozenset[str], seen: dict[Any, int]) -> Iterator[str]:
    """Strings that tell apart any two values that compile differently; of a module, only its
    attributes `names`.
    """
    yield type(value).__qualname__
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | enum.Enum):
        yield repr(value)
    elif isinstance(value, np.ndarray | np.generic):
        yield f"{value.dtype!r} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    elif _is_known_by_name(value):
        yield f"{value.__module__}.{value.__qualname__}{_repr(value)}"
    elif (key := (id(value), names if inspect.ismodule(value) else None)) in seen:
        yield str(seen[key])
    else:
        # These may be gone, and their id another's.
        if not isinstance(value, tuple | list | dict | set | frozenset):
            seen[key] = len(seen)
        names = _all_names(value) if inspect.isfunction(value) else names
        for part in _parts(value, names):
            yield from _describe(part, names, seen)


def _is_known_by_name(value: Any) -> bool:
    """Whether a value is what one of the modules that Numba knows has under its name.

    What it says of its module is not enough: code run by `exec` in a namespace without `__name__`
    says builtins.
    """
    origin, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not (isinstance(origin, str) and isinstance(name, str)) or _compiled_from(value):
        return False
    if origin.partition(".")[0] not in _KNOWN_BY_NAME or hasattr(value, "_protocol"):
        return False
    module = sys.modules.get(origin)
    if inspect.isfunction(value) and value.__globals__ is not getattr(module, "__dict__", None):
        return False
    return functools.reduce(lambda at, part: getattr(at, part, None), name.split("."), module) is (
        value
    )


def _parts(value: Any, names: frozenset[str]) -> Iterable[Any]:
    """What a value that is not a plain constant consists of, as far as compiled code can see it."""
    if inspect.isfunction(value):
        return value.__code__, value.__defaults__, *_read_from_outside(value)
    if inspect.iscode(value):
        return value.co_code, value.co_argcount, value.co_names, value.co_varnames, value.co_consts
    if _compiled_from(value):
        return getattr(value, "targetoptions", None), _compiled_from(value)
    if inspect.ismodule(value):
        known = value.__name__.partition(".")[0] in _KNOWN_BY_NAME
        return value.__name__, *(
            () if known else ((name, vars(value).get(name)) for name in sorted(names))
        )
    if isinstance(value, type):
        members = (
            (callable_methods(value), class_constants(value)) if hasattr(value, "_protocol") else ()
        )
        return (
            value.__module__,
            value.__qualname__,
            getattr(value, "_fields", ()),  # a named tuple's, in their order
            *(value if issubclass(value, enum.Enum) else members),
        )
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return (
        value
        if isinstance(value, tuple | list)
        else value.items()
        if isinstance(value, dict)
        else [_repr(value)]
    )


def _compiled_from(value: Any) -> Any:
    """Python function that a dispatcher or an intrinsic is made from; None for anything else."""
    return getattr(value, "py_func", None) or getattr(value, "_defn", None)


def _repr(value: Any) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _read_from_outside(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Globals and closure variables that a function reads, with their values."""
    names = {name for code in _nested(function.__code__) for name in _global_names(code)}
    for name in sorted(names & function.__globals__.keys()):
        yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":  # is there when a method says super(), which kernels cannot run
            yield name, cell.cell_contents


def _global_names(code: CodeType) -> Iterator[str]:
    """Names that code looks up outside itself; `co_names` has attributes too, and `self.weight`
    is no global.
    """
    argument = (
        0  # by hand: dis.get_instructions makes the fingerprint of a kernel take four times as long
    )
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if operation == dis.opmap["LOAD_GLOBAL"]:
            yield code.co_names[argument >> 1]
        if operation != dis.EXTENDED_ARG:
            argument = 0


def _all_names(function: FunctionType) -> frozenset[str]:
    """Globals and attributes, of whatever object, that a function mentions."""
    return frozenset(name for code in _nested(function.__code__) for name in code.co_names)


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Code of a function and of all functions defined in it."""
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _nested(constant)
