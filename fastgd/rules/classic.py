"""Update rules: how much a gradient takes from a coefficient, and what happens to coefficients that
no row touches.

A rule turns the gradient of the loss and the derivative of the penalty (the decay) into the number
that is *subtracted* from a coefficient. Its memory is `state`, `(slots, n_features)`. `j` is one
index inside a kernel and `slice(None)` in the full-batch solvers, which run the same methods on
whole arrays as plain NumPy: one definition of each rule serves every batch strategy.

Sparse rows touch few coefficients. Where `coasts` is True, `coast` says in closed form what `count`
steps with a zero loss gradient and an L2 penalty at a constant rate do, so that sparse data gets
the dense result at sparse cost.
"""

from typing import ClassVar

import numpy as np

from fastgd.rules.base import Rule, coast_linear
from fastgd.runtime.component import python_only
from fastgd.runtime.in_words import require_fraction
from fastgd.runtime.public import public


@public
class Gd(Rule):
    """Gradient descent: w <- w - rate * (gradient + decay).

    Examples
    --------
    >>> import numpy as np
    >>> Gd().step(np.zeros((0, 1)), 0, 2.0, 0.5, 0.1, 1.0)
    0.25
    """

    coasts: ClassVar[bool] = True
    plain: ClassVar[bool] = True

    def step(self, state, j, gradient, decay, rate, scale):
        return rate * (gradient + decay)

    def decay(self, state, j, coefficient, alpha, rate):
        return alpha * coefficient / np.maximum(1.0, alpha * rate)

    def coast(self, state, j, coefficient, alpha, rate, count):
        coefficient, _, total = coast_linear(
            max(0.0, 1.0 - rate * alpha), 0.0, 0.0, 0.0, coefficient, 0.0, count
        )
        return coefficient, total


@public
class Momentum(Rule):
    """Heavy ball: v <- momentum * v + gradient + decay; w <- w - rate * v (Polyak, 1964).

    Parameters
    ----------
    momentum : float, default=0.9
        What v keeps in each update; at least 0 and below 1.

    Examples
    --------
    Steps of a coefficient whose gradient stays at 2:

    >>> import numpy as np
    >>> rule, state = Momentum(), np.zeros((1, 1))
    >>> [round(float(rule.step(state, 0, 2.0, 0.0, 0.1, 1.0)), 3) for _ in range(3)]
    [0.2, 0.38, 0.542]
    """

    momentum: float = 0.9
    slots: ClassVar[int] = 1
    coasts: ClassVar[bool] = True

    def __post_init__(self):
        require_fraction(self, "momentum")

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] = self.momentum * state[0, j] + (gradient + decay)
        return rate * state[0, j]

    def reach(self, state, j, rate, scale):
        return rate / (1.0 - self.momentum)

    @python_only
    def newest_share(self) -> float:
        return 1.0 - self.momentum

    def coast(self, state, j, coefficient, alpha, rate, count):
        coefficient, state[0, j], total = coast_linear(
            1.0 - rate * alpha,
            -rate * self.momentum,
            alpha,
            self.momentum,
            coefficient,
            state[0, j],
            count,
        )
        return coefficient, total


@public
class Nesterov(Rule):
    """Look-ahead momentum: v <- momentum * v + g; w <- w - rate * (g + momentum * v), g = gradient
    + decay.

    The coefficients are those of the look-ahead point, as in Sutskever et al. (2013), section 2, so
    that a row is read at one point only.

    Parameters
    ----------
    momentum : float, default=0.9
        What v keeps in each update; at least 0 and below 1.

    Examples
    --------
    Steps of a coefficient whose gradient stays at 2:

    >>> import numpy as np
    >>> rule, state = Nesterov(), np.zeros((1, 1))
    >>> [round(float(rule.step(state, 0, 2.0, 0.0, 0.1, 1.0)), 3) for _ in range(3)]
    [0.38, 0.542, 0.688]
    """

    momentum: float = 0.9
    slots: ClassVar[int] = 1
    coasts: ClassVar[bool] = True

    def __post_init__(self):
        require_fraction(self, "momentum")

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] = self.momentum * state[0, j] + (gradient + decay)
        return rate * (gradient + decay + self.momentum * state[0, j])

    def reach(self, state, j, rate, scale):
        return rate / (1.0 - self.momentum)

    @python_only
    def newest_share(self) -> float:
        return 1.0 - self.momentum

    def coast(self, state, j, coefficient, alpha, rate, count):
        coefficient, state[0, j], total = coast_linear(
            1.0 - rate * alpha * (1.0 + self.momentum),
            -rate * self.momentum * self.momentum,
            alpha,
            self.momentum,
            coefficient,
            state[0, j],
            count,
        )
        return coefficient, total
