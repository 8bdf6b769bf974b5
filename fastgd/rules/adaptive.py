"""Rules with a rate of its own for each coefficient."""

import dataclasses
from typing import ClassVar

import numpy as np

from fastgd.rules.base import Rule, coast_shrinking
from fastgd.runtime.component import python_only
from fastgd.runtime.in_words import require_fraction, require_positive
from fastgd.runtime.public import public


@public
class Adagrad(Rule):
    """G <- G + gradient^2; w <- w - rate * (gradient + decay) / (sqrt(G) + epsilon) (Duchi, Hazan
    and Singer, 2011).

    The decay does not enter G, so that coefficients that no row touches shrink by a constant
    factor, which has a closed form. Where G is 0 nothing moves: their pseudo-inverse of G. Where G
    is tiny (a well-fitted row reached a rare column first) the decay ends at zero: 0.01 * 1e-4 /
    sqrt(G) above 2 would make it grow without end. Of an L2 penalty on rows it is alpha w / max(1,
    alpha rate / (sqrt(G) + epsilon)) with G as it was before the row: beside the first gradient of
    a coefficient it is next to nothing.

    Parameters
    ----------
    epsilon : float, default=1e-8
        Added to the root; positive.

    Examples
    --------
    Steps of a coefficient whose gradient stays at 2:

    >>> import numpy as np
    >>> rule, state = Adagrad(), np.zeros((1, 1))
    >>> [round(float(rule.step(state, 0, 2.0, 0.0, 0.1, 1.0)), 3) for _ in range(3)]
    [0.1, 0.071, 0.058]
    """

    epsilon: float = 1e-8
    slots: ClassVar[int] = 1
    coasts: ClassVar[bool] = True
    normalises: ClassVar[bool] = True
    accumulates: ClassVar[bool] = True

    def __post_init__(self):
        require_positive(self, "epsilon")

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] += gradient * gradient
        return (
            rate * (gradient + decay) / (np.sqrt(state[0, j]) + self.epsilon) * (state[0, j] > 0.0)
        )

    def reach(self, state, j, rate, scale):
        return rate / (np.sqrt(state[0, j]) + self.epsilon) * (state[0, j] > 0.0)

    def decay(self, state, j, coefficient, alpha, rate):
        return (
            alpha
            * coefficient
            / np.maximum(1.0, alpha * rate / (np.sqrt(state[0, j]) + self.epsilon))
        )

    def coast(self, state, j, coefficient, alpha, rate, count):
        if state[0, j] == 0.0:
            return coefficient, count * coefficient
        shrink = rate * alpha / (np.sqrt(state[0, j]) + self.epsilon)
        return coast_shrinking(shrink, coefficient, count)


@public
class Rmsprop(Rule):
    """E <- rho * E + (1 - rho) * g^2; w <- w - rate * g / (sqrt(E) + epsilon), g = gradient +
    decay.

    Tieleman and Hinton (2012), "Lecture 6.5: rmsprop".

    Parameters
    ----------
    rho : float, default=0.9
        What E keeps in each update; at least 0 and below 1.
    epsilon : float, default=1e-8
        Added to the root; positive.

    Examples
    --------
    Steps of a coefficient whose gradient stays at 2:

    >>> import numpy as np
    >>> rule, state = Rmsprop(), np.zeros((1, 1))
    >>> [round(float(rule.step(state, 0, 2.0, 0.0, 0.1, 1.0)), 3) for _ in range(3)]
    [0.316, 0.229, 0.192]
    """

    rho: float = 0.9
    epsilon: float = 1e-8
    slots: ClassVar[int] = 1
    normalises: ClassVar[bool] = True

    def __post_init__(self):
        require_fraction(self, "rho")
        require_positive(self, "epsilon")

    def step(self, state, j, gradient, decay, rate, scale):
        derivative = gradient + decay
        state[0, j] = self.rho * state[0, j] + (1.0 - self.rho) * derivative * derivative
        return rate * derivative / (np.sqrt(state[0, j]) + self.epsilon)

    def reach(self, state, j, rate, scale):
        return rate / (np.sqrt(state[0, j]) + self.epsilon)

    @python_only
    def after(self, updates):
        # A short memory of squared gradients is correlated with the gradient and biases the fixed
        # point; Mukkamala and Hein (2017), theorem 4, need rho_t -> 1 as 1 - 1/t.
        return dataclasses.replace(self, rho=max(self.rho, 1.0 - 1.0 / max(updates, 2.0)))


@public
class Adam(Rule):
    """Bias-corrected moments m, v of g = gradient + decay: w <- w - rate * m / (sqrt(v) + epsilon).

    Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.

    Parameters
    ----------
    beta1, beta2 : float, default=0.9, 0.999
        What m and v keep in each update; at least 0 and below 1.
    epsilon : float, default=1e-8
        Added to the root; positive.

    Examples
    --------
    Steps of a coefficient whose gradient stays at 2:

    >>> import numpy as np
    >>> rule, state = Adam(), np.zeros((2, 1))
    >>> [round(float(rule.step(state, 0, 2.0, 0.0, 0.1, rule.begin(t))), 3) for t in (1, 2, 3)]
    [0.1, 0.1, 0.1]
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots: ClassVar[int] = 2
    normalises: ClassVar[bool] = True

    def __post_init__(self):
        require_fraction(self, "beta1")
        require_fraction(self, "beta2")
        require_positive(self, "epsilon")

    def begin(self, step):
        return 1.0 / (1.0 - self.beta1**step), 1.0 / (1.0 - self.beta2**step)

    def step(self, state, j, gradient, decay, rate, scale):
        derivative = gradient + decay
        state[0, j] = self.beta1 * state[0, j] + (1.0 - self.beta1) * derivative
        state[1, j] = self.beta2 * state[1, j] + (1.0 - self.beta2) * derivative * derivative
        return rate * scale[0] * state[0, j] / (np.sqrt(scale[1] * state[1, j]) + self.epsilon)

    def reach(self, state, j, rate, scale):
        return rate / (np.sqrt(scale[1] * state[1, j]) + self.epsilon)
