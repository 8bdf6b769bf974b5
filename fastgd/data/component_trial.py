"""A user's component, tried on rows of the data as plain Python before compiled code sees it.

Compiled code checks no index: a loss that reads the third of one prediction reads what lies behind
it, and one that writes there destroys it. Here the same methods run on a few numbers in arrays that
do check, for some 0.1 ms.
"""

import numbers

import numpy as np

from fastgd.data.declared_trial import try_curvature_bound, try_separable
from fastgd.data.derivative_trial import try_loss, try_penalty, try_shape, try_shortcuts
from fastgd.losses.base import VectorLoss, count_predictions, has_mean, has_probabilities
from fastgd.losses.check_scales import wrong_shape
from fastgd.losses.each_target import of_one_target
from fastgd.losses.in_python import refuses_number
from fastgd.runtime.fingerprint import is_ours

# What no method would write by chance.
UNWRITTEN = 1.2345678901234567e-301
# Any rate does; a power of 2 rounds nothing.
RATE = 0.125
HOW_MANY = (
    "a loss of several predictions says how many they are: define n_predictions(self, targets), "
    "for targets that are numbers of classes `return int(targets.max()) + 1`"
)


def try_components(loss, penalty, targets, n_features, n_classes=None, rule=None):
    """Try the methods of a loss, a penalty and an update rule that are not ours; silent where
    nothing is wrong.

    Parameters
    ----------
    loss : Loss or VectorLoss
    penalty : Penalty
    targets : ndarray, (n_samples,) or (n_samples, n_targets)
        The smallest and the largest are taken.
    n_features : int
        Coefficients 0 and n_features - 1 are taken.
    n_classes : int, optional
        Classes that the predictions of a `VectorLoss` have to tell apart.
    rule : Rule, optional

    Raises
    ------
    ValueError
        For a number of predictions that does not fit, an index out of range, a result that is not a
        real number, a derivative that is not that of the values, a loss that is not convex and
        does not say so, a `self_concordance`, `curvature_bound`, `squared` or `separable` that does
        not hold, a mean or a probability of another shape, a penalty below 0, or whatever else a
        method raises; it names class and method. Overflow and the like are let pass.

    Examples
    --------
    >>> from fastgd.losses import LogLoss
    >>> from fastgd.penalties.separable import L2
    >>> try_components(LogLoss(), L2(), np.array([-1.0, 1.0]), 3)  # ours need no trial
    """
    penalty.check_columns(n_features)
    loss, targets = of_one_target(loss, targets)
    with np.errstate(all="ignore"):
        if isinstance(loss, VectorLoss):
            n_predictions = _n_predictions(loss, targets, n_classes)
            if not is_ours(type(loss)):
                _try_vector_loss(loss, targets, n_predictions)
                _try_derivatives(try_loss, loss, _extremes(targets), n_predictions)
                _try_derivatives(try_shape, loss, _extremes(targets), n_predictions)
                _try_derivatives(try_shortcuts, loss, _extremes(targets), n_predictions)
                _try_derivatives(try_separable, loss, _extremes(targets), n_predictions)
                _try_derivatives(try_curvature_bound, loss, _extremes(targets), n_predictions)
        elif not is_ours(type(loss)):
            _try_loss(loss, targets)
            _try_derivatives(try_loss, loss, _extremes(targets), 1)
            _try_derivatives(try_shape, loss, _extremes(targets), 1)
            _try_derivatives(try_curvature_bound, loss, _extremes(targets), 1)
        if not is_ours(type(loss)):
            _try_scales(loss, n_predictions if isinstance(loss, VectorLoss) else None)
        if not is_ours(type(penalty)):
            _try_penalty(penalty, n_features)
            _try_derivatives(try_penalty, penalty, {0, n_features - 1}, loss.infimum > -np.inf)
        if rule is not None and not is_ours(type(rule)):
            _try_rule(rule)


def _try_derivatives(trial, *given):
    """Run a trial of derivatives; where plain Python refuses a number, nothing is known."""
    try:
        trial(*given)
    except Exception as error:
        if not refuses_number(error):
            raise


def _n_predictions(loss, targets, n_classes):
    """The number of predictions that the loss asks for, checked."""
    what = f"{type(loss).__name__}.n_predictions"
    try:
        found = count_predictions(loss, targets)
    except Exception as error:
        raise ValueError(
            f"{what} raises {_text(error)} for targets of shape {targets.shape}"
        ) from error
    if isinstance(found, bool) or not isinstance(found, numbers.Integral) or found < 1:
        raise ValueError(f"{what} must return a whole number of at least 1 (an int), got {found!r}")
    if n_classes is not None and found < n_classes:
        raise ValueError(f"{what} gives {found} for {n_classes} classes; {HOW_MANY}")
    return int(found)


def _extremes(targets):
    """The rows of the smallest and the largest target."""
    width = 1 if targets.ndim == 1 else targets.shape[1]
    return [targets[int(one) // width] for one in (targets.argmin(), targets.argmax())]


def _try_loss(loss, targets):
    for target in _extremes(targets):
        predictions = np.array([0.0, 1.0, target])
        found = {}
        for name in ("value", "derivative", "curvature"):
            found[name] = results = [
                _call(loss, name, "prediction {}, target {}", one, target) for one in predictions
            ]
            _refuse_nan(loss, name, results, f"target {target}")
        _refuse_missing_derivative(loss, target, found["value"][-1], found["derivative"][-1])
        for at, value in zip(predictions, found["value"], strict=True):
            _refuse_not_squared(loss, at, target, value)


def _refuse_missing_derivative(loss, target, value, derivative):
    """Of abs(prediction - target) it is 0 / 0 by a formula at the target: there the best model of
    one row is.
    """
    known = value is not None and np.isfinite(value)
    if known and (derivative is None or np.isnan(derivative)):
        raise ValueError(
            f"{type(loss).__name__}.derivative is NaN at prediction {target:g}, target "
            f"{target:g}, where the value is {value:g}; return a number there, where the value has "
            "a kink any between both slopes, such as 0.0"
        )


def _refuse_not_squared(loss, prediction, target, value):
    promised = 0.5 * (prediction - target) ** 2
    if loss.squared and value is not None and not np.isclose(value, promised, 1e-6, 1e-6):
        raise ValueError(
            f"{type(loss).__name__}.value is {value:.6g} at prediction {prediction:g}, target "
            f"{target:g}, where squared = True promises (prediction - target)**2 / 2 = "
            f"{promised:.6g}: leave squared out of the class"
        )


def _try_scales(loss, n_predictions):
    """Methods that predictions go through when the fit is over."""
    shape = (2,) if n_predictions is None else (2, n_predictions)
    defined = {"mean": has_mean(loss), "probability": has_probabilities(loss)}
    for name in [one for one, own in defined.items() if own]:
        found, failed = _run(
            loss, name, f"an array of shape {shape}", np.zeros(shape), arithmetic=True
        )
        if failed:
            continue
        wrong = wrong_shape(name, found, shape)
        if wrong:
            raise ValueError(f"{type(loss).__name__}.{wrong}")
        if name == "probability" and not ((found >= 0.0) & (found <= 1.0)).all():
            raise ValueError(
                f"{type(loss).__name__}.probability must lie between 0 and 1, got "
                f"{np.ravel(found)[0]:g} for a prediction of 0"
            )


def _try_vector_loss(loss, targets, n_predictions):
    for target in _extremes(targets):
        target = target.view()
        target.flags.writeable = False  # as it is in compiled code
        where = f"{n_predictions} prediction{'s' * (n_predictions > 1)}, target {target}"
        results = [_call(loss, "value", where, at, target) for at in _predictions(n_predictions)]
        _refuse_nan(loss, "value", results, where)
        for at in _predictions(n_predictions):
            _write(loss, "derivatives", where, n_predictions, at, target)
            _write(
                loss, "curvature_product", where, n_predictions, at, target, np.ones(n_predictions)
            )


def _predictions(size):
    return np.zeros(size), np.linspace(-1.0, 1.0, size)


def _write(loss, name, where, size, *arguments):
    """Let a method write its results, and look at what it wrote."""
    out = np.full(size, UNWRITTEN)
    _run(loss, name, where, *arguments, out)
    left = np.flatnonzero(out == UNWRITTEN)
    if left.size:
        raise ValueError(
            f"{type(loss).__name__}.{name} must write {size} numbers to out, it leaves "
            f"out[{left[0]}]"
        )


def _try_penalty(penalty, n_features):
    for j in {0, n_features - 1}:
        where = "coefficient {}, j = {}"
        for name, more in (("value", ()), ("derivative", ()), ("prox", (np.float64(RATE),))):
            coefficients = np.array([0.0, 1.0, -1.0])
            results = [_call(penalty, name, where, one, j, *more) for one in coefficients]
            _refuse_nan(penalty, name, results, f"coefficient 0, 1 and -1, j = {j}")


def _try_rule(rule):
    """Two updates of a coefficient and of the intercept, which is one more."""
    state, one = np.zeros((max(rule.slots, 1), 2)), np.float64(1.0)
    for update in (1, 2):
        scale = _run(rule, "begin", f"update {update}", update)
        for j in (0, 1):
            where = f"j = {j} and a state of slots = {rule.slots}"
            _call(rule, "step", where, state, j, one, 0.0 * one, RATE * one, scale)
            _call(rule, "reach", where, state, j, RATE * one, scale)


def _call(component, name, where, *arguments):
    """What a method that returns a number returns, or None where its arithmetic fails."""
    result, failed = _run(component, name, where, *arguments, arithmetic=True)
    if failed:
        return None
    if np.ndim(result) or np.asarray(result).dtype.kind not in "biuf":
        missing = "; is a `return` missing?" if result is None else ""
        raise ValueError(
            f"{type(component).__name__}.{name} must return a number, got {result!r} for "
            f"{where.format(*arguments)}{missing}"
        )
    return result


def _run(component, name, where, *arguments, arithmetic=False):
    """Result of a method; with `arithmetic`, a pair: the result, and whether plain Python refused a
    number.

    Python raises where compiled code goes on with infinity or NaN.
    """
    result = None
    failed = False
    try:
        result = getattr(component, name)(*arguments)
    except Exception as error:
        if not refuses_number(error):
            hint = (
                f"; {HOW_MANY}"
                if isinstance(component, VectorLoss) and isinstance(error, IndexError)
                else ""
            )
            raise ValueError(
                f"{type(component).__name__}.{name} raises {_text(error)} for "
                f"{where.format(*arguments)}{hint}"
            ) from error
        failed = True
    return (result, failed) if arithmetic else result


def _refuse_nan(component, name, results, where):
    """A method that gives NaN, or nothing, wherever it was tried."""
    if all(result is None or np.isnan(result) for result in results) and None not in results:
        raise ValueError(
            f"{type(component).__name__}.{name} must return a number, got NaN for {where}"
        )


def _text(error):
    return f"{type(error).__name__} ({error})"
