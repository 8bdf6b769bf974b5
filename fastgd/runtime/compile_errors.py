"""What a user's component does that cannot be compiled, told in one line instead of Numba's
hundred: class, method, line, and what to use instead.
"""

import inspect
import linecache
import os
import re

from numba.core.compiler import run_frontend

from fastgd.runtime.fingerprint import callable_methods

# How Numba says where; the second way is that of code that it does not even begin to compile.
PLACE = re.compile(r'File "(.+?)", line (\d+)|Raised from (.+?) \((\d+)\)')

INSTEAD = "use functions of NumPy and math of single numbers, `if`, `for`, and fields of the class"

# What Numba's innermost message says, and what to tell: {0}, {1} are the groups, {self} the class.
CAUSES = (
    (
        r"global name 'super'|freevar '__class__'|name '__class__'",
        "super() cannot be compiled; write the formula again",
    ),
    (
        r"name '(\w+)'.*?Cannot determine Numba type of <class 'function'>",
        "{0} is a plain function; put @numba.njit above it, or make it a method of {self}",
    ),
    (
        r"name '(\w+)'.*?Cannot determine Numba type of <class 'type'>",
        "{0} is a class; methods of self can be called, those of other classes cannot",
    ),
    (
        r"name '(\w+)'.*?Cannot determine Numba type of <class '(dict|list|set|str|NoneType)'>",
        "{0} is a {1}; use a number, a NumPy array, or a field of {self}",
    ),
    (
        r"name '(\w+)'.*?Cannot determine Numba type of <class '([\w.]+)'>",
        "{0} ({1}) is not known to the compiler; " + INSTEAD,
    ),
    (
        r"Unknown attribute '(\w+)' of type Module\(<module '([\w.]+)'",
        "{1}.{0} is not known to the compiler; " + INSTEAD,
    ),
    (
        r"Use of unsupported NumPy function '([\w.]+)'",
        "{0} is not known to the compiler; " + INSTEAD,
    ),
    (
        r"Unknown attribute '(\w+)' of type \S+\(.*\)#",
        "self.{0} is neither a field nor a constant; declare it in the class: {0}: float = 1.0",
    ),
    (
        r"Cannot resolve setattr: .*?\.(\w+) = ",
        "a method cannot store on self ({0}); use a variable, or set a field where the object is "
        "made",
    ),
    (r"compiler re-entrant", "a method cannot call itself; write a loop"),
    (
        r"yield in a closure|generator",
        "a generator expression cannot be compiled; write a loop",
    ),
    (
        r"Exception matching is limited|Exception object cannot be stored",
        "`except` of a kind of error cannot be compiled; test the numbers with `if`",
    ),
    (r"opcode \(IMPORT_\w+\)", "an import cannot be compiled; write it above the class"),
    (
        r"opcode \((?:STORE|DELETE)_GLOBAL\)",
        "a method cannot change what is global; use a variable, or a field of {self}",
    ),
    (
        # The opcode is Python 3.13's.
        r"format spec in f-strings|opcode \(FORMAT_WITH_SPEC\)",
        "a format in an f-string cannot be compiled; leave it out",
    ),
    (r"Illegal IR, del", "`del` cannot be compiled; leave it out"),
    (r"Unsupported context manager", "`with` cannot be compiled; leave it out"),
    (
        r"Cannot unify (?:Literal\[)?(\w+).*? and (?:Literal\[)?(\w+)",
        "a variable or result is {0} here and {1} there; let it be one kind of number",
    ),
)


def in_one_line(error, classes):
    """What is wrong, or None where no method of these classes is named by the error.

    Parameters
    ----------
    error : Exception
        What the compiler raised.
    classes : iterable of type
        Component classes that are not ours.
    """
    functions = list(_functions(classes))
    place = _place(str(error), functions) or _place_by_trying(functions)
    if place is None:
        return None
    cls, name, file, line, before = place
    code = linecache.getline(file, line).strip()
    code = f", `{code}`" if code else ""
    return (
        f"{cls.__name__}.{name} cannot be compiled ({os.path.basename(file)}, line {line}{code}): "
        f"{_cause(before, cls)}"
    )


def _functions(classes):
    """(class, method, function): the method itself, and compiled functions that it names."""
    for cls in classes:
        for name, method in callable_methods(cls).items():
            if not method.__module__.startswith("fastgd."):
                yield cls, name, method
                known = inspect.getclosurevars(method)
                for one in (*known.globals.values(), *known.nonlocals.values()):
                    if hasattr(one, "py_func"):
                        yield cls, name, one.py_func


def _place(text, functions):
    """(class, method, file, line, what Numba says before it names them) of the innermost line."""
    first = None
    for found in PLACE.finditer(text):
        file, line = os.path.abspath(found[1] or found[3]), int(found[2] or found[4])
        first = first or (file, line, text[: found.start()])
        for cls, name, function in functions:
            start = function.__code__.co_firstlineno
            if os.path.abspath(
                function.__code__.co_filename
            ) == file and start <= line < start + _length(function):
                return cls, name, *first
    return None


def _place_by_trying(functions):
    """The same of the first function that Numba cannot even read, of which some errors name no
    line: its own is told.
    """
    for cls, name, function in functions:
        try:
            run_frontend(function)
        except Exception as error:
            return (
                cls,
                name,
                function.__code__.co_filename,
                function.__code__.co_firstlineno,
                str(error),
            )
    return None


def _length(function):
    try:
        return len(inspect.getsourcelines(function)[0])
    except (OSError, TypeError):
        return 1


def _cause(before, cls):
    """The innermost message, translated where it is one of the usual ones."""
    _, failed, last = before.rpartition("Failed in nopython mode pipeline")
    for pattern, words in CAUSES:
        found = re.search(pattern, last, re.DOTALL)
        if found:
            return words.format(*found.groups(), self=cls.__name__)
    said = " ".join((last.partition("\n")[2] if failed else last).split()).rstrip(".")
    return f"Numba says: {said[:200]}; {INSTEAD}" if said else INSTEAD
