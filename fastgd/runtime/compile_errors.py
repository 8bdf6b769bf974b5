"""What a user's component does that cannot be compiled, told in one line instead of Numba's
hundred: class, method, line, and what to use instead.
"""

import inspect
import linecache
import os
import re

from fastgd.runtime.fingerprint import callable_methods

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
        r"Exception matching is limited",
        "`except` of a kind of error cannot be compiled; test the numbers with `if`",
    ),
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
    text = str(error)
    place = _place(text, classes)
    if place is None:
        return None
    cls, name, file, line, before = place
    code = linecache.getline(file, line).strip()
    code = f", `{code}`" if code else ""
    return (
        f"{cls.__name__}.{name} cannot be compiled ({os.path.basename(file)}, line {line}{code}): "
        f"{_cause(before, cls)}"
    )


def _place(text, classes):
    """(class, method, file, line, what Numba says before it names them) of the innermost line."""
    methods = [
        (cls, name, method, len(inspect.getsourcelines(method)[0]) if _has_source(method) else 1)
        for cls in classes
        for name, method in callable_methods(cls).items()
        if not method.__module__.startswith("fastgd.")
    ]
    first = None
    for found in re.finditer(r'File "(.+?)", line (\d+)', text):
        file, line = os.path.abspath(found[1]), int(found[2])
        first = first or (file, line, text[: found.start()])
        for cls, name, method, length in methods:
            start = method.__code__.co_firstlineno
            if (
                os.path.abspath(method.__code__.co_filename) == file
                and start <= line < start + length
            ):
                return cls, name, *first
    return None


def _has_source(method):
    try:
        inspect.getsourcelines(method)
    except (OSError, TypeError):
        return False
    return True


def _cause(before, cls):
    """The innermost message, translated where it is one of the usual ones."""
    last = before.rpartition("Failed in nopython mode pipeline")[2]
    for pattern, words in CAUSES:
        found = re.search(pattern, last, re.DOTALL)
        if found:
            return words.format(*found.groups(), self=cls.__name__)
    said = " ".join(last.partition("\n")[2].split())
    return f"Numba says: {said[:200]}; {INSTEAD}" if said else INSTEAD
