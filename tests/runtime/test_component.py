"""Components in Python: values that are coerced, frozen and copied, and classes that are checked
and named.
"""

import copy
import dataclasses
import pickle
from typing import ClassVar

import numba
import numpy as np
import pytest
from sklearn.base import clone

from fastgd import L2, GDRegressor, Loss
from fastgd.data.rows import DenseRows
from fastgd.losses.classification import LogLoss
from fastgd.losses.regression import SquaredError
from fastgd.runtime.component import Component, required, snake_case
from support.bridge import Curve, Dense, Huber, Robust, height, table_sum


class Special(np.ndarray):
    pass


def test_numbers_become_floats_and_instances_are_frozen():
    for given in (2, True, np.float32(2), np.int64(2), np.array(2.0)):
        assert type(Huber(given).epsilon) is float
    assert repr(Huber(2)) == "Huber(epsilon=2.0)"
    with pytest.raises(AttributeError):
        Huber().epsilon = 3.0


def test_components_are_equal_where_class_and_fields_are():
    assert Huber(1) == Huber(1.0) != Huber(2.0)
    assert len({Huber(1), Huber(1.0), Huber(2.0)}) == 2
    assert Dense(np.ones((2, 3))) == Dense(np.ones((2, 3)))
    assert Dense(np.ones((2, 3))) != Dense(np.ones((3, 2)))
    assert len({Dense(np.ones((2, 3))), Dense([[1.0] * 3] * 2)}) == 1

    class Other(Huber):
        pass

    assert Other(1.0) != Huber(1.0)
    assert Other(1.0) != 1.0


def test_data_are_equal_to_themselves_only():
    rows = DenseRows(np.ones((2, 3)))
    assert rows == rows
    assert rows != DenseRows(np.ones((2, 3)))


def test_a_number_without_a_type_is_told_when_the_class_is_made():
    words = r"^Forgot\.width has no type: write `width: float = 1\.0` for a parameter of Forgot, "
    with pytest.raises(TypeError, match=words):

        class Forgot(Huber):
            width = 1.0

    with pytest.raises(TypeError, match=r"`epsilon: float = 2\.0` for a parameter"):

        class Silent(Huber):  # the field of the base would keep its default
            epsilon = 2.0

    class Declared(Huber):
        FACTOR = 2.0
        _hidden = 3.0
        offset: ClassVar[float] = 1.0
        more: float = 0.5

    class Again(Declared):
        offset = 2.0  # declared a constant by its base

    assert (Again(1.0).more, Again.offset) == (0.5, 2.0)


@pytest.mark.parametrize(
    "given",
    ["x", "2", b"2", None, 1j, np.complex128(1j), [1.0], np.ones(3), {}, object, 10**400],
    ids=lambda given: repr(given)[:20],
)
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
        given.astype(np.float16),  # Numba has no code for these two
        given.astype(np.longdouble),
    ):
        values = Dense(other).values
        assert values.flags.c_contiguous
        assert values.dtype == np.float64
        assert type(values) is np.ndarray
        np.testing.assert_array_equal(values, given)
    assert Dense(given.astype(np.float32)).values.dtype == np.float32
    for wrong in (
        3.0,
        "abc",
        None,
        np.array(["a"]),
        np.array(1.0),
        [[1.0], [2.0, 3.0]],
        np.ones(2, complex),
    ):
        with pytest.raises(ValueError, match=r"^Dense values must be an array, got "):
            Dense(wrong)


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize(
    "how",
    [
        clone,
        copy.copy,
        copy.deepcopy,
        lambda c: clone(c, safe=False),
        lambda c: pickle.loads(pickle.dumps(c)),
    ],
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
        ):  # not an estimator; inside one it is cloned unsafely
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

    with pytest.raises(
        TypeError, match=r"^Static.value must be a method taking \(self, x\), not <staticmethod"
    ):

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


def test_a_family_finds_its_members_by_name():
    assert Curve.named("huber") is Huber
    assert Huber.name == "huber"
    assert Huber.members() == Curve.members()
    assert "dense" not in Curve.members()
    with pytest.raises(
        ValueError, match=r"^unknown curve 'hubber'; did you mean 'huber'\? Known: .*huber"
    ):
        Curve.named("hubber")
    for wrong in ("", 3, None, Huber):
        with pytest.raises(ValueError, match=r"^unknown curve .*\. Known: "):
            Curve.named(wrong)
    snakes = {
        "SquaredHinge": "squared_hinge",
        "L2": "l2",
        "HTTPLoss": "http_loss",
        "SGD": "sgd",
        "L1Ball": "l1_ball",
    }
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


def test_what_belongs_to_the_class_is_not_read_in_each_call():
    """Names and domain of a loss were unboxed with it, 1.6 us a call."""
    assert LogLoss()._numba_type_.fields == ()
    assert [name for name, _ in Huber()._numba_type_.fields] == [
        field.name for field in dataclasses.fields(Huber)
    ]


def test_facts_are_not_inherited_by_other_formulas():
    """Of an expectile loss, made of the squared error, F was taken for a parabola."""

    class Expectile(SquaredError):
        def value(self, prediction, target):
            r = prediction - target
            return (0.9 if r > 0.0 else 0.1) * r * r

        def derivative(self, prediction, target):
            r = prediction - target
            return 2.0 * (0.9 if r > 0.0 else 0.1) * r

        def curvature(self, prediction, target):
            return 1.8 if prediction > target else 0.2

    class Renamed(SquaredError):
        pass

    class Towards(L2):
        def value(self, coefficient, j):
            return 0.5 * (coefficient - 1.0) ** 2

        def derivative(self, coefficient, j):
            return coefficient - 1.0

        def prox(self, coefficient, j, rate):
            return (coefficient + rate) / (1.0 + rate)

    assert Expectile().self_concordance is None
    assert Expectile().infimum == -np.inf
    assert not Expectile().squared
    assert Renamed().self_concordance == 0.0
    assert Renamed().squared
    assert Towards().shares is None
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    model = GDRegressor(penalty=Towards(), alpha=1e3).fit(X, X @ [3.0, -1.0, 0.5])
    np.testing.assert_allclose(model.coef_, 1.0, atol=0.01)


def test_facts_that_a_base_class_declares_for_its_subclasses_hold():
    class Positive(Loss, abstract=True):
        infimum = 0.0

    class Own(Positive):
        def value(self, prediction, target):
            return 0.5 * (prediction - target) ** 2

        def derivative(self, prediction, target):
            return prediction - target

    assert Own().infimum == 0.0


def test_a_misspelt_fact_and_a_shared_default_are_told():
    with pytest.raises(TypeError, match=r"for a constant; or is infimum meant\?$"):
        type("Typo", (Loss,), {"infinum": 0.0}, abstract=True)
    for shared in ([1.0], np.ones(2)):
        body = {"knots": shared, "__annotations__": {"knots": "np.ndarray"}}
        with pytest.raises(TypeError, match=r"^Shared\.knots: a default that is an array is writ"):
            type("Shared", (Loss,), body, abstract=True)
