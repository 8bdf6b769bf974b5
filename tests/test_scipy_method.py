"""`gradient_descent` against hand-written twins, known minima, and the habits of
`scipy.optimize.minimize`.
"""

import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, OptimizeWarning, minimize, rosen, rosen_der

from fastgd.rules.adaptive import Adam
from fastgd.rules.base import Rule
from fastgd.scipy_method import gradient_descent
from support.twins import members

RULES = [rule.name for rule in members(Rule)]
RATES = ["constant", "invscaling", "line_search", "auto"]

CURVATURE = np.array([[3.0, 1.0], [1.0, 2.0]])
TARGET = np.array([1.0, -2.0])
START = [4.0, 3.0]


def bowl(x):
    return 0.5 * (x - TARGET) @ CURVATURE @ (x - TARGET) + 7.0


def bowl_gradient(x):
    return CURVATURE @ (x - TARGET)


def descend(fun=bowl, x0=START, jac=bowl_gradient, callback=None, tol=None, **options):
    return minimize(
        fun, x0, jac=jac, method=gradient_descent, callback=callback, tol=tol, options=options
    )


# The textbook's updates, one coefficient at a time.


def gd_twin(x, gradient, memory, t, rate):
    return x - rate * gradient


def momentum_twin(x, gradient, memory, t, rate):
    memory["v"] = 0.9 * memory.get("v", 0.0) + gradient
    return x - rate * memory["v"]


def nesterov_twin(x, gradient, memory, t, rate):
    memory["v"] = 0.9 * memory.get("v", 0.0) + gradient
    return x - rate * (gradient + 0.9 * memory["v"])


def adagrad_twin(x, gradient, memory, t, rate):
    memory["G"] = memory.get("G", 0.0) + gradient**2
    return x - rate * gradient / (math.sqrt(memory["G"]) + 1e-8)


def rmsprop_twin(x, gradient, memory, t, rate):
    memory["E"] = 0.9 * memory.get("E", 0.0) + 0.1 * gradient**2
    return x - rate * gradient / (math.sqrt(memory["E"]) + 1e-8)


def adam_twin(x, gradient, memory, t, rate):
    memory["m"] = 0.9 * memory.get("m", 0.0) + 0.1 * gradient
    memory["v"] = 0.999 * memory.get("v", 0.0) + 0.001 * gradient**2
    return x - rate * (memory["m"] / (1 - 0.9**t)) / (
        math.sqrt(memory["v"] / (1 - 0.999**t)) + 1e-8
    )


@pytest.mark.parametrize(("rule", "power"), list(product(RULES, [0.0, 0.5])))
def test_steps_are_those_of_the_textbook(rule, power):
    update = globals()[f"{rule}_twin"]
    x, memories, path = list(START), [{}, {}], []
    for t in range(1, 21):
        gradient = bowl_gradient(np.array(x))
        x = [update(x[j], gradient[j], memories[j], t, 0.05 / t**power) for j in range(2)]
        path.append(x)
    seen = []
    rates = "invscaling" if power else "constant"
    descend(
        rule=rule, learning_rate=rates, power_t=power, eta0=0.05, maxiter=20, callback=seen.append
    )
    np.testing.assert_allclose(seen, path, rtol=1e-12)


def test_momentum_is_the_option():
    seen = []
    descend(
        rule="momentum",
        learning_rate="constant",
        eta0=0.1,
        momentum=0.0,
        maxiter=5,
        callback=seen.append,
    )
    plain = []
    descend(rule="gd", learning_rate="constant", eta0=0.1, maxiter=5, callback=plain.append)
    np.testing.assert_array_equal(seen, plain)


@pytest.mark.parametrize(("rule", "learning_rate"), list(product(RULES, RATES)))
def test_minimum_of_a_quadratic(rule, learning_rate):
    eta0 = 0.1 if rule in ("gd", "momentum", "nesterov") else 3.0 if rule == "adagrad" else 0.5
    result = descend(rule=rule, learning_rate=learning_rate, eta0=eta0, maxiter=2000)
    searched = learning_rate in ("line_search", "auto")
    assert result.success or not searched
    np.testing.assert_allclose(result.x, TARGET, atol=1e-5 if searched else 0.05)
    assert result.fun == pytest.approx(bowl(result.x))
    np.testing.assert_allclose(result.jac, bowl_gradient(result.x))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("learning_rate", ["line_search", "auto"])
def test_rosenbrock(rule, learning_rate):
    result = descend(
        rosen, [-1.2, 1.0], rosen_der, rule=rule, learning_rate=learning_rate, maxiter=50_000
    )
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-4)


def test_automatic_rates_take_few_iterations():
    # Ten variables: a saddle on the way, where shorter and shorter steps would not get away.
    for start in ([-1.2, 1.0, 1.0, -1.0, 0.5], np.linspace(-2.0, 2.0, 10)):
        result = descend(rosen, start, rosen_der)
        assert result.success
        assert result.nit < 600
        assert result.nfev < 1.5 * result.nit


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_automatic_rates_know_no_scale(scale):
    curvature = np.array([1.0, 10.0, 1000.0]) * scale
    result = descend(
        lambda x: 0.5 * x @ (curvature * x), np.ones(3), lambda x: curvature * x, gtol=1e-6 * scale
    )
    assert result.success
    np.testing.assert_allclose(result.x, 0.0, atol=1e-5)


def test_nudging_one_coefficient_takes_two_passes():
    calls = []

    def square(x):
        calls.append(x[0])
        return (x[0] - 3.0) ** 2

    result = descend(square, [1.0], None, learning_rate="constant", eta0=0.25, maxiter=1)
    # The start, its two nudges, the new place, its two nudges.
    assert result.nfev == len(calls) == 6
    assert result.njev == 2
    assert calls[1] == pytest.approx(1.0, abs=1e-4)
    assert calls[1] - 1.0 == pytest.approx(1.0 - calls[2])
    assert result.x[0] == pytest.approx(1.0 - 0.25 * 2 * (1.0 - 3.0))


@pytest.mark.parametrize("d", [1, 2, 7])
def test_differences_cost_two_passes_a_coefficient(d):
    result = descend(
        lambda x: x @ x, np.ones(d), None, learning_rate="constant", eta0=0.1, maxiter=10
    )
    assert result.njev == result.nit + 1 == 11
    assert result.nfev == 11 * (2 * d + 1)


def test_differences_are_as_fine_as_the_numbers_allow():
    x = np.array([1e6, -1e-6, 3.0])
    result = descend(lambda x: np.sin(x).sum(), x, None, maxiter=0)
    np.testing.assert_allclose(result.jac[1:], np.cos(x)[1:], rtol=1e-9)


@pytest.mark.parametrize("direct", [False, True])
def test_kinds_of_jac_agree(direct):
    options = {"learning_rate": "auto", "gtol": 1e-6}

    def run(fun, jac):
        if direct:
            return gradient_descent(fun, START, jac=jac, **options)
        return descend(fun, jac=jac, **options)

    by_callable = run(bowl, bowl_gradient)
    by_pair = run(lambda x: (bowl(x), bowl_gradient(x)), True)
    by_nudging = run(bowl, None)
    assert by_callable.success
    assert by_pair.success
    assert by_nudging.success
    np.testing.assert_array_equal(by_callable.x, by_pair.x)
    assert by_callable.nit == by_pair.nit
    np.testing.assert_allclose(by_nudging.x, by_callable.x, atol=1e-6)


def test_arguments_reach_both_functions():
    result = minimize(
        lambda x, a, b: a * (x[0] - b) ** 2,
        [0.0],
        (2.0, 5.0),
        gradient_descent,
        lambda x, a, b: 2 * a * (x - b),
    )
    assert result.x[0] == pytest.approx(5.0)
    assert gradient_descent(lambda x, b: (x[0] - b) ** 2, [0.0], 5.0).x[0] == pytest.approx(5.0)


@pytest.mark.parametrize("rule", RULES)
def test_line_search_falls_in_every_iteration(rule):
    values = []
    descend(
        rosen,
        [-1.2, 1.0],
        rosen_der,
        rule=rule,
        learning_rate="line_search",
        maxiter=200,
        callback=lambda x: values.append(rosen(x)),
    )
    assert (np.diff([rosen([-1.2, 1.0]), *values]) < 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_divergence_is_reported_and_the_best_point_returned(rule):
    result = descend(rule=rule, learning_rate="constant", eta0=1e250)
    assert not result.success
    assert result.status == 3
    assert "diverged in iteration" in result.message
    assert 'learning_rate="auto"' in result.message
    np.testing.assert_array_equal(result.x, START)
    assert result.fun == bowl(np.array(START))


def test_overflow_in_python_numbers_is_divergence():
    result = descend(
        lambda x: math.exp(float(x[0]) ** 2), [3.0], None, learning_rate="constant", eta0=1.0
    )
    assert result.status == 3
    assert np.isfinite(result.x).all()
    pair = descend(
        lambda x: (math.exp(x[0]), np.exp(x)),
        [3.0],
        True,
        learning_rate="constant",
        eta0=-1e3 + 1001.0,
    )
    assert np.isfinite(pair.x).all()


def test_overflow_in_a_search_is_a_step_too_long():
    result = descend(
        lambda x: math.exp(float(x[0]) ** 2), [3.0], None, learning_rate="line_search", eta0=1.0
    )
    assert result.success
    assert result.x[0] == pytest.approx(0.0, abs=1e-5)


def test_function_without_a_minimum():
    result = descend(lambda x: -(x[0] ** 3), [1.0], None)
    assert result.status == 3
    assert "no lower bound" in result.message
    assert np.isfinite(result.x).all()


def test_best_point_is_returned_at_maxiter():
    seen = []
    result = descend(
        rosen, [-1.2, 1.0], rosen_der, learning_rate="auto", maxiter=30, callback=seen.append
    )
    assert result.status == 1
    assert "maxiter=30" in result.message
    values = [rosen(x) for x in seen]
    assert result.fun == min(values)
    np.testing.assert_array_equal(result.x, seen[int(np.argmin(values))])


def test_wrong_gradient_is_said():
    result = descend(jac=lambda x: -bowl_gradient(x))
    assert result.status == 2
    assert "jac is wrong" in result.message
    np.testing.assert_array_equal(result.x, START)


def test_gradient_at_its_rounding_error_ends_the_run():
    result = descend(gtol=0.0, x0=[1e3, 1e5])
    assert result.status in (0, 2)
    assert result.nit < 200
    np.testing.assert_allclose(result.x, TARGET, rtol=1e-7)


@pytest.mark.parametrize("learning_rate", RATES)
def test_maxiter_zero_evaluates_the_start(learning_rate):
    result = descend(maxiter=0, learning_rate=learning_rate)
    assert (result.nit, result.nfev, result.njev, result.success, result.status) == (
        0,
        1,
        1,
        False,
        1,
    )
    np.testing.assert_array_equal(result.x, START)
    assert descend(x0=TARGET, maxiter=0).success


def test_callback_gets_its_own_copy_each_iteration():
    seen = []

    def spoil(x):
        seen.append(x)
        x[:] = np.nan

    result = descend(callback=spoil)
    assert result.success
    assert len(seen) == result.nit
    assert len({id(x) for x in seen}) == result.nit


def test_a_callback_that_tells_no_signature():
    assert descend(callback=max, maxiter=3).nit == 3


def test_functions_may_keep_and_change_their_arrays():
    buffer = np.empty(2)

    def fun(x):
        value = bowl(x)
        x[:] = np.nan
        return np.array([value])

    def jac(x):
        buffer[:] = bowl_gradient(x)
        x[:] = np.nan
        return buffer

    np.testing.assert_array_equal(descend(fun, jac=jac).x, descend().x)


def test_callback_by_name_gets_the_objective():
    seen = []

    def watch(intermediate_result):
        seen.append((intermediate_result.fun, bowl(intermediate_result.x)))

    assert descend(callback=watch).nit == len(seen)
    for told, true in seen:
        assert told == true


@pytest.mark.parametrize("answer", [True, np.True_, StopIteration])
def test_callback_ends_the_run_where_it_is(answer):
    seen = []

    def stop(x):
        seen.append(x)
        if len(seen) == 3:
            if answer is StopIteration:
                raise StopIteration
            return answer

    result = descend(callback=stop, learning_rate="constant", eta0=0.01)
    assert (result.nit, result.status, result.success) == (3, 99, False)
    np.testing.assert_array_equal(result.x, seen[2])


def test_tol_is_gtol_unless_both_are_given():
    loose, tight = descend(tol=1e-2), descend(tol=1e-2, gtol=1e-9)
    assert np.abs(loose.jac).max() <= 1e-2
    assert np.abs(tight.jac).max() <= 1e-9
    assert loose.nit < tight.nit


def test_objective_at_its_rounding_error():
    # A constant of 1e10 hides falls below 2e-6; the gradient does not suffer from it.
    result = descend(lambda x: bowl(x) + 1e10, learning_rate="auto", gtol=1e-8)
    assert result.success
    np.testing.assert_allclose(result.x, TARGET, atol=1e-8)


def test_start_is_copied_and_raveled():
    start = np.array([[4, 3]])
    result = gradient_descent(bowl, start, jac=bowl_gradient)
    assert result.x.shape == (2,)
    assert result.x.dtype == float
    np.testing.assert_array_equal(start, [[4, 3]])
    assert descend(x0=np.float32(START)).x.dtype == float


def test_a_component_is_a_rule():
    options = {"learning_rate": "constant", "eta0": 0.1, "maxiter": 10}
    same, other = descend(rule=Adam(), **options), descend(rule=Adam(0.5, 0.9), **options)
    np.testing.assert_array_equal(same.x, descend(rule="adam", **options).x)
    assert not np.array_equal(same.x, other.x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "adm"}, "adm"),
        ({"rule": 3}, "rule must be a string or a Rule"),
        ({"rule": "momentum", "momentum": 1.0}, "momentum"),
        ({"learning_rate": "optimal"}, "learning_rate must be one of"),
        ({"eta0": 0.0}, "eta0 must be a positive"),
        ({"eta0": np.nan}, "eta0 must be a positive"),
        ({"power_t": -1.0}, "power_t"),
        ({"gtol": -1.0}, "gtol"),
        ({"gtol": np.nan}, "gtol"),
        ({"maxiter": -1}, "maxiter"),
        ({"maxiter": 2.5}, "maxiter"),
        ({"x0": [1.0, np.nan]}, "x0 must hold"),
        ({"x0": []}, "x0 must hold"),
        ({"fun": lambda x: np.nan}, "objective is nan at x0"),
        ({"fun": lambda x: np.inf}, "objective is inf at x0"),
        ({"fun": lambda x: x}, "must be one number"),
        ({"jac": lambda x: np.full(2, np.nan)}, "gradient is not finite at x0"),
        ({"jac": lambda x: np.zeros(3)}, "2 components of x, got 3"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        descend(**changes)


def test_limits_are_refused():
    with pytest.raises(ValueError, match="no bounds or constraints"):
        minimize(bowl, START, method=gradient_descent, bounds=Bounds(0, 1))
    for constraints in (
        {"type": "eq", "fun": bowl},
        LinearConstraint(np.eye(2)),
        [LinearConstraint(np.eye(2))],
    ):
        with pytest.raises(ValueError, match="no bounds or constraints"):
            minimize(bowl, START, method=gradient_descent, constraints=constraints)
    assert minimize(bowl, START, method=gradient_descent, constraints=[]).success
    with pytest.raises(ValueError, match="jac must be"):
        gradient_descent(bowl, START, jac="2-point")


def test_what_is_not_used_is_said():
    with pytest.warns(OptimizeWarning, match="not used: eta; known options: rule,"):
        descend(eta=0.1)
    with pytest.warns(OptimizeWarning, match="not used: hess;"):
        minimize(bowl, START, method=gradient_descent, hess=lambda x: CURVATURE)


@pytest.mark.jit
def test_nothing_is_compiled():
    script = (
        "from numba.core.event import RecordingListener, register\n"
        "listener = RecordingListener(); register('numba:compile', listener)\n"
        "from fastgd.scipy_method import gradient_descent\n"
        "for rule in ('gd', 'adam'):\n"
        "    assert gradient_descent(lambda x: x @ x, [1.0, 2.0], rule=rule).success\n"
        "assert not listener.buffer, listener.buffer\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
