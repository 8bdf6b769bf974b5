"""Derivatives of a user's component, tried against differences of its values before a fit.

A wrong derivative ends in a model that is not the optimum, and a proof of it proves nothing. A few
differences in plain Python find what is wrong by more than a thousandth; `check_loss` looks at all
of a loss, and more closely.
"""

import numpy as np

from fastgd.losses.base import VectorLoss
from fastgd.losses.differences import one_sided, outside

# A derivative may be approximate: less than this share is `check_loss`'s to tell.
APPROXIMATE = 1e-3
# Where the derivative is tried: predictions, and distances from the target.
AROUND_ZERO = (0.37, -1.7)
AROUND_TARGET = (0.62, -1.3)
# Targets beyond are too far from 0 for differences to resolve what is about them.
FAR = 1e3
COEFFICIENTS = (0.37, -1.7)
RATES = (0.125, 1.5)


def try_loss(loss, targets, n_predictions):
    """ValueError where derivatives of a loss are not those of its values, for these targets."""
    worst = (0.0, "")
    for target in targets:
        for base, direction, t in _lines(loss, target, n_predictions):
            worst = max(worst, _excess(loss, target, base, direction, t))
    if worst[0] > 0.0:
        raise ValueError(f"{worst[1]}; `print(check_loss({loss!r}))` shows more")


def try_penalty(penalty, columns):
    """ValueError where derivatives of a penalty are not those of its values, or where `prox` is
    not the minimum that it should be.
    """
    name = type(penalty).__name__
    for j in columns:
        for at in map(np.float64, COEFFICIENTS):
            found = penalty.derivative(at, j)
            left, right, rounding = one_sided(lambda w, j=j: penalty.value(w, j), at)
            if _is_wrong(found, left, right, rounding):
                raise ValueError(
                    f"{name}.derivative gives {found:.6g} for coefficient {at:g}, j = {j}, where "
                    f"differences of value give {_between(left, right)}"
                )
            for rate in map(np.float64, RATES):
                _try_prox(penalty, at, j, rate)


def _try_prox(penalty, at, j, rate):
    def height(u):
        return rate * penalty.value(u, j) + 0.5 * (u - at) ** 2

    found = penalty.prox(at, j, rate)
    here = height(found)
    for other in (at, np.float64(0.0), found + 1e-3, found - 1e-3):
        if height(other) < here - 1e-7 * max(1.0, abs(here)):
            raise ValueError(
                f"{type(penalty).__name__}.prox gives {found:.6g} for coefficient {at:g}, j = {j}, "
                f"rate {rate:g}; rate * value(u) + (u - coefficient)^2 / 2 is lower at {other:.6g}"
            )


def _lines(loss, target, n_predictions):
    """Triples (base, direction, t): the derivative is tried at base + t * direction."""
    if not isinstance(loss, VectorLoss):
        near = np.add(target, AROUND_TARGET) if abs(target) <= FAR else ()
        return [(np.float64(0.0), np.float64(1.0), np.float64(at)) for at in (*AROUND_ZERO, *near)]
    # No two coordinates are alike.
    base, first = np.linspace(-0.9, 1.1, n_predictions), np.eye(1, n_predictions)[0]
    return [(base, np.cos(np.arange(n_predictions) + 0.5), 0.0), (-base, first, 0.0)]


def _excess(loss, target, base, direction, t):
    """How far a derivative is beyond its tolerance at a place, and the text about it."""
    at = base + t * direction
    found = _slope(loss, target, at, direction)
    left, right, rounding = one_sided(lambda t: loss.value(base + t * direction, target), t)
    if not _is_wrong(found, left, right, rounding):
        return 0.0, ""
    vector = isinstance(loss, VectorLoss)
    name = "derivatives" if vector else "derivative"
    place = f"predictions {np.round(at, 3)}" if vector else f"prediction {at:g}"
    along = f" along {np.round(direction, 3)}" if vector else ""
    return (
        float(outside(found, left, right, rounding)),
        f"{type(loss).__name__}.{name} gives {found:.6g}{along} at {place}, target {target}, where "
        f"differences of value give {_between(left, right)}",
    )


def _slope(loss, target, at, direction):
    if not isinstance(loss, VectorLoss):
        return loss.derivative(at, target)
    out = np.zeros(at.size)
    loss.derivatives(at, target, out)
    return float(out @ direction)


def _is_wrong(found, left, right, rounding):
    """Whether a derivative is far from both differences; not where one of them is no number."""
    tolerated = APPROXIMATE * max(abs(found), abs(left), abs(right))
    return bool(tolerated < outside(found, left, right, rounding) < np.inf)


def _between(left, right):
    return f"{left:.6g}" if np.isclose(left, right, 1e-4, 1e-4) else f"{left:.6g} to {right:.6g}"
