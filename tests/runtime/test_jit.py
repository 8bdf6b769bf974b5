"""The decorator of kernels: what its flags promise."""

from types import FunctionType

import numba
import numpy as np
import pytest

from fastgd.runtime.jit import callee, kernel
from support.bridge import Huber

jit = pytest.mark.jit


@kernel
def add(a, b):
    return a + b


@callee
def twice(x):
    return 2.0 * x


def twice_of(x):
    return twice(x)


def raised(curve, x):
    return add(curve.value(x), 1.0)


def sum_of(x):
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


def test_without_the_jit_a_kernel_is_the_function(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert kernel(raised) is raised
    assert kernel(relaxed=True)(raised) is raised


def test_kernels_call_each_other_and_components():
    assert kernel(raised)(Huber(2), 1.0) == 1.5
    assert kernel()(sum_of)(np.ones(3)) == 3.0


def test_a_callee_is_plain_python_but_for_kernels():
    assert isinstance(twice, FunctionType)
    assert twice(1.5) == kernel(twice_of)(1.5) == 3.0


@jit
def test_flags():
    strict, relaxed = kernel(sum_of), kernel(relaxed=True)(sum_of)
    assert strict.targetoptions["nogil"]
    assert strict.targetoptions["fastmath"] == {"contract", "nsz"}
    assert relaxed.targetoptions["fastmath"] == {"contract", "nsz", "reassoc"}
    x = np.tile([1e16, 1.0, -1e16, 1.0], 64)  # a sum that depends on its order
    assert strict(x) == sum_of(x)  # to the bit
    assert relaxed(x) != sum_of(x) or numba.config.BOUNDSCHECK
    assert relaxed(np.ones(9)) == 9.0


@jit
@pytest.mark.parametrize("relaxed", [False, True])
def test_nan_and_division_by_zero_keep_their_meaning(relaxed):
    @kernel(relaxed=relaxed)
    def odd(x, y):
        return np.isfinite(x), np.isnan(x), x / y, x == x

    assert odd(np.nan, 1.0)[:2] == (False, True)
    assert not odd(np.nan, 1.0)[3]
    assert odd(np.inf, 1.0)[:2] == (False, False)
    assert odd(1.0, 0.0)[2] == np.inf
