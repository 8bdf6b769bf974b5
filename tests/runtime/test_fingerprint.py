"""Fingerprints: equal for code that compiles to the same, different for code that does not."""

import collections
import types

import numba
import numpy as np
import pytest

from fastgd.runtime.fingerprint import fingerprint
from fastgd.runtime.jit import kernel
from support.bridge import Capped, Huber, MixedIn, Robust, cell, clip, define, in_a_closure


def test_fingerprints_of_equal_cells_are_equal():
    assert fingerprint(cell("np.exp(x)")) == fingerprint(cell("np.exp(x)  # a comment"))
    assert fingerprint(cell("self.width * x", width=1)) == fingerprint(
        cell("self.width * x", width=2)
    )
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
        # `exec` in a namespace without a name says so: such classes were known by their name alone.
        (cell("x + 1.0", __name__="builtins"), cell("x + 2.0", __name__="builtins")),
        (
            cell("f(x)", f=define("def f(x):\n    return x + 1.0", __name__="numpy")["f"]),
            cell("f(x)", f=define("def f(x):\n    return x + 2.0", __name__="numpy")["f"]),
        ),
        (
            cell("P(x, 1.0).a", P=collections.namedtuple("P", "a b")),
            cell("P(x, 1.0).a", P=collections.namedtuple("P", "b a")),
        ),
        (
            cell("m.K * x", m=types.SimpleNamespace(K=2)),
            cell("m.K * x", m=types.SimpleNamespace(K=3)),
        ),
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


@pytest.mark.parametrize(
    "decorate", [kernel, lambda f: f, kernel(relaxed=True)], ids=["kernel", "plain", "relaxed"]
)
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
        return type(
            "Derived", (Capped,), {"__module__": "m", "__qualname__": "Derived", "HALF": half}
        )

    assert fingerprint(derived(0.5)) != fingerprint(derived(0.25))
    assert fingerprint(Robust) != fingerprint(Capped) != fingerprint(MixedIn)


def test_fingerprints_see_intrinsics():
    source = (
        "def f(context, x):\n    return x(x), lambda context, builder, signature, arguments: "
        "arguments[NUMBER]"
    )

    def version(number):
        return cell("f(x)", f=numba.extending.intrinsic(define(source, NUMBER=number)["f"]))

    assert fingerprint(version(0)) == fingerprint(version(0))
    assert fingerprint(version(0)) != fingerprint(version(1))


def test_fingerprints_ignore_what_kernels_cannot_call():
    def version(title):
        scope = define(
            "class Cell(Huber):\n    def plot(self):\n        return title(self)",
            Huber=Huber,
            title=title,
        )
        return scope["Cell"]

    assert fingerprint(version(len)) == fingerprint(version(repr))
