"""A penalty on the coefficients of a feature for several targets, or classes, together."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.penalties.base import Penalty
from fastgd.penalties.row_term import RowTerm
from fastgd.penalties.term import ElasticTerm
from fastgd.penalties.weighted import Weighted, checked_weights
from fastgd.runtime.component import python_only
from fastgd.runtime.public import public


@public
class MultiTask(Penalty, abstract=True):
    """l1_ratio sum_j |w_j| + (1 - l1_ratio) / 2 sum_j |w_j|^2, w_j being the coefficients of
    feature j for all targets or classes: a feature is in all of their models, or in none.

    The penalty of scikit-learn's `MultiTaskElasticNet`, and with `l1_ratio=1` of `MultiTaskLasso`.
    `GDRegressor` then fits all columns of y as one model, whose loss is the sum over them;
    `GDClassifier` has it for the multinomial loss.  With one prediction it is an elastic net.

    Obozinski, Taskar and Jordan (2010), "Joint covariate selection and joint subspace selection for
    multiple classification problems", equation (3).

    Parameters
    ----------
    l1_ratio : float, default=1.0
        Share of the lengths, from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import GDRegressor
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> Y = X[:, [0, 0]] * [2.0, -1.0] + X[:, [1, 1]] * [0.0, 1.0]
    >>> model = GDRegressor(penalty=MultiTask(), alpha=0.3).fit(X, Y)
    >>> (model.coef_ != 0.0).tolist()
    [[True, True, False, False], [True, True, False, False]]
    """

    l1_ratio: float = 1.0

    name: ClassVar[str] = "multi_task"
    single: ClassVar[bool] = False
    joins: ClassVar[bool] = True

    def __post_init__(self):
        if not 0.0 <= self.l1_ratio <= 1.0:
            raise ValueError(f"MultiTask l1_ratio must lie between 0 and 1, got {self.l1_ratio}")

    def value(self, coefficient, j):
        """Of a coefficient that is alone in its row."""
        ratio = self.l1_ratio
        return ratio * abs(coefficient) + 0.5 * (1.0 - ratio) * coefficient * coefficient

    def derivative(self, coefficient, j):
        return self.l1_ratio * np.sign(coefficient) + (1.0 - self.l1_ratio) * coefficient

    @python_only
    def largest_alpha(self, gradient, gain):
        """The least alpha that keeps all rows at 0; without lengths as of an L2 penalty."""
        ratio = self.l1_ratio
        if ratio > 0.0:
            return float(np.linalg.norm(gradient, axis=1).max()) / ratio
        return float(np.square(gradient).sum()) / (2.0 * gain) if gain > 0.0 else 0.0

    @property
    def selects(self):
        """Rows leave 0 one after the other."""
        return self.l1_ratio > 0.0

    @python_only
    def term(self, alpha, n_predictions=1):
        """The `RowTerm` of this penalty, or an elastic net's where it is one."""
        l1, l2 = alpha * self.l1_ratio, alpha * (1.0 - self.l1_ratio)
        if n_predictions == 1 or l1 == 0.0:
            return ElasticTerm(l1, l2)
        return RowTerm(l1, l2, n_predictions)

    @python_only
    def weighed(self, penalty_weights):
        """Return it with weights of the features, as a `WeightedRows`."""
        weights = checked_weights(penalty_weights)
        held = np.isinf(weights)
        own = np.where(held, 0.0, weights)
        high = np.where(held, 0.0, np.inf)
        shares = self.l1_ratio * own, (1.0 - self.l1_ratio) * own
        return WeightedRows(*shares, -high, high, weights.size, 1)


class WeightedRows(Weighted, abstract=True):
    """l1_j |w_j| + l2_j / 2 |w_j|^2 of the rows, of which those between 0 and 0 are 0: what
    `penalty_weights` of the estimators make of `MultiTask`.
    """

    single: ClassVar[bool] = False
    joins: ClassVar[bool] = True

    def __repr__(self):
        return "MultiTask with penalty_weights"

    @python_only
    def largest_alpha(self, gradient, gain):
        """As of `MultiTask`, by the rows that are penalised and may move."""
        lengths = np.linalg.norm(gradient, axis=1)[:, None]
        return super().largest_alpha(-lengths, gain)

    @python_only
    def term(self, alpha, n_predictions=1):
        """The `RowTerm` of this penalty, or a `WeightedTerm` where it is one."""
        if n_predictions == 1 or alpha == 0.0 or not self.l1.any():
            return super().term(alpha, n_predictions)
        held = self.high == 0.0
        strengths = np.where(held, np.inf, alpha * self.l1)
        return RowTerm(strengths, alpha * self.l2, n_predictions)
