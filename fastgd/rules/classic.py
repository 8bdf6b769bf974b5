"""Update rules: how much a gradient takes from a coefficient, and what happens to coefficients that no row touches.

A rule turns the gradient of the loss and the derivative of the penalty (the decay) into the number that is
*subtracted* from a coefficient. Its memory is `state`, `(slots, n_features)`. `j` is one index inside a kernel and
`slice(None)` in the full-batch solvers, which run the same methods on whole arrays as plain NumPy: one definition of
each rule serves every batch strategy.

Sparse rows touch few coefficients. Where `coasts` is True, `coast` says in closed form what `count` steps with a
zero loss gradient and an L2 penalty at a constant rate do, so that sparse data gets the dense result at sparse cost.
"""

from typing import ClassVar

import numpy as np

from fastgd.runtime.component import Component, required
from fastgd.runtime.jit import kernel


@kernel
def coast_linear(a, b, c, d, coefficient, velocity, count):
    """Apply [[a, b], [c, d]] `count` times to (coefficient, velocity); also the sum of the coefficients on the way.

    With P = M^(2^i) and Q = M + ... + M^(2^i), doubling is Q <- Q + P Q, P <- P P: log2(count) products, no powers.
    """
    if coefficient == 0.0 and velocity == 0.0:
        return 0.0, 0.0, 0.0  # most coefficients at first; and powers that overflow would make them NaN
    qa, qb, qc, qd = a, b, c, d
    total = 0.0
    while count > 0:
        if count & 1:
            total += qa * coefficient + qb * velocity
            coefficient, velocity = a * coefficient + b * velocity, c * coefficient + d * velocity
        count >>= 1
        if count > 0:
            ta, tb, tc, td = a * qa + b * qc, a * qb + b * qd, c * qa + d * qc, c * qb + d * qd
            qa, qb, qc, qd = qa + ta, qb + tb, qc + tc, qd + td
            a, b, c, d = a * a + b * c, b * (a + d), c * (a + d), d * d + b * c
    return coefficient, velocity, total


class Rule(Component, family=True):
    """Family of update rules; `Rule.named("adam")` finds one by its string.

    Attributes
    ----------
    slots : int
        Arrays of state that the rule keeps, one number per coefficient in each.
    coasts : bool
        Whether `coast` is exact for an L2 penalty at a constant rate.
    """

    slots: ClassVar[int] = 0
    coasts: ClassVar[bool] = False

    def begin(self, step):
        """Number or numbers that all coefficients share in update `step` (1, 2, ...), for example a bias correction."""
        return 1.0

    @required
    def step(self, state, j, gradient, decay, rate, scale):
        """Return what to subtract from coefficient `j`; updates `state[:, j]`.

        `gradient` is the derivative of the loss in coefficient `j`, `decay` that of the penalty, `scale` what `begin`
        returned.
        """

    def reach(self, state, j, rate, scale):
        """How far a lasting gradient of 1 moves coefficient `j` per step: the rate that a proximal step has to use."""
        return rate

    def decay(self, state, j, coefficient, alpha, rate):
        """Derivative of an L2 penalty of strength `alpha`, tempered where it would take the coefficient past zero."""
        return alpha * coefficient

    def coast(self, state, j, coefficient, alpha, rate, count):
        """Coefficient `j` after `count` steps without a loss gradient, and the sum of its `count` values on the way."""
        return coefficient, count * coefficient


class Gd(Rule):
    """Gradient descent: w <- w - rate * (gradient + decay)."""

    coasts: ClassVar[bool] = True

    def step(self, state, j, gradient, decay, rate, scale):
        return rate * (gradient + decay)

    def decay(self, state, j, coefficient, alpha, rate):
        return alpha * coefficient / np.maximum(1.0, alpha * rate)

    def coast(self, state, j, coefficient, alpha, rate, count):
        coefficient, _, total = coast_linear(max(0.0, 1.0 - rate * alpha), 0.0, 0.0, 0.0, coefficient, 0.0, count)
        return coefficient, total


class Momentum(Rule):
    """Heavy ball: v <- momentum * v + gradient + decay; w <- w - rate * v (Polyak, 1964)."""

    momentum: float = 0.9
    slots: ClassVar[int] = 1
    coasts: ClassVar[bool] = True

    def __post_init__(self):
        _require_fraction(self, "momentum")

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] = self.momentum * state[0, j] + (gradient + decay)
        return rate * state[0, j]

    def reach(self, state, j, rate, scale):
        return rate / (1.0 - self.momentum)

    def coast(self, state, j, coefficient, alpha, rate, count):
        coefficient, state[0, j], total = coast_linear(
            1.0 - rate * alpha, -rate * self.momentum, alpha, self.momentum, coefficient, state[0, j], count
        )
        return coefficient, total


class Nesterov(Rule):
    """Look-ahead momentum: v <- momentum * v + g; w <- w - rate * (g + momentum * v), g = gradient + decay.

    The coefficients are those of the look-ahead point, as in Sutskever et al. (2013), section 2, so that a row is
    read at one point only.
    """

    momentum: float = 0.9
    slots: ClassVar[int] = 1
    coasts: ClassVar[bool] = True

    def __post_init__(self):
        _require_fraction(self, "momentum")

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] = self.momentum * state[0, j] + (gradient + decay)
        return rate * (gradient + decay + self.momentum * state[0, j])

    def reach(self, state, j, rate, scale):
        return rate / (1.0 - self.momentum)

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


class Adagrad(Rule):
    """G <- G + gradient^2; w <- w - rate * (gradient + decay) / (sqrt(G) + epsilon) (Duchi, Hazan and Singer, 2011).

    The decay does not enter G, so that coefficients that no row touches shrink by a constant factor, which has a closed
    form. Where G is 0 nothing moves: their pseudo-inverse of G. Where G is tiny (a well-fitted row reached a rare
    column first) the decay ends at zero: 0.01 * 1e-4 / sqrt(G) above 2 would make it grow without end.
    """

    epsilon: float = 1e-8
    slots: ClassVar[int] = 1
    coasts: ClassVar[bool] = True

    def __post_init__(self):
        _require_positive(self, "epsilon")

    def step(self, state, j, gradient, decay, rate, scale):
        state[0, j] += gradient * gradient
        return rate * (gradient + decay) / (np.sqrt(state[0, j]) + self.epsilon) * (state[0, j] > 0.0)

    def reach(self, state, j, rate, scale):
        return rate / (np.sqrt(state[0, j]) + self.epsilon) * (state[0, j] > 0.0)

    def decay(self, state, j, coefficient, alpha, rate):
        return alpha * coefficient / np.maximum(1.0, alpha * rate / (np.sqrt(state[0, j]) + self.epsilon))

    def coast(self, state, j, coefficient, alpha, rate, count):
        if state[0, j] == 0.0:
            return coefficient, count * coefficient
        factor = max(0.0, 1.0 - rate * alpha / (np.sqrt(state[0, j]) + self.epsilon))
        coefficient, _, total = coast_linear(factor, 0.0, 0.0, 0.0, coefficient, 0.0, count)
        return coefficient, total


class Rmsprop(Rule):
    """E <- rho * E + (1 - rho) * g^2; w <- w - rate * g / (sqrt(E) + epsilon), g = gradient + decay.

    Tieleman and Hinton (2012), "Lecture 6.5: rmsprop".
    """

    rho: float = 0.9
    epsilon: float = 1e-8
    slots: ClassVar[int] = 1

    def __post_init__(self):
        _require_fraction(self, "rho")
        _require_positive(self, "epsilon")

    def step(self, state, j, gradient, decay, rate, scale):
        slope = gradient + decay
        state[0, j] = self.rho * state[0, j] + (1.0 - self.rho) * slope * slope
        return rate * slope / (np.sqrt(state[0, j]) + self.epsilon)

    def reach(self, state, j, rate, scale):
        return rate / (np.sqrt(state[0, j]) + self.epsilon)


class Adam(Rule):
    """Bias-corrected moments m, v of g = gradient + decay: w <- w - rate * m / (sqrt(v) + epsilon).

    Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots: ClassVar[int] = 2

    def __post_init__(self):
        _require_fraction(self, "beta1")
        _require_fraction(self, "beta2")
        _require_positive(self, "epsilon")

    def begin(self, step):
        return 1.0 / (1.0 - self.beta1**step), 1.0 / (1.0 - self.beta2**step)

    def step(self, state, j, gradient, decay, rate, scale):
        slope = gradient + decay
        state[0, j] = self.beta1 * state[0, j] + (1.0 - self.beta1) * slope
        state[1, j] = self.beta2 * state[1, j] + (1.0 - self.beta2) * slope * slope
        return rate * scale[0] * state[0, j] / (np.sqrt(scale[1] * state[1, j]) + self.epsilon)

    def reach(self, state, j, rate, scale):
        return rate / (np.sqrt(scale[1] * state[1, j]) + self.epsilon)


class Pace(Component, family=True):
    """Family of one-sample step lengths, for plain gradient descent with one row per step.

    `amount` is the multiple of the row that is subtracted from the coefficients.
    """

    def amount(self, rate, value, derivative, squared_norm):
        """Multiple of the row to subtract: from the scheduled rate, the row's loss and derivative, its squared norm."""
        return rate * derivative

    def uses_row(self):
        """Whether `amount` looks at the loss and the norm; when not, kernels compute neither."""
        return False


class Scheduled(Pace):
    """The rate of the schedule, nothing else."""


class Capped(Pace):
    """The scheduled rate, but never beyond where the row's own loss would vanish: value / (derivative^2 |x|^2).

    A Polyak step (Loizou et al., 2021, equation 5 with c = 1 and infimum 0): no rate, however large, makes one row
    explode. `intercept_rate` is what the intercept adds to the squared norm.
    """

    intercept_rate: float = 0.0

    def amount(self, rate, value, derivative, squared_norm):
        room = derivative * (squared_norm + self.intercept_rate)
        if rate * abs(derivative) * abs(room) > value:
            return value / room
        return rate * derivative

    def uses_row(self):
        return True


class Pa1(Pace):
    """Passive-aggressive I: min(rate, value / |x|^2) against the derivative's sign.

    Crammer et al. (2006), "Online passive-aggressive algorithms", equation 14.
    """

    def amount(self, rate, value, derivative, squared_norm):
        length = min(rate, value / max(squared_norm, 1e-300))
        return length * np.sign(derivative) * (squared_norm > 0.0)  # an empty row moves nothing, not even the intercept

    def uses_row(self):
        return True


class Pa2(Pace):
    """Passive-aggressive II: value / (|x|^2 + 1 / (2 rate)) against the derivative's sign.

    Crammer et al. (2006), "Online passive-aggressive algorithms", equation 15.
    """

    def amount(self, rate, value, derivative, squared_norm):
        return value / (squared_norm + 0.5 / rate) * np.sign(derivative)

    def uses_row(self):
        return True


def _require_fraction(rule, field):
    value = getattr(rule, field)
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{type(rule).__name__} {field} must be at least 0 and below 1, got {value}")


def _require_positive(rule, field):
    value = getattr(rule, field)
    if not 0.0 < value < np.inf:
        raise ValueError(f"{type(rule).__name__} {field} must be positive and finite, got {value}")
