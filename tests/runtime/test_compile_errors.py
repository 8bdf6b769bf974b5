"""What cannot be compiled in a user's method is told in one line: class, method, line, instead."""

import numba
import numpy as np
import pytest
from scipy import special
from scipy.special import xlogy

from fastgd import GDRegressor, Loss
from fastgd.runtime.jit import kernel

pytestmark = pytest.mark.jit
FACTORS = {"half": 0.5}


def half(number):
    return 0.5 * number


def at_zero():
    @kernel
    def value(loss, target):
        return loss.value(0.0, target)

    return value


def loss_of(value):
    return type(
        "Mine", (Loss,), {"value": value, "derivative": lambda self, z, y: z - y}, abstract=True
    )()


def catches(self, z, y):
    try:
        return 0.5 * (z - y) ** 2
    except ValueError:
        return 0.0


def keeps_the_error(self, z, y):
    try:
        return 0.5 * (z - y) ** 2
    except Exception as error:
        return str(error)


def raises_from(self, z, y):
    if z != z:
        raise ValueError("no number") from None
    return 0.5 * (z - y) ** 2


@numba.njit
def imported(r):
    import math

    return math.pow(r, 2)


def calls_what_imports(self, z, y):
    return imported(z - y)


def formats(self, z, y):
    if z != z:
        raise ValueError(f"{z:.3f}")
    return 0.5 * (z - y) ** 2


def imports(self, z, y):
    import math

    return math.pow(z - y, 2)


def changes_a_global(self, z, y):
    global FACTORS
    FACTORS = z
    return z - y


def deletes(self, z, y):
    r = z - y
    del z
    return r


def has_a_context(self, z, y):
    with np.errstate(all="ignore"):
        return 0.5 * (z - y) ** 2


def changes_kind(self, z, y):
    kind = "text" if z > 1e9 else z
    return 0.5 * (z - y) ** 2 * (kind == z)


def calls_a_method(self, z, y):
    return special.gammaln(2.0) + z


# Numba's own, from Python 3.13 on, where it meets a generator.
@pytest.mark.filterwarnings("ignore:Assigning a code object:DeprecationWarning")
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            lambda self, z, y: xlogy(z, y),
            r"xlogy \(numpy\.ufunc\) is not known to the compiler; use",
        ),
        (
            calls_a_method,
            r"`return special\.gammaln\(2\.0\) \+ z`\): scipy\.special\.gammaln is not",
        ),
        (
            lambda self, z, y: np.format_float_positional(z),
            r"numpy\.format_float_positional is not",
        ),
        (
            lambda self, z, y: half(z - y),
            r"half is a plain function; put @numba\.njit above it, or",
        ),
        (lambda self, z, y: FACTORS["half"] * z, r"FACTORS is a dict; use a number, a NumPy array"),
        (lambda self, z, y: z - self.width, r"self\.width is neither a field nor a constant; decl"),
        (
            lambda self, z, y: max(k * z for k in (0.1, 2.0)),
            r"generator expression cannot be compi",
        ),
        (lambda self, z, y: Loss.curvature(self, z, y), r"Loss is a class; methods of self can be"),
        (catches, r"`except ValueError:`\): `except` of a kind of error cannot be compiled"),
        (keeps_the_error, r"`except` of a kind of error cannot be compiled"),
        # Numba names no line here, and the line of another function there.
        (
            raises_from,
            r"`def raises_from\(self, z, y\):`\): Numba says: Multiple argument raise is",
        ),
        (calls_what_imports, r"`import math`\): an import cannot be compiled"),
        (
            formats,
            r"`raise ValueError.*`\): a format in an f-string cannot be compiled; leave it out",
        ),
        (imports, r"`import math`\): an import cannot be compiled; write it above the class"),
        (changes_a_global, r"a method cannot change what is global; use a variable"),
        (deletes, r"`del z`\): `del` cannot be compiled; leave it out"),
        (has_a_context, r"`with np\.errstate.*`\): `with` cannot be compiled; leave it out"),
        (changes_kind, r"a variable or result is (str|float64) here and (str|float64) there"),
    ],
)
def test_one_line_says_what_and_where(value, words):
    with pytest.raises(ValueError, match=words) as caught:
        at_zero()(loss_of(value), 1.0)
    told = str(caught.value)
    assert told.startswith("Mine.value cannot be compiled (test_compile_errors.py, line ")
    assert "\n" not in told
    assert caught.value.__suppress_context__


def test_a_fit_tells_it_and_names_the_method_that_is_called():
    class Inner(Loss, abstract=True):
        def value(self, prediction, target):
            return self.inner(prediction - target)

        def inner(self, r):
            return half(r * r)

        def derivative(self, prediction, target):
            return prediction - target

    X = np.arange(6.0)[:, None]
    with pytest.raises(
        ValueError, match=r"^Inner\.inner cannot be compiled .* `return half\(r \* r\)`"
    ):
        GDRegressor(Inner()).fit(X, X[:, 0] + 1.0)


def test_other_errors_of_the_compiler_stay_as_they_are():
    with pytest.raises(numba.core.errors.TypingError):
        at_zero()(3.0, 1.0)
