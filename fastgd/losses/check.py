"""Checking a loss: finds what a new loss class gets wrong before a fit does.

A loss is followed along lines of predictions, base + t * direction: for a `Loss` the line is the
prediction itself, for a `VectorLoss` it runs along coordinates and random directions. Along a line
every property is one of an ordinary function of t, so both families share all checks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
from scipy.optimize import minimize, minimize_scalar

from fastgd.losses.base import Loss, VectorLoss
from fastgd.losses.check_scales import mean_note, scale_checks
from fastgd.losses.declared import argument_order
from fastgd.losses.differences import ROUNDING, STEP, one_sided, outside
from fastgd.runtime.array_types import Labels
from fastgd.runtime.in_words import in_words
from fastgd.runtime.jit import kernel

# Predictions at which log losses reach their infima.
EXTREME_PREDICTIONS = np.array([sign * 10.0**power for sign in (-1, 1) for power in range(1, 9)])

NO_INFIMUM = (
    "no infimum is declared: no bound uses one; declare, say, infimum = 0.0 in the class "
    "where it holds"
)

_text = functools.partial(in_words, digits=9)

# What to write where a method gives infinity or NaN near the targets, and where NaN far away.
_FAR = "infinity is right there, NaN is not: write it without inf - inf, 0 * inf or inf / inf"
_NEAR = "write it so that nothing divides by 0 or overflows there"
_AT_KINK = f"{_NEAR}; where value has a kink any number between both slopes will do, such as 0.0"
_INSTEAD = {
    **dict.fromkeys(("value", "curvature", "curvature_product"), (_NEAR, _FAR)),
    **dict.fromkeys(("derivative", "derivatives"), (_AT_KINK, _FAR)),
}
_FAMILIES = Loss, VectorLoss
_BY_DEFAULT = "it is taken by differences of the derivative; define {method} in the class"

Faults = Iterator[tuple[float, str]]  # how bad, and the text


class Finding(NamedTuple):
    """One thing that is wrong: the check that found it, and where, what was found and what was
    expected.
    """

    check: str
    text: str


@dataclasses.dataclass(frozen=True)
class LossReport:
    """What `check_loss` found out about a loss.

    Attributes
    ----------
    loss : str
        The loss as it prints.
    checks : tuple of str
        The checks that were made ("compiled" only while the JIT is enabled).
    findings : tuple of Finding
        What is wrong: the worst example of each kind, with the number of others.
    notes : tuple of str
        What is not wrong but worth knowing: an infimum that is not declared, a mean that is not
        the target for which the value is least.
    """

    loss: str
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def __str__(self) -> str:
        """The report as a few lines of text."""
        failed = len({finding.check for finding in self.findings})
        verdict = (
            f"{failed} of {len(self.checks)} checks failed"
            if failed
            else f"all {len(self.checks)} checks passed"
        )
        lines = [f"{self.loss}: {verdict} ({', '.join(self.checks)})"]
        lines += [f"- {finding.check}: {finding.text}" for finding in self.findings]
        lines += [f"- note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__


def check_loss(loss: Loss | VectorLoss, targets: Labels | None = None) -> LossReport:
    """Report whether a loss is what it says: its derivatives, its constants, and compiled against
    plain Python.

    Checked are: finite numbers for predictions near the targets, and no NaN far away; `derivative`
    against one-sided differences of `value` (between them at a kink); `curvature` against those
    of `derivative`; `smooth`, `convex`, `infimum` where one is declared, `curvature_bound` and
    `self_concordance` on a grid; `squared`, `mean`, `probability` and `log_likelihood` where the
    class has them; the compiled methods against the same in Python.

    Parameters
    ----------
    loss : Loss or VectorLoss
        The loss.
    targets : array-like, optional
        Targets to try, (n,) for a Loss, by default a few of its domain, -1 and 1 of a loss of
        classes; a VectorLoss needs them, (n, n_targets).

    Returns
    -------
    LossReport
        `ok` says whether nothing is wrong; it prints as text.

    Raises
    ------
    TypeError
        If `loss` is not a loss, for example a class instead of an object.
    ValueError
        If a target is outside the domain of the loss, or a VectorLoss comes without targets.

    Examples
    --------
    >>> class LogCosh(Loss):
    ...     infimum, curvature_bound = 0.0, 1.0
    ...
    ...     def value(self, prediction, target):
    ...         distance = abs(prediction - target)
    ...         return distance + np.log1p(np.exp(-2.0 * distance)) - np.log(2.0)
    ...
    ...     def derivative(self, prediction, target):
    ...         return np.tanh(prediction)  # forgets the target
    >>> print(check_loss(LogCosh(), targets=[2.0]))
    LogCosh(): 1 of ... checks failed (...)
    - derivative: 0.761594156 at prediction 1, target 2; differences of value give ... (and 64 more)
    """
    if not isinstance(loss, Loss | VectorLoss):
        raise TypeError(f"check_loss takes a loss object such as Huber(1.35), got {loss!r}")
    lines = _lines(loss, _as_targets(loss, targets))
    findings: list[Finding] = []
    declared = loss.infimum > -np.inf
    checks = ["finite", *_CHECKS]
    with np.errstate(all="ignore"):  # overflow far away is looked at as a value, not as a warning
        for method in lines[0].methods:
            findings += _found("finite", functools.partial(_not_finite, method=method), lines)
        for check, faults in _CHECKS.items():
            findings += _found(check, faults, lines)
        if getattr(loss, "squared", False):
            checks.append("squared")
            findings += _found("squared", _not_squared, lines)
        for check, faults in scale_checks(loss).items():
            checks.append(check)
            findings += _found(check, functools.partial(_of_target, faults), lines)
        if declared:
            checks.append("infimum")
            findings += _found("infimum", lambda line: _above_infimum(loss, lines), lines[:1])
        if not numba.config.DISABLE_JIT:
            checks.append("compiled")
            findings += _found("compiled", lambda line: _compiled(lines), lines[:1])
        notes = () if declared else (NO_INFIMUM,)
        with contextlib.suppress(Exception):  # which a check has told
            notes += mean_note(loss)
    told: dict[str, Finding] = {}
    for finding in findings:
        told.setdefault(finding.text, finding)  # what a method raises, each check that calls it
    return LossReport(repr(loss), tuple(checks), tuple(told.values()), notes)


def _of_target(faults: Callable[[Any, Any], Faults], line: _Line) -> Faults:
    return faults(line.loss, line.target)


def _found(check: str, faults: Callable[[_Line], Faults], lines: list[_Line]) -> list[Finding]:
    """What a check finds: its worst fault, or what a user's method raises while it is made."""
    try:
        return _worst(check, itertools.chain(*map(faults, lines)))
    except Exception as error:
        return [Finding(check, _raised(error))]


def _raised(error: Exception) -> str:
    """An error in a few words, and the line of a method where it was raised."""
    if isinstance(error, NotANumberError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if last.filename == __file__ else f" ({last.name}, line {last.lineno})"
    return f"raises {type(error).__name__}: {error}{where}"


def _worst(check: str, faults: Iterable[tuple[float, str]]) -> list[Finding]:
    ranked = sorted(faults)
    more = f" (and {len(ranked) - 1} more)" if len(ranked) > 1 else ""
    return [Finding(check, ranked[-1][1] + more)] if ranked else []


def _as_targets(loss, targets) -> np.ndarray:
    domain = loss.target_domain
    if targets is None:
        if isinstance(loss, VectorLoss):
            raise ValueError(
                f"{type(loss).__name__} needs targets to be checked on: an array (n_samples, "
                "n_targets)"
            )
        # Estimators give a loss of classes these two, whatever its domain.
        signs = [-1.0, 1.0] if loss.classification else None
        usual = np.array(
            signs
            or [
                domain.low,
                domain.low + 0.5,
                -2.5,
                0.0,
                0.25,
                1.0,
                3.0,
                domain.high - 0.5,
                domain.high,
            ]
        )
        targets = np.unique(usual[domain.contains(usual)])
    targets = np.array(targets, dtype=float, ndmin=2 if isinstance(loss, VectorLoss) else 1)
    foreign = targets[~domain.contains(targets)]
    if foreign.size:
        raise ValueError(
            f"targets of {type(loss).__name__} must be {domain.text}, got {foreign[0]:g}"
        )
    return targets


class NotANumberError(TypeError):
    """What a method gave where a number is wanted, in words."""


class _Line:
    """A loss for one target along base + t * direction, at the places `grid` (kept sorted)."""

    def __init__(self, loss, target, base, direction, grid):
        self.loss, self.target, self.base, self.direction = loss, target, base, direction
        self.vector = isinstance(loss, VectorLoss)
        self.length2 = float(np.sum(direction * direction))
        self.along = f" along {_text(direction)}" if self.vector else ""
        self.grid = np.unique(grid)
        names = (
            ("value", "derivatives", "curvature_product")
            if self.vector
            else ("value", "derivative", "curvature")
        )
        self.methods = dict(zip(names, (self.value, self.derivatives, self.products), strict=True))

    def predictions(self, t):
        return self.base + np.float64(t) * self.direction

    def value(self, t):
        return self._number("value", t)

    def derivatives(self, t):
        if not self.vector:
            return np.array([self._number("derivative", t)])
        return self._written("derivatives", t)

    def products(self, t):
        """Return the second derivative times the direction."""
        if not self.vector:
            return np.array([self._number("curvature", t)])
        return self._written("curvature_product", t, self.direction)

    def _number(self, name, t):
        found = getattr(self.loss, name)(self.predictions(t), self.target)
        if np.ndim(found) or np.asarray(found).dtype.kind not in "biuf":
            where = "; is a `return` missing?" if found is None else f" {self.where(t)}"
            raise NotANumberError(f"{name} must return a number, got {found!r}{where}")
        return float(found)

    def _written(self, name, t, *arguments):
        out = np.full(self.base.size, np.nan)
        found = getattr(self.loss, name)(self.predictions(t), self.target, *arguments, out)
        if found is not None:
            raise NotANumberError(
                f"{name} must write to out, `out[k] = ...`, and return nothing, got {_text(found)}"
            )
        return out

    def derivative(self, t):
        return float(np.sum(self.direction * self.derivatives(t)))

    def curvature(self, t):
        return float(np.sum(self.direction * self.products(t)))

    @functools.cached_property
    def kinks(self):
        """Pairs of neighbouring places between which the derivative jumps."""
        derivatives = np.array([self.derivative(t) for t in self.grid])
        found = [
            _jump(self.derivative, *pair)
            for pair in zip(self.grid, self.grid[1:], derivatives, derivatives[1:], strict=False)
        ]
        return [pair for pair in found if pair is not None]

    @functools.cached_property
    def places(self):
        """The grid and the sides of each kink."""
        return np.unique(np.concatenate([self.grid, *self.kinks]))

    def where(self, t):
        return (
            f"at prediction{'s' * self.vector} {_text(self.predictions(t))}, target "
            f"{_text(self.target)}"
        )


def _lines(loss, targets) -> list[_Line]:
    steps = np.linspace(-8.0, 8.0, 65)
    if isinstance(loss, Loss):
        numbers = [
            x
            for field in dataclasses.fields(loss)
            if isinstance(x := getattr(loss, field.name), float)
        ]
        # Where kinks tend to be.
        likely = [0.0, 1.0, -1.0, *numbers, *(-number for number in numbers)]
        around = np.concatenate([steps, likely])
        ends = np.float64(0.0), np.float64(1.0)
        return [
            _Line(loss, target, *ends, np.concatenate([around, target + around]))
            for target in targets
        ]
    size = loss.n_predictions(targets)
    random = np.random.default_rng(0)
    lines = []
    for target in targets:
        directions = np.concatenate([np.eye(size), random.uniform(-1.0, 1.0, (3, size))])
        for direction in directions / np.abs(directions).max(axis=1, keepdims=True):
            lines.append(_Line(loss, target, random.normal(0.0, 2.0, size), direction, steps[::4]))
    return lines


def _jump(function, before, after, low, high):
    """Close in on a jump of the function between two places; None if it turns out to be
    continuous.
    """
    change = abs(high - low)
    threshold = max(1e-6, 0.01 * change)
    while change > threshold and after - before > 1e-12 * max(1.0, abs(before), abs(after)):
        middle = 0.5 * (before + after)
        value = function(middle)
        if abs(value - low) > abs(high - value):
            after, high = middle, value
        else:
            before, low = middle, value
        change = abs(high - low)
    return (before, after) if change > threshold else None


def _not_finite(line: _Line, method: str) -> Faults:
    result = line.methods[method]
    near, far = _INSTEAD[method]
    if _by_default(line.loss, method):
        near = far = _BY_DEFAULT.format(method=method)
    for t in line.grid:
        if not np.all(np.isfinite(result(t))):
            yield 1.0, f"{method} is {_text(result(t))} {line.where(t)}; {near}"
    for t in EXTREME_PREDICTIONS:  # infinity is right where a loss overflows
        if np.any(np.isnan(result(t))):
            yield 0.0, f"{method} is nan {line.where(t)}; {far}"


def _by_default(loss, method):
    """Whether a second derivative is taken by differences."""
    return any(getattr(type(loss), method, None) is vars(base).get(method) for base in _FAMILIES)


def _wrong_derivative(line: _Line) -> Faults:
    for t in line.places:
        left, right, rounding = one_sided(line.value, t)
        found = line.derivative(t)
        excess = outside(found, left, right, rounding)
        if excess > 0.0:
            between = (
                _text(left)
                if np.isclose(left, right, 1e-4, 1e-4)
                else f"{_text(left)} to {_text(right)}"
            )
            yield (
                excess,
                f"{_text(found)}{line.along} {line.where(t)}; differences of value give {between}"
                f"{_in_proportion(line)}{argument_order(line.loss)}",
            )


def _in_proportion(line: _Line) -> str:
    """What all derivatives of a line are wrong by, where that is one factor."""
    pairs = [(line.derivative(t), one_sided(line.value, t)) for t in line.grid]
    ratios = [
        found / left
        for found, (left, right, rounding) in pairs
        if abs(left) > 1e3 * rounding and np.isclose(left, right, 1e-4)
    ]
    if len(ratios) < 3 or not np.allclose(ratios, ratios[0], 1e-3) or np.isclose(ratios[0], 1.0):
        return ""
    if np.isclose(ratios[0], -1.0, 1e-3):
        return ", the same with the other sign"
    return f", and so everywhere: it is {ratios[0]:.3g} times what it should be"


def _wrong_curvature(line: _Line) -> Faults:
    for t in line.grid:
        if any(abs(side - t) < 4.0 * STEP * max(1.0, abs(t)) for side in np.ravel(line.kinks)):
            continue  # at a kink there is no second derivative
        left, right, rounding = one_sided(line.derivatives, t)
        found = line.products(t)
        excess = np.max(outside(found, left, right, rounding))
        if excess > 0.0:
            differences = f"differences of the derivative give {_text(left)}"
            instead = "leave it out of the class to have these taken"
            yield excess, f"{_text(found)}{line.along} {line.where(t)}; {differences}; {instead}"


def _not_smooth(line: _Line) -> Faults:
    for before, after in line.kinks if line.loss.smooth else []:
        low, high = line.derivative(before), line.derivative(after)
        jump = f"the derivative jumps from {_text(low)} to {_text(high)} {line.where(after)}"
        yield abs(high - low), f"{jump}; declare smooth = False"


def _not_convex(line: _Line) -> Faults:
    derivatives = [line.derivative(t) for t in line.places]
    for t, low, high in zip(line.places[1:], derivatives, derivatives[1:], strict=False):
        if line.loss.convex and high < low - 1e-9 * max(1.0, abs(low)):
            fall = f"the derivative falls from {_text(low)} to {_text(high)} {line.where(t)}"
            yield low - high, f"{fall}; declare convex = False"


def _above_curvature_bound(line: _Line) -> Faults:
    derivatives = np.array([line.derivative(t) for t in line.places])
    rounding = ROUNDING * np.abs(derivatives).max()
    mean = (np.abs(np.diff(derivatives)) - rounding) / np.diff(line.places)
    found = np.maximum([line.curvature(t) for t in line.places[1:]], mean) / line.length2
    worst, bound = np.argmax(found), line.loss.curvature_bound
    if found[worst] > bound * (1.0 + 1e-6) + 1e-8:
        reached = (
            f"the curvature reaches {_text(found[worst])} {line.where(line.places[worst + 1])}"
        )
        instead = "declare no less than the largest, or leave it out where that is not known"
        yield found[worst], f"{reached}; curvature_bound is {bound:g}: {instead}"


def _not_self_concordant(line: _Line) -> Faults:
    """With abs(f''') <= M f'' the logarithm of f'' changes by M per unit at most: no third
    derivative is needed.
    """
    constant = line.loss.self_concordance
    curvatures = [] if constant is None else [line.curvature(t) for t in line.grid]
    for before, after, low, high in zip(
        line.grid, line.grid[1:], curvatures, curvatures[1:], strict=False
    ):
        allowed = np.exp(constant * (after - before)) * (1.0 + 1e-6)
        unsure = 1e-8 * max(1.0, abs(line.derivative(before)))
        if high > low * allowed + unsure or low > high * allowed + unsure:
            change = (
                f"the curvature goes from {_text(low)} to {_text(high)} within "
                f"{after - before:.3g} {line.where(after)}"
            )
            yield (
                abs(high - low),
                f"{change}; self_concordance {constant:g} allows a factor {allowed:.3g}: declare "
                "more, or leave it out where it is not known",
            )


def _not_squared(line: _Line) -> Faults:
    for t in line.grid if line.loss.squared else []:
        found, promised = line.value(t), 0.5 * float(line.predictions(t) - line.target) ** 2
        if not np.isclose(found, promised, 1e-9, 1e-9):
            yield (
                abs(found - promised),
                f"the value is {_text(found)} {line.where(t)}; squared = True promises "
                f"(prediction - target)**2 / 2 = {_text(promised)}: leave it out",
            )


_CHECKS = {
    "derivative": _wrong_derivative,
    "curvature": _wrong_curvature,
    "smooth": _not_smooth,
    "convex": _not_convex,
    "curvature_bound": _above_curvature_bound,
    "self_concordance": _not_self_concordant,
}


def _above_infimum(loss, lines: list[_Line]) -> Faults:
    """Values below the infimum anywhere, and targets whose lowest value stays above it."""
    lowest: dict[bytes, tuple[float, str]] = {}
    for line in lines:
        target = line.target.tobytes()
        lowest[target] = min(lowest.get(target, (np.inf, "")), _lowest(line))
    for found, place in lowest.values():
        if found < loss.infimum - 1e-9:
            yield (
                loss.infimum - found,
                f"the value is {_text(found)} {place}; infimum is {loss.infimum:g}: declare "
                "a lower one, or leave it out where there is none",
            )
        elif found > loss.infimum + 1e-5:
            yield (
                0.0,
                f"no value below {_text(found)} was seen ({place}); infimum is {loss.infimum:g}: "
                "declare what the value comes near to for each target",
            )


def _lowest(line: _Line) -> tuple[float, str]:
    """Return the lowest value found from the best place of a line on, and where that is."""
    values = {t: line.value(t) for t in [*line.places, *EXTREME_PREDICTIONS]}
    best = min(values, key=values.__getitem__)
    if line.vector:
        result = minimize(
            line.loss.value, line.predictions(best), (line.target,), "BFGS", options={"gtol": 1e-7}
        )
        return float(result.fun), f"at predictions {_text(result.x)}, target {_text(line.target)}"
    width = 0.5 * max(1.0, abs(best))
    result = minimize_scalar(
        line.value, bounds=(best - width, best + width), options={"xatol": 1e-9}
    )
    found, place = min((float(result.fun), float(result.x)), (values[best], best))
    return found, line.where(place)


@kernel
def _scan(loss, predictions, target, values, derivatives, curvatures):
    for i in range(predictions.shape[0]):
        values[i] = loss.value(predictions[i], target)
        derivatives[i] = loss.derivative(predictions[i], target)
        curvatures[i] = loss.curvature(predictions[i], target)


@kernel
def _scan_vector(loss, predictions, target, direction, values, derivatives, products):
    for i in range(predictions.shape[0]):
        values[i] = loss.value(predictions[i], target)
        loss.derivatives(predictions[i], target, derivatives[i])
        loss.curvature_product(predictions[i], target, direction, products[i])


def _compiled(lines: list[_Line]) -> Faults:
    for line in lines:
        predictions = np.array([line.predictions(t) for t in line.places])
        expected = [np.array([method(t) for t in line.places]) for method in line.methods.values()]
        found = [np.empty_like(array) for array in expected]
        try:
            if line.vector:
                _scan_vector(line.loss, predictions, line.target, line.direction, *found)
            else:
                _scan(line.loss, predictions, line.target, found[0], found[1][:, 0], found[2][:, 0])
        except Exception as error:  # not only Numba's own: the compiler also fails by assertion
            told = " ".join(str(error).split())
            if "cannot be compiled" not in told:
                told = f"does not compile: {type(error).__name__}: {told[:600]}"
            yield 0.0, told
            return
        for name, compiled, python in zip(line.methods, found, expected, strict=True):
            # a curvature by differences magnifies one unit in the last place by 1 / STEP
            tolerance = 1e-7 if name.startswith("curvature") else 1e-9
            wrong = ~np.isclose(compiled, python, tolerance, tolerance, equal_nan=True)
            for i in np.unique(np.nonzero(wrong)[0]):
                numbers = f"{_text(compiled[i])}, in Python {_text(python[i])}"
                yield 0.0, f"{name} compiled is {numbers} {line.where(line.places[i])}"
