"""Numbers of components in messages: what they must be, and lists of them."""

from __future__ import annotations

from typing import Any

import numpy as np


def require_positive(component: Any, parameter: str, or_zero: bool = False) -> None:
    """Raise ValueError where a parameter of a component is not positive and finite."""
    number = getattr(component, parameter)
    if not (0.0 < number < np.inf or (or_zero and number == 0.0)):
        allowed = "non-negative" if or_zero else "positive"
        raise ValueError(
            f"{type(component).__name__} {parameter} must be {allowed} and finite, got {number}"
        )


def require_fraction(component: Any, parameter: str) -> None:
    """Raise ValueError where a parameter of a component is not at least 0 and below 1."""
    number = getattr(component, parameter)
    if not 0.0 <= number < 1.0:
        raise ValueError(
            f"{type(component).__name__} {parameter} must be at least 0 and below 1, got {number}"
        )


def in_words(numbers: Any, digits: int = 6) -> str:
    """One number with so many digits, or a list of them with six.

    Examples
    --------
    >>> in_words(1.0 / 3.0), in_words([0.5, 2.0 / 3.0])
    ('0.333333', '[0.5, 0.666667]')
    """
    numbers = np.atleast_1d(numbers)
    if numbers.size == 1:
        return f"{numbers[0]:.{digits}g}"
    return "[" + ", ".join(f"{number:.6g}" for number in numbers) + "]"
