"""Warnings at the line that called the package, however deep in it they are made."""

import sys
import warnings

# Modules that stand between a warning and that line: scikit-learn's decorator of fits is one.
WITHIN = "fastgd", "sklearn.callback"


def warn_at_call(message: str, category: type[Warning]) -> None:
    """`warnings.warn` with the file and line of whoever called the package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_within(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def _is_within(module):
    return any(module == one or module.startswith(f"{one}.") for one in WITHIN)
