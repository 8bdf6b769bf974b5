"""Two families, their members, kernels of them, and members made as a notebook makes them: for
tests of the bridge.
"""

import textwrap
from typing import ClassVar

import numpy as np

from fastgd.runtime.component import Component, python_only, required
from fastgd.runtime.jit import kernel

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
def derivatives(curve, x, out):
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
