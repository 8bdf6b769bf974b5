"""Components in kernels: the same numbers as in Python, and nothing compiled, leaked or inlined
that should not be.
"""

import gc
import pickle
import platform
import sys

import numba
import numpy as np
import pytest

from fastgd.runtime.jit import kernel
from support.bridge import (
    CELL,
    Capped,
    Curve,
    Dense,
    Huber,
    MixedIn,
    Sparse,
    cell,
    define,
    derivatives,
    everything,
    height,
    in_a_closure,
    table_sum,
)

# ---- without the JIT too, where a kernel is its Python function


@pytest.mark.parametrize(
    "curve", [Huber(1), Capped(2, 3), MixedIn(), in_a_closure(2.0), in_a_closure(3.0)], ids=repr
)
@pytest.mark.parametrize("x", [-9.0, -0.3, 0.7, 9.0])
def test_a_kernel_computes_what_python_does(curve, x):
    expected = curve.value(x), curve.derivative(x), curve.curvature(x), curve.both(x)[1]
    np.testing.assert_allclose(everything(curve, x), expected, rtol=1e-12)


def test_abstract_classes_are_not_found_by_name():
    assert "robust" not in Curve.members()
    assert {"capped", "mixed_in"} <= Curve.members().keys()


def test_fields_that_are_components_or_whole_numbers():
    class Repeated(Curve):
        curve: Curve
        times: int = 2
        negate: bool = False

        def value(self, x):
            total = 0.0
            for _ in range(self.times):
                total += self.curve.value(x)
            return -total if self.negate else total

        def derivative(self, x):
            return self.times * self.curve.derivative(x)

    assert height(Repeated(Huber(1)), 0.5) == 0.25
    assert height(Repeated(Huber(1), 4, True), 0.5) == -0.5
    assert height(Repeated(Repeated(Huber(1))), 0.5) == 0.5


def test_methods_that_assign_twice_and_are_called_twice():
    class Stepped(Curve):
        weights: np.ndarray

        def value(self, x):
            total, k = 0.0, 0
            while k < self.weights.size:
                step = x
                if step > 0.5:
                    step = 0.5 * step
                    total += 1.0
                total = 2.0 * total + self.weights[k] * step
                k += 1
            return total

        def derivative(self, x):
            return self.value(x + 1.0) - self.value(x) if x < 0.0 else self.value(x)

    curve = Stepped([1.0, -2.0, 3.0])
    for x in (-3.0, -0.2, 0.3, 4.0):
        expected = curve.value(x), curve.derivative(x), curve.curvature(x), curve.both(x)[1]
        np.testing.assert_allclose(everything(curve, x), expected, rtol=1e-12)


def test_arrays_as_fields():
    values = np.arange(12.0).reshape(4, 3)
    sparse = Sparse(values.ravel(), np.arange(0, 13, 3).astype(np.uint32))
    assert table_sum(Dense(values), 4) == table_sum(sparse, 4) == 66.0
    assert table_sum(Dense(values.astype(np.float32)), 4) == 66.0


def test_redefinition_gives_new_numbers():
    assert height(cell("np.exp(x)")(), 1.0) == pytest.approx(np.e)
    assert height(cell("np.log(x)")(), 1.0) == 0.0
    assert height(cell("np.exp(x)")(), 1.0) == pytest.approx(np.e)
    scope = define(CELL.replace("BODY", "TWO * x"), TWO=2.0)
    assert height(scope["Cell"](), 1.0) == 2.0
    scope["TWO"] = 3.0
    assert height(scope["Cell"](), 1.0) == 3.0


# ---- with the JIT


@pytest.mark.jit
def test_a_new_value_of_a_field_compiles_nothing():
    fresh = kernel(height.py_func)
    for epsilon in (1, 1.0, True, 2.5, np.float32(3)):
        fresh(Huber(epsilon), 1.0)
        fresh(pickle.loads(pickle.dumps(Huber(epsilon))), 1.0)
    assert len(fresh.signatures) == 1
    read_only, writable = np.ones((2, 3)), np.ones((2, 3))
    read_only.flags.writeable = False
    first = numba.typeof(Dense(read_only))
    for values in (
        writable,
        np.asfortranarray(writable),
        writable[:, ::-1],
        np.ones((2, 3), ">f8"),
    ):
        assert numba.typeof(Dense(values)) is first


@pytest.mark.jit
@pytest.mark.skipif(numba.config.BOUNDSCHECK or 0, reason="bounds checks do not vectorise")
def test_methods_vectorise():
    x, out = np.linspace(-3.0, 3.0, 100), np.empty(100)
    derivatives(Huber(1), x, out)
    np.testing.assert_array_equal(out, np.clip(x, -1, 1))
    code = next(iter(derivatives.inspect_asm().values()))
    if platform.machine() in ("x86_64", "AMD64"):
        assert "minpd" in code


@pytest.mark.jit
def test_calls_leak_nothing():
    values = np.ones((2, 3))
    table, before = Dense(values), None
    for iteration in range(2):
        for _ in range(5000):
            table_sum(table, 2)
            table_sum(Dense(values), 2)
        gc.collect()
        counts = sys.getrefcount(values), sys.getrefcount(table), sys.getrefcount(table.values)
        assert iteration == 0 or counts == before
        before = counts


@pytest.mark.jit
def test_a_broken_instance_raises_and_leaks_nothing():
    table = Sparse(np.ones(3), np.array([0, 3]))
    assert table_sum(table, 1) == 3.0
    object.__setattr__(table, "starts", "nonsense")
    with pytest.raises(TypeError, match="unbox"):
        table_sum(table, 1)
    object.__delattr__(table, "starts")
    with pytest.raises(AttributeError, match="starts"):
        table_sum(table, 1)
    with pytest.raises((AttributeError, TypeError)):
        table_sum(Sparse, 1)


@pytest.mark.jit
def test_recursion_is_refused():
    class Endless(Huber):
        def value(self, x):
            return self.value(x - 1.0) if x > 0.0 else x

    with pytest.raises(ValueError, match=r"^Endless\.value cannot .* a method cannot call itself"):
        height(Endless(), 1.0)


@pytest.mark.jit
def test_types_are_pickled_without_importing_the_module_of_the_class():
    curve = cell("x", __name__="module_that_is_gone")()
    kind = numba.typeof(curve)
    text = pickle.dumps(kind)
    assert pickle.loads(text) is kind
    stranger = pickle.loads(text.replace(kind.stamp.encode(), b"0" * 16))
    assert stranger != kind
    assert "module_that_is_gone" not in sys.modules
