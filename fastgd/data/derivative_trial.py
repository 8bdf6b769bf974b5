"""Derivatives of a user's component, tried against differences of its values before a fit.

A wrong derivative ends in a model that is not the optimum, and a proof of it proves nothing. A few
differences in plain Python find what is wrong by more than a thousandth; `check_loss` looks at all
of a loss, and more closely.
"""

from itertools import pairwise

import numpy as np

from fastgd.losses.base import Loss, VectorLoss
from fastgd.losses.declared import argument_order
from fastgd.losses.differences import one_sided, outside
from fastgd.losses.in_python import in_python
from fastgd.runtime.in_words import in_words

# A derivative may be approximate: less than this share is `check_loss`'s to tell.
APPROXIMATE = 1e-3
# Where the derivative is tried: predictions, and distances from the target.
AROUND_ZERO = (0.37, -1.7)
AROUND_TARGET = (0.62, -1.3)
# Targets beyond are too far from 0 for differences to resolve what is about them.
MAX_TARGET = 1e3
# Distances from there, in this order, between which the derivative of a convex loss never falls.
ALONG = (-30.0, -10.0, -3.0, -1.3, -0.4, 0.3, 1.1, 4.0, 12.0, 40.0)
# A fall of the derivative by such a share of its largest value is rounding.
ROUNDING_SHARE = 1e-9
# What rounding may add to a curvature by differences, relative to the largest derivative at most as
# far away; and to one by a formula with terms as large as the largest curvature there.
OF_DERIVATIVES = 1e-8
OF_CURVATURES = 1e-13
# Lines of the curvature of several predictions that methods for speed are compared with.
MAX_LINES = 8
# Methods with the first and the second derivative, of a `Loss` and of a `VectorLoss`.
FIRST = ("derivative", "derivatives")
SECOND = ("curvature", "curvature_product")
COEFFICIENTS = (0.37, -1.7)
RATES = (0.125, 1.5)


def try_loss(loss, targets, n_predictions):
    """ValueError where derivatives of a loss are not those of its values, for these targets."""
    worst = (0.0, "")
    for target in targets:
        for base, direction, t in _lines(loss, target, n_predictions):
            worst = max(worst, *_excesses(loss, target, base, direction, t), (0.0, ""))
    if worst[0] > 0.0:
        raise ValueError(
            f"{worst[1]}{argument_order(loss)}; `print(check_loss({loss!r}))` shows more"
        )


def try_shape(loss, targets, n_predictions):
    """ValueError where a loss that says nothing else is not convex for one of these targets, has
    another curvature for steps than its own, or one that changes more than `self_concordance`
    allows.
    """
    if not loss.convex:
        return
    name = type(loss).__name__
    for target in targets:
        for base, direction, center in _directions(loss, target, n_predictions):
            places = [np.float64(center + one) for one in ALONG]
            derivatives = [
                _along(loss, FIRST[isinstance(loss, VectorLoss)], direction, at, target)
                for at in (base + t * direction for t in places)
            ]
            for t in places:
                _refuse_other_curvature(loss, t, target)
            nothing = ROUNDING_SHARE * np.max(np.abs(derivatives))
            for (t, derivative), (u, after) in pairwise(zip(places, derivatives, strict=True)):
                if derivative - after > APPROXIMATE * (abs(derivative) + abs(after)) + nothing:
                    raise ValueError(
                        f"{name} is not convex: its derivative falls from {derivative:.6g} to "
                        f"{after:.6g} where the prediction goes from {t:g} to {u:g}, target "
                        f"{target}; declare `convex = False` in the class, and nothing is proved"
                    )
            if loss.self_concordance is not None:
                _refuse_other_concordance(loss, target, base, direction, places, derivatives)


def _refuse_other_concordance(loss, target, base, direction, places, derivatives):
    """ValueError where the curvature along a line changes more than `self_concordance` says: its
    logarithm by M per unit at most.

    Where it is far below what it is elsewhere, rounding is all that there is, and it is let pass.
    """
    constant = loss.self_concordance
    vector = isinstance(loss, VectorLoss)
    longest, more = np.max(np.abs(direction)), (direction,) if vector else ()
    curvatures = [
        in_python(_along, loss, SECOND[vector], direction, base + t * direction, target, *more)
        for t in places
    ]
    errors = OF_DERIVATIVES * np.abs(derivatives) + OF_CURVATURES * np.abs(curvatures)
    within = [errors[np.abs(ALONG) <= abs(one)].max() for one in ALONG]
    for i, (low, high) in enumerate(pairwise(curvatures)):
        rounding = max(within[i], within[i + 1])
        t, u = places[i], places[i + 1]
        allowed = (1.0 + APPROXIMATE) * np.exp(constant * longest * (u - t))
        if max(low, high) > (min(low, high) + rounding) * allowed + rounding:
            along = f" along {np.round(direction, 3)}" if vector else ""
            raise ValueError(
                f"the curvature of {type(loss).__name__} goes from {low:.6g} to {high:.6g} where "
                f"the prediction goes from {t:g} to {u:g}{along}, target {target}: its "
                f"self_concordance {constant:g} allows a factor of {allowed:.4g}; leave it out "
                "where it is not known"
            )


def _refuse_other_curvature(loss, at, target):
    """ValueError for a curvature of steps that a convex loss has beside its own: proofs rest on
    the matrices of steps.
    """
    if isinstance(loss, VectorLoss) or type(loss).step_curvature is Loss.step_curvature:
        return
    own, other = loss.curvature(at, target), loss.step_curvature(at, target)
    if abs(own - other) > APPROXIMATE * (abs(own) + abs(other)):
        raise ValueError(
            f"{type(loss).__name__}.step_curvature gives {other:.6g} at prediction {at:g}, target "
            f"{target}, where curvature gives {own:.6g}: leave it out, it is for losses that are "
            "not convex"
        )


def _directions(loss, target, n_predictions):
    """Triples (base, direction, center): lines along which derivatives may not fall."""
    if isinstance(loss, VectorLoss):
        # Softmax changes most where scores go apart.
        apart = np.resize([1.0, -1.0], n_predictions)
        return [*_lines(loss, target, n_predictions), (np.zeros(n_predictions), apart, 0.0)]
    near = (target,) if abs(target) <= MAX_TARGET else ()
    return [(np.float64(0.0), np.float64(1.0), center) for center in (0.0, *near)]


def try_shortcuts(loss, targets, n_predictions):
    """ValueError where a method of a loss of several predictions that is there for speed gives
    something else than the methods that it spares, or where a shift that it says is nothing changes
    a value: what a class that has other values takes over from the loss that it derives from.
    """
    at, name = np.linspace(-0.9, 1.1, n_predictions), type(loss).__name__
    for target in targets:
        here, shifted = loss.value(at, target), loss.value(at + 1.0, target)
        if loss.shift_invariant and abs(here - shifted) > APPROXIMATE * max(
            abs(here), abs(shifted)
        ):
            raise ValueError(
                f"{name}.value goes from {here:.6g} to {shifted:.6g} where 1 is added to all "
                f"predictions {in_words(at)}, target {in_words(target)}, and it says that this "
                "changes nothing: declare `shift_invariant = False` in the class"
            )
        for method, found, of, expected in _shortcuts(loss, at, target):
            if np.max(np.abs(found - expected)) > APPROXIMATE * np.max(np.abs(expected)):
                raise ValueError(
                    f"{name}.{method} gives {in_words(np.ravel(found))} at predictions "
                    f"{in_words(at)}, target {in_words(target)}, where {of} gives "
                    f"{in_words(np.ravel(expected))}: define {method} in the class, too, or derive "
                    "it from VectorLoss"
                )


def _shortcuts(loss, at, target):
    """Each method for speed with what it gives, the method that it spares and what that gives."""
    size = at.size
    derivatives, found = np.zeros(size), np.zeros(size)
    loss.derivatives(at, target, derivatives)
    value = loss.value_and_derivatives(at, target, found)
    yield "value_and_derivatives", found, "derivatives", derivatives
    yield "value_and_derivatives", np.array([value]), "value", np.array([loss.value(at, target)])
    if type(loss).curvature_product is VectorLoss.curvature_product:
        return  # differences of derivatives, which are rounded by more than right methods are
    # Of 1,000 predictions all lines of the matrix took 4 s in plain Python.
    lines = np.unique(np.linspace(0, size - 1, MAX_LINES).astype(int))
    curvature, diagonal = np.zeros((lines.size, size)), np.zeros(size)
    for line, unit in zip(curvature, np.eye(size)[lines], strict=True):
        loss.curvature_product(at, target, unit, line)
    corner = np.arange(lines.size), lines
    loss.curvature_diagonal(at, target, diagonal)
    yield "curvature_diagonal", diagonal[lines], "curvature_product", curvature[corner]
    root = loss.curvature_root(at[None])
    if root is not None:
        expected = -np.outer(root[0][lines], root[0])
        expected[corner] = curvature[corner]
        yield "curvature_root", expected, "curvature_product", curvature
    summed = loss.summed_curvature(at[None], np.atleast_2d(target), np.ones(1))
    if summed is not None:
        yield "summed_curvature", summed[lines], "curvature_product", curvature


def try_penalty(penalty, columns, bounded=True):
    """ValueError where derivatives of a penalty are not those of its values, where `prox` is not
    the minimum that it should be, or where a value is negative beside a loss that is `bounded`.
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
            if bounded:
                _refuse_negative(penalty, at, j)


def _refuse_negative(penalty, at, j):
    """ValueError for a value below 0: F - infimum of the loss is taken for a bound, and there is
    the unit of bounds.
    """
    for place in (at, penalty.prox(at, j, np.float64(RATES[-1]))):
        value = penalty.value(place, j)
        if value < -ROUNDING_SHARE:
            raise ValueError(
                f"{type(penalty).__name__}.value gives {value:.6g} for coefficient {place:g}, "
                f"j = {j}; a penalty must be at least 0, so that F is at least the infimum of the "
                "loss: add a constant to it"
            )


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
        near = np.add(target, AROUND_TARGET) if abs(target) <= MAX_TARGET else ()
        return [(np.float64(0.0), np.float64(1.0), np.float64(at)) for at in (*AROUND_ZERO, *near)]
    # No two coordinates are alike.
    base, first = np.linspace(-0.9, 1.1, n_predictions), np.eye(1, n_predictions)[0]
    return [(base, np.cos(np.arange(n_predictions) + 0.5), 0.0), (-base, first, 0.0)]


def _excesses(loss, target, base, direction, t):
    """How far each derivative is beyond its tolerance at a place, and the text about it: the first
    derivative, and the second one where the loss has a method for it.
    """
    vector = isinstance(loss, VectorLoss)
    family = VectorLoss if vector else Loss

    def value(t):
        return loss.value(base + t * direction, target)

    def derivative(t):
        return _along(loss, FIRST[vector], direction, base + t * direction, target)

    trials = [(FIRST[vector], derivative(t), value, "value")]
    second = SECOND[vector]
    if getattr(type(loss), second) is not getattr(family, second):
        more = (direction,) if vector else ()
        found = _along(loss, second, direction, base + t * direction, target, *more)
        trials.append((second, found, derivative, FIRST[vector]))
    at = base + t * direction
    place = f"predictions {np.round(at, 3)}" if vector else f"prediction {at:g}"
    along = f" along {np.round(direction, 3)}" if vector else ""
    for name, found, function, of in trials:
        left, right, rounding = one_sided(function, t)
        if _is_wrong(found, left, right, rounding):
            yield (
                float(outside(found, left, right, rounding)),
                f"{type(loss).__name__}.{name} gives {found:.6g}{along} at {place}, target "
                f"{target}, where differences of {of} give {_between(left, right)}",
            )


def _along(loss, name, direction, at, *arguments):
    """What a method gives, along the direction where it writes an array."""
    if not isinstance(loss, VectorLoss):
        return getattr(loss, name)(at, *arguments)
    out = np.zeros(at.size)
    getattr(loss, name)(at, *arguments, out)
    return float(out @ direction)


def _is_wrong(found, left, right, rounding):
    """Whether a derivative is far from both differences; not where one of them is no number."""
    tolerated = APPROXIMATE * max(abs(found), abs(left), abs(right))
    return bool(tolerated < outside(found, left, right, rounding) < np.inf)


def _between(left, right):
    return f"{left:.6g}" if np.isclose(left, right, 1e-4, 1e-4) else f"{left:.6g} to {right:.6g}"
