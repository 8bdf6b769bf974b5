"""Values as JSON and arrays, and back."""

import enum
import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp

import fastgd
from fastgd.fitting.plain_values import Decoder, Encoder, Registry
from fastgd.fitting.stored_classes import REGISTERED, SOLVERS
from fastgd.solvers.base import Solver


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: object
    right: object


@dataclass
class Thing:
    one: object = None
    others: list = field(default_factory=list)


class Plain:
    pass


KNOWN = Registry({"Colour": Colour, "Pair": Pair, "Thing": Thing, "Plain": Plain})


def back(value, registry=KNOWN):
    encoder = Encoder(registry)
    tree = json.loads(json.dumps(encoder.tree(value), allow_nan=False))
    return Decoder(registry, [one.copy() for one in encoder.arrays]).value(tree)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -7, 2**70, "", "a\u00e9", 0.1, -0.0, 1e308, 5e-324, np.inf, -np.inf),
        *(b"", b"\x00\xff", (), (1, (2.0, "x")), [], [1, [2]], {}, {("a", 1): None, 2: [3]}),
        *([1.0, 2.5, np.inf, 3.0, 1e-300], [1, 2, 3, 4, 2**60], [1.0, 2, np.float64(3.0), 4.5]),
        *([True, False, True, True], Colour.RED, Pair(1, (2, 3)), np.float64(0.1), np.int32(4)),
        *(np.bool_(True), Thing(1.5, [Thing()])),
    ],
    ids=repr,
)
def test_values_come_back(value):
    found = back(value)
    assert found == value
    assert repr(found) == repr(value)
    assert type(found) is type(value)
    if isinstance(value, list | tuple):
        assert list(map(type, found)) == list(map(type, value))


def test_nan_comes_back():
    assert np.isnan(back(np.nan))
    assert np.isnan(back([np.nan, 1.0, 2.0, 3.0])[0])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
        np.zeros((0, 4)),
        np.array(3.5),
        np.array([1, 2], dtype=np.uint8),
        np.array([True]),
        np.array(["a", "bc"]),
        np.array([np.nan, np.inf, -0.0], dtype=np.float32),
    ],
    ids=lambda one: f"{one.dtype}{one.shape}",
)
def test_arrays_come_back(array):
    found = back(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


def test_what_is_one_stays_one():
    array, items = np.zeros(3), [1]
    thing = Thing(array, items)
    found = back({"a": [array, thing, items], "b": (thing, array)})
    (first, same, items), (other, second) = found["a"], found["b"]
    assert first is second is same.one
    assert same is other
    assert same.others is items
    # And what is equal, but another, stays another.
    one, other = back([np.zeros(2), np.zeros(2)])
    assert one is not other


def test_a_circle_comes_back():
    thing = Thing()
    thing.one = thing
    found = back(thing)
    assert found.one is found


def test_random_states_go_on():
    for made in (np.random.RandomState(3), np.random.default_rng(3)):
        made.normal()
        assert back(made).normal() == made.normal()
    generator = np.random.Generator(np.random.MT19937(1))
    assert back(generator).integers(99) == generator.integers(99)


def test_sparse_arrays_come_back():
    found = back(sp.csr_array(np.eye(2)))
    np.testing.assert_array_equal(found.toarray(), np.eye(2))


@pytest.mark.parametrize("value", [object(), {1, 2}, len, np.array([None]), Solver(None)])
def test_what_nobody_knows_is_refused(value):
    with pytest.raises(TypeError, match="cannot be kept"):
        Encoder(KNOWN).tree([value])


@pytest.mark.parametrize(
    "tree",
    [
        [1],
        {},
        {"eval": "1"},
        {"value": 1},
        {"array": 0},
        {"same": 0},
        {"class": "os.system", "values": {}},
        {"class": "Thing", "values": {"two": 1}},
        {"class": "Thing", "values": 3},
        {"class": "Colour", "values": {}},
        {"enum": "Thing", "member": "one"},
        {"enum": "Colour", "member": "BLUE"},
        {"class": "Pair", "values": {"left": 1}},
        {"generator": "Other", "state": None},
        {"generator": "PCG64", "state": {"dict": []}},
        {"tuple": 5},
        {"list": [[]]},
        {"float": "x"},
        {"bytes": "xyz"},
        {"csr": [1, 2, 3], "shape": [1, 1]},
    ],
    ids=str,
)
def test_trees_that_are_none_are_refused(tree):
    with pytest.raises(ValueError, match=r"value|none|members|has no|convert|hexa|state|1-D"):
        Decoder(KNOWN, []).value(tree)


def test_every_memory_of_a_solver_is_known():
    def below(kind):
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    for solver in [*SOLVERS, *below(Solver)]:
        whole = solver.advance is not Solver.advance
        if whole and solver.__module__.startswith(fastgd.__name__):
            assert solver.Memory in REGISTERED.names, solver
