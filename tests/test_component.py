"""The bridge by itself: what a component is in Python, what it is in a kernel, and what its fingerprint tells apart."""

import copy
import gc
import pickle
import platform
import sys
import textwrap
import types
from typing import ClassVar

import numba
import numpy as np
import pytest
from sklearn.base import clone

from fastgd._component import Component, fingerprint, python_only, required, snake_case
from fastgd._jit import kernel

K = 2.0


@kernel
def clip(x, bound):
    return min(max(x, -bound), bound)


class Curve(Component, family=True):
    smooth: ClassVar[bool] = True

    @required
    def value(self, x):
        """Height at `x`."""

    @required
    def derivative(self, x):
        """Slope at `x`."""

    def curvature(self, x):
        return (self.derivative(x + 1e-3) - self.derivative(x - 1e-3)) / 2e-3

    def both(self, x):
        return self.value(x), self.derivative(x)

    @python_only
    def title(self):
        return f"{type(self).__name__} of {len(self.members())}"


class Huber(Curve):
    epsilon: float = 1.35

    def __post_init__(self):
        if not self.epsilon > 0.0:
            raise ValueError(f"Huber epsilon must be positive, got {self.epsilon}")

    def value(self, x):
        if abs(x) <= self.epsilon:
            return 0.5 * x * x
        return self.epsilon * (abs(x) - 0.5 * self.epsilon)

    def derivative(self, x):
        return clip(x, self.epsilon)


class Special(np.ndarray):
    pass


class Table(Component, family=True):
    @required
    def total(self, row):
        """Sum of a row."""


class Dense(Table):
    values: np.ndarray

    def total(self, row):
        total = 0.0
        for j in range(self.values.shape[1]):
            total += self.values[row, j]
        return total


class Sparse(Table):
    values: np.ndarray
    starts: np.ndarray

    def total(self, row):
        total = 0.0
        for k in range(self.starts[row], self.starts[row + 1]):
            total += self.values[k]
        return total


@kernel
def everything(curve, x):
    return curve.value(x), curve.derivative(x), curve.curvature(x), curve.both(x)[1]


@kernel
def height(curve, x):
    return curve.value(x)


@kernel
def slopes(curve, x, out):
    for i in range(x.size):
        out[i] = curve.derivative(x[i])


@kernel
def table_sum(table, rows):
    total = 0.0
    for row in range(rows):
        total += table.total(row)
    return total


def define(source, **given):
    """Run source as a notebook cell does: no file, module `__main__`."""
    scope = {"np": np, "Curve": Curve, "kernel": kernel, "__name__": "__main__", **given}
    exec(textwrap.dedent(source), scope)
    return scope


CELL = """
class Cell(Curve):
    width: float = 1.0
    def value(self, x):
        return BODY
    def derivative(self, x):
        return 1.0
"""


def cell(body, **given):
    return define(CELL.replace("BODY", body), **given)["Cell"]


# ---- as Python objects


def test_numbers_become_floats_and_instances_are_frozen():
    for given in (2, True, np.float32(2), np.int64(2), np.array(2.0)):
        assert type(Huber(given).epsilon) is float
    assert repr(Huber(2)) == "Huber(epsilon=2.0)"
    assert Huber(1.0) != Huber(1.0)
    assert len({Huber(), Huber()}) == 2
    with pytest.raises(AttributeError):
        Huber().epsilon = 3.0


@pytest.mark.parametrize("given", ["x", "2", b"2", None, 1j, np.complex128(1j), [1.0], np.ones(3), {}, object, 10**400])
def test_what_is_not_a_number_is_refused(given):
    with pytest.raises(ValueError, match=r"^Huber epsilon must be a number, got "):
        Huber(given)


def test_post_init_validates_after_the_coercion():
    with pytest.raises(ValueError, match=r"^Huber epsilon must be positive, got -1\.0$"):
        Huber(-1)
    seen = []

    class Derived(Huber):
        more: float = 0

        def __post_init__(self):
            super().__post_init__()
            seen.append((self.epsilon, self.more))

    Derived(2, True)
    assert [type(value) for value in seen[0]] == [float, float]
    with pytest.raises(ValueError, match="positive"):
        Derived(0)


def test_fields_by_annotation():
    class Mixed(Huber):
        order: "int" = 1
        centred: bool = False
        weights: np.ndarray = (1, 2)
        either: "float | np.ndarray" = 0.0
        inner: float | Curve = 1

    mixed = Mixed(order=np.int32(3), centred=1, either=2, inner=Huber(3))
    assert (mixed.order, mixed.centred, mixed.either, type(mixed.inner)) == (3, True, 2.0, Huber)
    assert (type(mixed.order), type(mixed.centred), mixed.weights.dtype) == (int, bool, np.float64)
    assert Mixed(either=np.arange(3)).either.dtype == np.arange(3).dtype
    with pytest.raises(ValueError, match=r"Mixed order must be a whole number, got 2\.5"):
        Mixed(order=2.5)
    with pytest.raises(ValueError, match="Mixed centred must be True or False, got 2"):
        Mixed(centred=2)


def test_arrays_become_read_only_c_contiguous_views():
    given = np.arange(6.0).reshape(2, 3)
    table = Dense(given)
    assert np.shares_memory(table.values, given)
    assert not table.values.flags.writeable
    assert given.flags.writeable
    for other in (
        np.asfortranarray(given),
        given[::-1][::-1],
        given.astype(">f8"),
        given.tolist(),
        given.view(Special),
    ):
        values = Dense(other).values
        assert values.flags.c_contiguous
        assert values.dtype.isnative
        assert type(values) is np.ndarray
        np.testing.assert_array_equal(values, given)
    assert Dense(given.astype(np.float32)).values.dtype == np.float32
    for wrong in (3.0, "abc", None, np.array(["a"]), np.array(1.0), [[1.0], [2.0, 3.0]], np.ones(2, complex)):
        with pytest.raises(ValueError, match=r"^Dense values must be an array, got "):
            Dense(wrong)


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize(
    "how",
    [clone, copy.copy, copy.deepcopy, lambda c: clone(c, safe=False), lambda c: pickle.loads(pickle.dumps(c))],
    ids=["clone", "copy", "deepcopy", "unsafe clone", "pickle"],
)
def test_copies_and_pickles(how, used):
    huber, table = Huber(2), Dense(np.ones((2, 3)))
    if used:
        height(huber, 1.0)
        table_sum(table, 2)
        assert b"numba" not in pickle.dumps(huber)
    if how is clone:
        with pytest.raises(
            TypeError, match="clone"
        ):  # components are no estimators; inside one they are cloned unsafely
            clone(huber)
        return
    twin, table_twin = how(huber), how(table)
    assert twin is not huber
    assert repr(twin) == repr(huber)
    assert not table_twin.values.flags.writeable
    assert height(twin, 5.0) == height(huber, 5.0)
    assert table_sum(table_twin, 2) == 6.0
    if not numba.config.DISABLE_JIT:
        assert numba.typeof(table_twin) is numba.typeof(table)


def test_a_pickle_from_before_a_field_was_added():
    old = Huber.__new__(Huber)
    old.__setstate__({})
    assert old.epsilon == 1.35


def test_mistakes_are_told_when_the_class_is_made():
    with pytest.raises(TypeError, match=r"^Half must define derivative\(self, x\)$"):

        class Half(Curve):
            def value(self, x):
                return x

    with pytest.raises(TypeError, match=r"^Wide.value must take \(self, x\), not \(self, x, y\)$"):

        class Wide(Curve):
            def value(self, x, y):
                return x

    with pytest.raises(TypeError, match=r"^Stars.value must take \(self, x\), not \(self, \*x\)$"):

        class Stars(Curve):
            def value(self, *x):
                return x

    with pytest.raises(TypeError, match=r"^Static.value must be a method taking \(self, x\), not <staticmethod"):

        class Static(Huber):
            @staticmethod
            def value(x):
                return x

    with pytest.raises(TypeError, match="Orphan must derive from a family"):

        class Orphan(Component):
            size = 1

    def empty():
        class Empty(Curve):
            pass

        return Empty()

    with pytest.raises(TypeError, match=r"^Empty must define value\(self, x\)$"):
        empty()

    with pytest.raises(TypeError, match=r"^Robust must define derivative\(self, x\)$"):
        Robust()


def test_names():
    assert Curve.named("huber") is Huber
    assert Huber.name == "huber"
    assert Huber.members() == Curve.members()
    assert "dense" not in Curve.members()
    with pytest.raises(ValueError, match=r"^unknown curve 'hubber'; did you mean 'huber'\? Known: .*huber"):
        Curve.named("hubber")
    for wrong in ("", 3, None, Huber):
        with pytest.raises(ValueError, match=r"^unknown curve .*\. Known: "):
            Curve.named(wrong)
    snakes = {"SquaredHinge": "squared_hinge", "L2": "l2", "HTTPLoss": "http_loss", "SGD": "sgd", "L1Ball": "l1_ball"}
    assert {name: snake_case(name) for name in snakes} == snakes


def test_a_users_class_does_not_take_the_string_of_a_shipped_one():
    def value(self, x):
        return x

    class Shade(Component, family=True):
        @required
        def value(self, x):
            """Shade."""

    shipped = type("Dark", (Shade,), {"__module__": "fastgd.shades", "value": value})
    own = type("Dark", (Shade,), {"__module__": "mine", "value": value})
    assert Shade.named("dark") is shipped
    assert own(**{}).value(1) == 1
    assert type("Pale", (Shade,), {"__module__": "mine", "value": value}) is Shade.named("pale")
    again = type("Pale", (Shade,), {"__module__": "mine", "value": value})
    assert Shade.named("pale") is again


# ---- in kernels (these hold without the JIT too, where a kernel is its Python function)


class Robust(Curve, abstract=True):
    scale: float = 2.0
    HALF = 0.5

    def value(self, x):
        return self.rho(x / self.scale)

    def rho(self, u):
        low, high = self._bounds()
        if u < low:
            return low
        if u > high:
            return high
        return self.HALF * u * u

    def _bounds(self):
        return -K, K


class Capped(Robust):
    extra: float = 1.0

    def derivative(self, x):
        return clip(x, self.scale) + self.extra


class Mixin:
    def derivative(self, x):
        return -x


class MixedIn(Mixin, Robust):
    pass


def in_a_closure(power):
    class Closed(Curve):
        def value(self, x):
            return abs(x) ** power

        def derivative(self, x):
            return power * abs(x) ** (power - 1.0)

    return Closed()


@pytest.mark.parametrize("curve", [Huber(1), Capped(2, 3), MixedIn(), in_a_closure(2.0), in_a_closure(3.0)], ids=repr)
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
    for values in (writable, np.asfortranarray(writable), writable[:, ::-1], np.ones((2, 3), ">f8")):
        assert numba.typeof(Dense(values)) is first


@pytest.mark.jit
@pytest.mark.skipif(numba.config.BOUNDSCHECK or 0, reason="bounds checks do not vectorise")
def test_methods_vectorise():
    x, out = np.linspace(-3.0, 3.0, 100), np.empty(100)
    slopes(Huber(1), x, out)
    np.testing.assert_array_equal(out, np.clip(x, -1, 1))
    code = next(iter(slopes.inspect_asm().values()))
    if platform.machine() in ("x86_64", "AMD64"):
        assert "minpd" in code


@pytest.mark.jit
def test_calls_leak_nothing():
    values = np.ones((2, 3))
    table, before = Dense(values), None
    for turn in range(2):
        for _ in range(5000):
            table_sum(table, 2)
            table_sum(Dense(values), 2)
        gc.collect()
        counts = sys.getrefcount(values), sys.getrefcount(table), sys.getrefcount(table.values)
        assert turn == 0 or counts == before
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

    with pytest.raises(numba.TypingError, match="Endless"):
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


# ---- fingerprints


def test_fingerprints_of_equal_cells_are_equal():
    assert fingerprint(cell("np.exp(x)")) == fingerprint(cell("np.exp(x)  # a comment"))
    assert fingerprint(cell("self.width * x", width=1)) == fingerprint(cell("self.width * x", width=2))
    assert fingerprint(cell("x", object=object())) == fingerprint(cell("x"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cell("np.exp(x)"), cell("np.log(x)")),
        (cell("x + 1.0"), cell("x + 2.0")),
        (cell("0.0"), cell("-0.0")),
        (cell("K * x", K=2), cell("K * x", K=3)),
        (cell("K * x", K=2), cell("K * x", K=2.0)),
        (cell("K[0] * x", K=(2.0, 1.0)), cell("K[0] * x", K=(3.0, 1.0))),
        (cell("K[0] * x", K=np.ones(2)), cell("K[0] * x", K=np.zeros(2))),
        (cell("f(x)", f=np.exp), cell("f(x)", f=np.log)),
        (cell("f(x)", f=abs), cell("f(x)", f=float)),
        (cell("x if x in {1.0, 2.0} else K", K=2), cell("x if x in {1.0, 3.0} else K", K=2)),
        (cell("m.K * x", m=types.SimpleNamespace(K=2)), cell("m.K * x", m=types.SimpleNamespace(K=3))),
    ],
)
def test_fingerprints_of_different_cells_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


def module(**contents):
    made = types.ModuleType("helpers")
    vars(made).update(contents)
    return made


HELPER = """
def inner(x):
    return x + NUMBER
def other(x):
    return x + 7.0
helper = DECORATE(lambda x: inner(x))
"""


@pytest.mark.parametrize("decorate", [kernel, lambda f: f, kernel(relaxed=True)], ids=["kernel", "plain", "relaxed"])
@pytest.mark.parametrize("way", ["global", "module", "default", "order"])
def test_fingerprints_follow_helpers(decorate, way):
    def version(number):
        scope = define(HELPER, DECORATE=decorate, NUMBER=number)
        helper, other = scope["helper"], scope["other"]
        if way == "global":
            return cell("helper(x)", helper=helper)
        if way == "order":
            return cell("a(b(a(x))) + c(x)", a=helper, b=other, c=(helper, other)[int(number)])
        if way == "default":
            made = cell("self.again(x)")
            made.again = lambda self, x, number=number: x + number
            return made
        return cell("helpers.helper(x)", helpers=module(helper=helper, unrelated=object()))

    assert fingerprint(version(0.0)) == fingerprint(version(0.0))
    assert fingerprint(version(0.0)) != fingerprint(version(1.0))


def test_fingerprints_see_closures_flags_constants_and_bases():
    assert fingerprint(type(in_a_closure(2.0))) != fingerprint(type(in_a_closure(3.0)))
    assert fingerprint(type(in_a_closure(2.0))) == fingerprint(type(in_a_closure(2.0)))
    if not numba.config.DISABLE_JIT:
        assert fingerprint(kernel(clip.py_func)) != fingerprint(kernel(relaxed=True)(clip.py_func))

    def derived(half):
        return type("Derived", (Capped,), {"__module__": "m", "__qualname__": "Derived", "HALF": half})

    assert fingerprint(derived(0.5)) != fingerprint(derived(0.25))
    assert fingerprint(Robust) != fingerprint(Capped) != fingerprint(MixedIn)


def test_fingerprints_see_intrinsics():
    source = "def f(context, x):\n    return x(x), lambda context, builder, signature, arguments: arguments[NUMBER]"

    def version(number):
        return cell("f(x)", f=numba.extending.intrinsic(define(source, NUMBER=number)["f"]))

    assert fingerprint(version(0)) == fingerprint(version(0))
    assert fingerprint(version(0)) != fingerprint(version(1))


def test_fingerprints_ignore_what_kernels_cannot_call():
    def version(title):
        scope = define("class Cell(Huber):\n    def plot(self):\n        return title(self)", Huber=Huber, title=title)
        return scope["Cell"]

    assert fingerprint(version(len)) == fingerprint(version(repr))
