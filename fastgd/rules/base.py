"""What an update rule is."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastgd.losses.exponentials import exp_of_minus
from fastgd.runtime.array_types import Floats
from fastgd.runtime.component import Component, python_only, required, shown
from fastgd.runtime.jit import callee
from fastgd.runtime.public import public

# Of so many steps without a gradient products are the shortest way.
FEW_STEPS = 8


@callee
def coast_linear(a, b, c, d, coefficient, velocity, count):
    """Apply [[a, b], [c, d]] `count` times to (coefficient, velocity); also the sum of the
    coefficients on the way.

    With P = M^(2^i) and Q = M + ... + M^(2^i), doubling is Q <- Q + P Q, P <- P P: log2(count)
    products, no powers.
    """
    if coefficient == 0.0 and velocity == 0.0:
        # As most coefficients at first, and powers that overflow would make them NaN.
        return 0.0, 0.0, 0.0
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


@callee
def coast_shrinking(shrink, coefficient, count):
    """Subtract `shrink` of the coefficient `count` times; also the sum of the coefficients on the
    way.

    (1 - s)^k in closed form: a fifth of the time of `coast_linear`, whose products wait for each
    other, for 1,000 steps. Products for a few steps, series where little is lost and arithmetic
    elsewhere take a third of the time of a logarithm and two exponentials of the library.

    Examples
    --------
    >>> coefficient, total = coast_shrinking(0.5, 1.0, 3)
    >>> round(float(coefficient), 9), round(float(total), 9)
    (0.125, 0.875)
    """
    if not 0.0 < shrink < 1.0:
        stays = 1.0 if shrink < 1.0 or count == 0 else 0.0
        return coefficient * stays, coefficient * count * stays
    s = shrink
    x = 0.0
    left = 1.0
    total = 0.0
    if count <= FEW_STEPS:
        for _ in range(count):
            left *= 1.0 - s
            total += left
        return coefficient * left, coefficient * total
    # x = -count log(1 - s)
    if s < 0.02:  # the first term left out is 5e-17 of it
        x = 1 / 6 + s * (1 / 7 + s * (1 / 8 + s / 9))
        x = 1.0 + s * (1 / 2 + s * (1 / 3 + s * (1 / 4 + s * (1 / 5 + s * x))))
        x *= count * s
    else:
        x = -count * np.log1p(-s)
    if x < 0.05:  # the first term left out is 1e-16 of what is lost
        lost = 1 / 720 - x * (1 / 5040 - x / 40320)
        lost = 1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x * lost)))
        lost = x * (1.0 - x * lost)
        left = 1.0 - lost
    else:
        left = exp_of_minus(x)
        lost = 1.0 - left
    return coefficient * left, coefficient * (1.0 - shrink) * (lost / shrink)


@public
class Rule(Component, family=True):
    """Family of update rules: a class with `step`, all else has defaults.

    Attributes
    ----------
    slots : int
        Arrays of state that the rule keeps, one number per coefficient in each.
    coasts : bool
        Whether `coast` is exact for an L2 penalty at a constant rate.
    plain : bool
        Whether it is gradient descent as it stands, which has kernels of its own.
    normalises : bool
        Whether steps do not grow with the gradients, so that rates are in units of the
        coefficients.
    accumulates : bool
        Whether it divides by a memory that gradients add to and that is never less: its steps fall
        by themselves, and a gradient of 0 does nothing.

    Examples
    --------
    >>> Rule.named("adam")
    <class 'fastgd.Adam'>
    >>> Rule.named("adam").slots, Rule.named("adagrad").accumulates
    (2, True)
    """

    _of_estimators: ClassVar[dict[str, str]] = dict.fromkeys(
        ("lr", "learning_rate", "rate", "eta0", "step_size", "alpha"),
        "the rate is the estimator's: learning_rate='constant', eta0={value!r}",
    )
    slots: ClassVar[int] = 0
    coasts: ClassVar[bool] = False
    plain: ClassVar[bool] = False
    normalises: ClassVar[bool] = False
    accumulates: ClassVar[bool] = False

    def begin(self, step: int) -> float | tuple[float, ...]:
        """Number or numbers that all coefficients share in an update, for example a bias
        correction.

        Parameters
        ----------
        step : int
            Of the update: 1, 2, ...

        Returns
        -------
        float or tuple of float
        """
        return 1.0

    @required
    def step(
        self, state: Floats, j: Any, gradient: float, decay: float, rate: float, scale: Any
    ) -> float:
        """What to subtract from a coefficient.

        Parameters
        ----------
        state : ndarray, (slots, n_features)
            The memory of all coefficients, of which `state[:, j]` is written over.
        j : int or slice
            The coefficient.
        gradient, decay : float
            Derivatives in it of the loss and of the penalty.
        rate : float
            The learning rate.
        scale : float or tuple of float
            What `begin` returned.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def reach(self, state: Floats, j: Any, rate: float, scale: Any) -> float:
        """How far a lasting gradient of 1 moves a coefficient per step: the rate that a proximal
        step has to use.

        Parameters
        ----------
        state, j, rate, scale
            As of `step`, which has been taken; `state` is not written over.

        Returns
        -------
        float
        """
        return rate

    def decay(self, state: Floats, j: Any, coefficient: float, alpha: float, rate: float) -> float:
        """Derivative of an L2 penalty; a rule whose `coast` stops at zero tempers it where it would
        take the coefficient past that.

        Parameters
        ----------
        state, j, rate
            As of `step`; `state` is not written over.
        coefficient : float
        alpha : float
            Strength of the penalty.

        Returns
        -------
        float
        """
        return alpha * coefficient

    def coast(
        self, state: Floats, j: Any, coefficient: float, alpha: float, rate: float, count: int
    ) -> tuple[float, float]:
        """A coefficient after some steps without a loss gradient, and the sum of its values on the
        way.

        Parameters
        ----------
        state, j, rate
            As of `step`; `state[:, j]` is written over.
        coefficient : float
        alpha : float
            Strength of an L2 penalty.
        count : int
            How many steps.

        Returns
        -------
        coefficient, total : float
        """
        return coefficient, count * coefficient

    @python_only
    def newest_share(self) -> float:
        """How much of a step the newest of lasting gradients is: 1 - momentum.

        Returns
        -------
        float
        """
        return 1.0

    @python_only
    def after(self, updates: int) -> Rule:
        """Return the rule that takes the place of this one in a run whose steps are to die out; by
        default this one.

        Parameters
        ----------
        updates : int
            Of the run so far.

        Returns
        -------
        Rule
        """
        return self


def find_rule(rule, momentum):
    """Component of an update rule given as a string or a component; `momentum` is for the rules
    that take one.
    """
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        raise ValueError(f"rule must be a string or a Rule component, got {shown(rule)}")
    found = Rule.named(rule)
    return found(momentum) if "momentum" in found.__annotations__ else found()
