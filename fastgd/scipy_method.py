"""The classic descent rules as a method of `scipy.optimize.minimize`, on any smooth function, in
plain NumPy.

The update formulas are those of `fastgd.rules.classic`, run on whole arrays.  Here are the four
steps of gradient descent around them (start, gradient, update, stop), and the step lengths that
need no number.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, OptimizeWarning

from fastgd.data.check_parameters import as_floats, check_parameters, is_count, is_real
from fastgd.linalg.line_search import armijo, halvings
from fastgd.linalg.precision import EPS
from fastgd.rules.barzilai_borwein import barzilai_borwein_rate
from fastgd.rules.base import Rule, find_rule
from fastgd.runtime.array_types import Vector
from fastgd.runtime.component import shown

# Of a central difference: the truncation h^2 f'''/6 and the rounding eps f/h are equal where h is
# about eps^(1/3).
_NUDGE = EPS ** (1.0 / 3.0)
_HALVINGS = 60  # 2^-60: the first trial was 1e18 too long
_WINDOW = 10  # Raydan (1997)
_PATIENCE = 100  # iterations with neither a lower objective nor a smaller gradient
_DIVERGED = 1e10  # objective over its start, as for the estimators

_CONVERGED = 0
_MAXITER = 1
_NO_STEP = 2
_DIVERGENCE = 3
_CALLBACK = 99


def gradient_descent(
    fun: Callable[..., Any],
    x0: Vector,
    args: Any = (),
    *,
    jac: Callable[..., Any] | bool | None = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    rule: str | Rule = "gd",
    learning_rate: str = "auto",
    eta0: float = 0.01,
    power_t: float = 0.5,
    momentum: float = 0.9,
    gtol: float | None = None,
    maxiter: int = 10_000,
    **unknown: Any,
) -> OptimizeResult:
    """Gradient descent, as taught, for `scipy.optimize.minimize(...,
    method=fastgd.gradient_descent)`.

    In iteration t = 1, 2, ... with the gradient g at x, and the learning rate of the iteration, the
    rules are

        "gd"         x <- x - rate g
        "momentum"   v <- momentum v + g;  x <- x - rate v
        "nesterov"   v <- momentum v + g;  x <- x - rate (g + momentum v)
        "adagrad"    G <- G + g^2;  x <- x - rate g / (sqrt(G) + 1e-8)
        "rmsprop"    E <- 0.9 E + 0.1 g^2;  x <- x - rate g / (sqrt(E) + 1e-8)
        "adam"       the same with bias-corrected means of g (0.9) and g^2 (0.999)

    Parameters
    ----------
    fun : callable
        The objective, `fun(x, *args) -> float`, or with `jac=True` `-> (float, gradient)`.
    x0, args : array_like, tuple
        The start, which is raveled; further arguments of `fun` and `jac`.
    jac : callable, bool or None
        The gradient, `jac(x, *args) -> (d,) array`.  True: `fun` returns it too.  None: each
        coefficient is nudged twice (central differences), which takes 2 d calls of `fun` per
        gradient, counted in `nfev`.
    hess, hessp, bounds, constraints : None
        Second derivatives are not used (OptimizeWarning), limits not possible (ValueError).
    callback : callable
        Called after each iteration with a copy of x, or as
        `callback(intermediate_result=OptimizeResult(x, fun))` if that is its one argument's name.
        Raising StopIteration or returning True ends the run at that x.
    rule : str or fastgd.rules.base.Rule, default="gd"
        A name from the table, or a component such as `Adam(0.9, 0.99)`.
    learning_rate : {"auto", "constant", "invscaling", "line_search"}, default="auto"
        "constant": `eta0`.  "invscaling": `eta0 / t**power_t`.  "line_search": halved until f falls
        by 1e-4 of what the slope promises (Armijo, 1966), from twice the rate before; `eta0` is the
        first trial.  "auto": no number needed; the rates of Barzilai and Borwein with a safeguard
        for "gd", the line search for the other rules.  Where a search is on and a rule's memory
        points uphill, the memory is cleared.
    eta0, power_t, momentum : float, default=0.01, 0.5, 0.9
        Numbers of the above; `momentum` is that of "momentum" and "nesterov".
    gtol, tol : float
        The run has converged when no component of the gradient is larger; `gtol` comes first, 1e-5
        if neither is given.
    maxiter : int, default=10000
        The most iterations to take; 0 evaluates the start.
    **unknown
        Other options: OptimizeWarning.

    Returns
    -------
    scipy.optimize.OptimizeResult
        `x`, `fun`, `jac`, `nit`, `nfev`, `njev`, `status`, `success`, `message`.  Status 0:
        converged; 1: `maxiter`; 2: no step length lowers the objective; 3: diverged, the objective
        is not finite or has risen by 1e10 times its start; 99: the callback.  With 1, 2 and 3, `x`
        is the best point seen.

    Raises
    ------
    ValueError
        The start is not finite or the objective not finite there, or an option is not in the lists.

    References
    ----------
    Cauchy (1847); for the rules see `fastgd.rules.classic`.  The two rates: Barzilai and Borwein
    (1988).  The choice between them: Frassoldati, Zanni and Zanghirati (2008).  The safeguard:
    Raydan (1997).

    Examples
    --------
    >>> from fastgd import gradient_descent
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> found = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=gradient_descent)
    >>> found.success, found.x.round(3)
    (True, array([1., 1.]))
    >>> too_long = {"learning_rate": "constant", "eta0": 1.0}
    >>> found = minimize(lambda x: 50 * x @ x, [1.0], method=gradient_descent, options=too_long)
    >>> found.success, found.message
    (False, 'diverged in iteration 3: ...')
    """
    if bounds is not None or (constraints is not None and len(np.atleast_1d(constraints))):
        raise ValueError(
            "gradient_descent has no bounds or constraints; drop them or use method='L-BFGS-B' or "
            "'SLSQP'"
        )
    if unused := [
        *unknown,
        *(name for name, given in (("hess", hess), ("hessp", hessp)) if given is not None),
    ]:
        known = "rule, learning_rate, eta0, power_t, momentum, gtol, maxiter"
        warnings.warn(
            f"not used: {', '.join(unused)}; known options: {known}", OptimizeWarning, stacklevel=2
        )
    check_parameters({"eta0": eta0, "momentum": momentum})
    if not (is_real(power_t) and 0.0 <= power_t < np.inf):
        raise ValueError(f"power_t must be at least 0 and finite, got {power_t!r}")
    gtol = next((given for given in (gtol, tol) if given is not None), 1e-5)
    if not (is_real(gtol) and gtol >= 0.0):
        raise ValueError(f"gtol (or tol) must be a number of at least 0, got {gtol!r}")
    if not (is_count(maxiter) and maxiter >= 0):
        raise ValueError(f"maxiter must be an integer of at least 0, got {maxiter!r}")
    if not (callback is None or callable(callback)):
        raise ValueError(f"callback must be a callable or None, got {callback!r}")
    directions = _Directions(find_rule(rule, momentum))
    rates = _as_rates(learning_rate, directions.rule, eta0, power_t)
    problem = _Problem(fun, jac, args if isinstance(args, tuple) else (args,))
    x = as_floats(x0, "x0").flatten()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"x0 must hold at least one number, all finite; got {x0!r}")
    # A run away from the minimum is judged by its values; a warning would be an error where
    # warnings are.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _descend(
            problem, problem.start(x), directions, rates, gtol, maxiter, _as_listener(callback)
        )


class _Point(NamedTuple):
    """A place x with the objective and its gradient there."""

    x: np.ndarray
    value: float
    gradient: np.ndarray


def _descend(problem, here, directions, rates, gtol, maxiter, listen):
    """The four steps: start (`here`), gradient, update, stop."""
    start = here.value
    best = here
    iteration = 0
    while True:
        if np.abs(here.gradient).max() <= gtol:
            text = f"converged: no component of the gradient exceeds {gtol:g}"
            return _result(problem, here, iteration, _CONVERGED, text)
        if iteration == maxiter:
            slope = np.abs(best.gradient).max()
            text = (
                f"stopped after maxiter={maxiter} iterations: a component of the gradient is "
                f"{slope:.2g}, gtol {gtol:g}"
            )
            return _result(problem, best, iteration, _MAXITER, text)
        iteration += 1
        moved = rates.move(problem, here, directions, iteration)
        if moved is None:
            text = (
                "no step lowers the objective: it is at its rounding error, or not smooth, or "
                "jac is wrong"
            )
            return _result(problem, best, iteration - 1, _NO_STEP, text)
        x, value = moved
        sound = (
            np.isfinite(value)
            and value - start <= _DIVERGED * max(abs(start), 1.0)
            and np.isfinite(x).all()
        )
        if sound:
            here = _Point(x, value, problem.gradient(x))
        if not (sound and np.isfinite(here.gradient).all()):
            text = (
                f"diverged in iteration {iteration}: the objective went from {start:.2g} to "
                f"{value:.2g}; {rates.advice}"
            )
            return _result(problem, best, iteration, _DIVERGENCE, text)
        if here.value < best.value:
            best = here
        if listen(here):
            return _result(problem, here, iteration, _CALLBACK, "stopped by the callback")


def _result(problem, point, iterations, status, message):
    calls = {"nfev": problem.nfev, "njev": problem.njev}
    ending = {"status": status, "success": status == _CONVERGED, "message": message}
    return OptimizeResult(
        x=point.x, fun=point.value, jac=point.gradient, nit=iterations, **calls, **ending
    )


class _Problem:
    """The objective and its gradient, counting the calls, safe from functions that keep or
    change their arrays.
    """

    def __init__(self, fun, jac, args):
        if not callable(fun):
            raise ValueError(f"fun must be a callable, got {shown(fun)}")
        if not (callable(jac) or jac is None or isinstance(jac, bool)):
            raise ValueError(f"jac must be a callable, True, or None for differences; got {jac!r}")
        self.fun, self.jac, self.args = fun, jac, args
        self.nfev = self.njev = 0
        self.paired = None  # with jac=True: the gradient that came with the last value

    def value(self, x):
        """Return the objective; infinity where it is too large for a Python float."""
        self.nfev += 1
        if self.jac is True:
            pair = self._call(self.fun, x, too_large=(np.inf, None))
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise ValueError(
                    f"with jac=True, fun must return the objective and its gradient, got {pair!r}"
                )
            found, self.paired = pair
        else:
            found = self._call(self.fun, x, too_large=np.inf)
        found = as_floats(found, "the objective")
        if found.size != 1:
            raise ValueError(
                f"the objective must be one number, got an array of shape {found.shape}"
            )
        return float(found.item())

    def gradient(self, x):
        """Return the gradient as a fresh array; `x` is the place of the last value."""
        self.njev += 1
        if not self.jac:
            return self._differences(x)
        found = (
            self.paired
            if self.jac is True
            else self._call(self.jac, x, too_large=np.full_like(x, np.inf))
        )
        found = as_floats(found, "the gradient").flatten()
        if found.size != x.size:
            raise ValueError(
                f"the gradient must have the {x.size} components of x, got {found.size}"
            )
        return found

    def start(self, x):
        """Return the first point; ValueError if the objective has no finite value or gradient
        there.
        """
        value = self.value(x)
        gradient = self.gradient(x) if np.isfinite(value) else None
        if gradient is None or not np.isfinite(gradient).all():
            what = f"the objective is {value}" if gradient is None else "the gradient is not finite"
            raise ValueError(f"{what} at x0; start where it is finite")
        return _Point(x, value, gradient)

    def _call(self, function, x, too_large):
        try:
            return function(x.copy(), *self.args)
        except (OverflowError, FloatingPointError):
            # Of `math.exp`, or of NumPy if the user lets it raise.
            if self.nfev == 1:
                raise
            return too_large

    def _differences(self, x):
        gradient = np.empty_like(x)
        for j in range(x.size):
            up, down = x.copy(), x.copy()
            up[j] += _NUDGE * max(1.0, abs(x[j]))
            down[j] -= _NUDGE * max(1.0, abs(x[j]))
            gradient[j] = (self.value(up) - self.value(down)) / (up[j] - down[j])
        return gradient


class _Directions:
    """The directions of a rule: its updates at a rate of 1, with its memory."""

    def __init__(self, rule):
        self.rule = rule
        self.age = 0
        self.state = np.empty((0, 0))

    def next(self, gradient):
        """Take one step of the rule."""
        if self.age == 0:
            self.state = np.zeros((self.rule.slots, gradient.size))
        self.age += 1
        return self.rule.step(
            self.state, slice(None), gradient, 0.0, 1.0, self.rule.begin(self.age)
        )

    def remembers(self):
        """Whether earlier gradients have a say in the next direction."""
        return self.rule.slots > 0 and self.age > 1

    def forget(self):
        """Clear the memory of earlier gradients."""
        self.age = 0


class _FixedRates:
    """The rate eta0 / t**power: no look at the objective."""

    def __init__(self, eta0, power):
        self.eta0, self.power = eta0, power
        self.advice = f'lower eta0 (now {eta0:g}) or use learning_rate="auto"'

    def move(self, problem, here, directions, iteration):
        x = here.x - self.eta0 / iteration**self.power * directions.next(here.gradient)
        return x, problem.value(x)


class _SearchedRates:
    """Halving from a trial rate until the objective is far enough below the largest of its last
    `window` values.
    """

    advice = "it may have no lower bound"

    def __init__(self, first, window):
        self.rate = first
        self.recent: deque[float] = deque(maxlen=window)
        self.lowest = self.flattest = np.inf
        self.idle = 0

    def trial(self, here, direction):
        """Return the rate to try first: twice the last one."""
        if self.rate is None:
            # A first step of length 1 at most in each coefficient: free of the scale of the
            # objective, as in BFGS.
            return 1.0 / np.abs(direction).max()
        return 2.0 * self.rate if self.recent else self.rate

    def move(self, problem, here, directions, iteration):
        if self._stalls(here):
            return None
        direction = directions.next(here.gradient)
        if not here.gradient @ direction > 0.0 and directions.remembers():
            directions.forget()
            direction = directions.next(here.gradient)
        moved = self._halve(problem, here, direction)
        if moved is None and directions.remembers():
            directions.forget()
            moved = self._halve(problem, here, directions.next(here.gradient))
        return moved

    def _stalls(self, here):
        flat = np.abs(here.gradient).max()
        self.idle = 0 if here.value < self.lowest or flat < self.flattest else self.idle + 1
        self.lowest, self.flattest = min(self.lowest, here.value), min(self.flattest, flat)
        return self.idle == _PATIENCE

    def _halve(self, problem, here, direction):
        rate = self.trial(here, direction)
        self.recent.append(here.value)
        # Near the minimum a fall is smaller than the rounding of the objective, which must not stop
        # the search.
        ceiling = max(self.recent) + 4.0 * EPS * abs(here.value)
        for share in halvings(_HALVINGS, first=rate):
            step = share * direction
            x = here.x - step
            value = problem.value(x)
            if armijo(ceiling, value, -(here.gradient @ step)):
                self.rate = share
                return x, value
        return None


class _BarzilaiBorwein(_SearchedRates):
    """A search whose trial rate is the inverse curvature along the last steps, measured from their
    gradients.

    Where the curvature is negative it is |s| / |y|, the step over its change of the gradient:
    doubling there took 9,999 iterations on a Rosenbrock function of ten variables, this 327.
    """

    def __init__(self):
        super().__init__(None, _WINDOW)
        self.last = None
        self.short: list[float] = []

    def trial(self, here, direction):
        last, self.last = self.last or here, here
        s, y = here.x - last.x, here.gradient - last.gradient
        rate, self.short = barzilai_borwein_rate(s, y, self.short, share=0.5, memory=3)
        return rate if 0.0 < rate < np.inf else super().trial(here, direction)


def _as_rates(learning_rate, rule, eta0, power_t):
    known = ("auto", "constant", "invscaling", "line_search")
    if not isinstance(learning_rate, str) or learning_rate not in known:
        raise ValueError(
            f"learning_rate must be one of {', '.join(map(repr, known))}; got {learning_rate!r}"
        )
    if learning_rate in ("constant", "invscaling"):
        return _FixedRates(eta0, power_t if learning_rate == "invscaling" else 0.0)
    if learning_rate == "line_search":
        return _SearchedRates(eta0, 1)
    return _BarzilaiBorwein() if rule.plain else _SearchedRates(None, 1)


def _as_listener(callback):
    """Return a function of a point that calls the callback and says whether it wants to stop."""
    if callback is None:
        return lambda here: False
    try:
        by_name = set(signature(callback).parameters) == {"intermediate_result"}
    except ValueError:  # of some that are built in Python tells no signature
        by_name = False

    def listen(here):
        try:
            if by_name:
                answer = callback(
                    intermediate_result=OptimizeResult(x=here.x.copy(), fun=here.value)
                )
            else:
                answer = callback(here.x.copy())
        except StopIteration:
            return True
        return isinstance(answer, bool | np.bool_) and bool(answer)

    return listen
