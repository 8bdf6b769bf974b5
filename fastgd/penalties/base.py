"""What a penalty is: a number for each coefficient, its derivative, its proximal step."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastgd.penalties.term import ElasticTerm, SeparableTerm
from fastgd.runtime.array_types import Floats
from fastgd.runtime.component import Component, python_only, required
from fastgd.runtime.public import public


@public
class Penalty(Component, family=True):
    """A penalty on one coefficient: a class with `value` and `derivative`; `prox` has a default.

    Attributes
    ----------
    name : str
        What estimators call it; by default the class name in snake case.
    smooth : bool
        Whether the derivative is continuous; if not, and by default, solvers take `prox` steps.
    convex : bool
        Whether the value is convex in the coefficient.
    shares : tuple of two floats or None
        (l1, l2) if the penalty is l1 * abs(w) + l2 * w^2 / 2, which has faster code; None for any
        other penalty.
    single : bool
        Whether it is the sum of `value` over the coefficients, which one after the other may have
        proximal steps.
    joins : bool
        Whether it is of the coefficients of a feature for several predictions: then several targets
        are one model.

    Examples
    --------
    A penalty with a weight for each feature:

    >>> import numpy as np
    >>> class WeightedL1(Penalty):
    ...     weights: np.ndarray
    ...
    ...     def value(self, coefficient, j):
    ...         return self.weights[j] * abs(coefficient)
    ...
    ...     def derivative(self, coefficient, j):
    ...         return self.weights[j] * np.sign(coefficient)
    ...
    ...     def prox(self, coefficient, j, rate):
    ...         excess = max(abs(coefficient) - rate * self.weights[j], 0.0)
    ...         return excess if coefficient > 0.0 else -excess
    >>> print(WeightedL1(np.array([1.0, 4.0])).prox(-3.0, 1, 0.5))
    -1.0
    """

    _of_estimators: ClassVar[dict[str, str]] = dict.fromkeys(
        ("alpha", "C", "lam", "lambda_", "strength", "weight"),
        "the strength is the estimator's alpha",
    )
    _facts = ("smooth", "shares")
    smooth: ClassVar[bool] = False
    convex: ClassVar[bool] = True
    shares: ClassVar[tuple[float, float] | None] = None
    single: ClassVar[bool] = True
    joins: ClassVar[bool] = False

    @required
    def value(self, coefficient: float, j: int) -> float:
        """Penalty of coefficient j, not multiplied by alpha; at least 0.

        Parameters
        ----------
        coefficient : float
        j : int

        Returns
        -------
        float
        """
        raise NotImplementedError

    @required
    def derivative(self, coefficient: float, j: int) -> float:
        """Derivative of the value.

        Parameters
        ----------
        coefficient : float
        j : int

        Returns
        -------
        float
            Where there is none, any subgradient.
        """
        raise NotImplementedError

    def prox(self, coefficient: float, j: int, rate: float) -> float:
        """Return the u that minimises rate * value(u) + (u - coefficient)^2 / 2.

        The default halves the way from 0 to the coefficient 60 times, by the sign of the
        derivative: slow, and right for every convex penalty that is least at 0.

        Parameters
        ----------
        coefficient : float
        j : int
        rate : float
            Above 0.

        Returns
        -------
        float
        """
        near, far = 0.0, 1.0  # as shares of the coefficient
        for _ in range(60):
            middle = 0.5 * (near + far)
            u = middle * coefficient
            uphill = (u - coefficient + rate * self.derivative(u, j)) * coefficient
            near, far = (near, middle) if uphill >= 0.0 else (middle, far)
        return far * coefficient if near > 0.0 else 0.0 * coefficient

    @python_only
    def check_columns(self, n_features: int) -> None:
        """Look at how many columns X has; by default any number will do.

        Parameters
        ----------
        n_features : int

        Raises
        ------
        ValueError
            Where this penalty is for another number.
        """

    @python_only
    def largest_alpha(self, gradient: Floats, gain: float) -> float | None:
        """The largest alpha of interest: with an L1 part the least that keeps the penalised
        coefficients where the `limit` has them; else one with which F falls by no more than `gain`,
        as under an L2 penalty it does by at most |g|^2 / (2 alpha).

        Parameters
        ----------
        gradient : ndarray, (d, K)
            Of the mean loss at the best model under the `limit`.
        gain : float

        Returns
        -------
        float or None
            None where it is not known.
        """
        if self.shares is None or not sum(self.shares) > 0.0:
            return None
        l1, l2 = self.shares
        if l1 > 0.0:
            return float(np.abs(gradient).max()) / l1
        return float(np.square(gradient).sum()) / (2.0 * gain * l2) if gain > 0.0 else 0.0

    @python_only
    def limit(self, n_features: int) -> tuple[Floats, Floats]:
        """Between which ends the coefficients of each feature are as alpha grows without end:
        those that are penalised are at 0, or the bound nearest to it.

        Parameters
        ----------
        n_features : int

        Returns
        -------
        low, high : ndarray, (d,)
        """
        high = np.full(n_features, np.inf if self.shares == (0.0, 0.0) else 0.0)
        return -high, high

    @python_only
    def weighed(self, penalty_weights: Any) -> Penalty | None:
        """Return this penalty with weights of the features, where it has a class for that.

        Parameters
        ----------
        penalty_weights : array-like, (n_features,)

        Returns
        -------
        Penalty or None
        """
        return None

    @property
    def selects(self) -> bool:
        """Whether coefficients leave 0 one after the other as alpha falls."""
        return self.shares is not None and self.shares[0] > 0.0

    @python_only
    def term(self, alpha: float, n_predictions: int = 1) -> Any:
        """Return the `Term` of this penalty with a strength, on the coefficients of all columns.

        Parameters
        ----------
        alpha : float
            At least 0.
        n_predictions : int
            K: the coefficients are (d K,), those of a column for all predictions in a row.

        Returns
        -------
        Term
        """
        shares = (0.0, 0.0) if alpha == 0.0 else self.shares
        if shares is None:
            return SeparableTerm(self, alpha, n_predictions)
        return ElasticTerm(alpha * shares[0], alpha * shares[1])
