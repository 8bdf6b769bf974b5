"""The losses: what one sample adds to the objective, as a function of its prediction.

Convention, for the whole package: the objective is

    F(w, b) = sum_i s_i loss(z_i, y_i) / sum_i s_i + alpha sum_j penalty(w_j),
    z_i = x_i . w + b (+ offset_i)

with weights s, predictions z (before any link) and targets y; the intercept b is never penalised. A
`derivative` is d loss / d prediction, so a step *subtracts* it; a `curvature` is the second
derivative (where the derivative has a kink: the value on one of its sides). Every loss of this
package has the infimum 0, and declares it. Where scikit-learn's SGDClassifier or SGDRegressor has
the loss too, the scaling and the choice of a subgradient are the same.

The methods run compiled and as plain Python. They use np.exp, never math.exp, divide by nothing
that can be 0, and prefer min and max to branches: such methods vectorise, and pass a NaN on, so
that divergence is seen (a comparison may not).
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np

from fastgd.losses.declared import check_declared
from fastgd.losses.domain import REALS, Interval
from fastgd.runtime.array_types import Floats
from fastgd.runtime.component import Component, python_only, required, shown
from fastgd.runtime.public import public


@public
class Loss(Component, family=True):
    """A loss of one prediction: a class with `value` and `derivative`, all else has defaults.

    Attributes
    ----------
    name : str
        What estimators call it; by default the class name in snake case.
    smooth : bool
        Whether the derivative is continuous.
    convex : bool
        Whether the value is convex in the prediction, for every target.
    curvature_bound : float
        The largest curvature (the Lipschitz constant of the derivative); inf if there is none.
        A fit tries what is declared on its own targets.
    self_concordance : float or None
        M with abs(third derivative) <= M * curvature everywhere; None if there is none or it is
        unknown.  Proofs rest on it: a fit tries what is declared on its own targets.
    infimum : float
        The largest lower bound of the value that holds for every target; -inf, as by default, where
        there is none or it is not known.  Proofs rest on it: a fit tries what is declared on its
        own targets.
    squared : bool
        Whether the value is (prediction - target)^2 / 2, the sums of which BLAS takes.
    classification : bool
        Whether the targets are the signs -1 and +1 of two classes.
    target_domain : Interval
        The targets that the loss accepts.
    online : bool
        Whether it stands for a rule that learns from one row at a time until none is wrong, as the
        perceptron's, and not for an objective whose minimum is looked for.
    passive_aggressive : bool
        Whether the learning rates "pa1" and "pa2" are meant for it: the derivative is -1 or 1
        wherever the value is above 0, so that value / |x|^2 is the step that a row asks for.
    estimates_dispersion : bool
        Whether, of a loss that is a likelihood, the targets' variance is known only up to a factor.
    scored_by_value : bool
        Whether searches go by the share of the value that a model explains, and not by R^2, which
        rewards predictions of the mean.

    Examples
    --------
    What members say of a row in plain Python; the guide on own components has one that is not here:

    >>> from fastgd import Huber
    >>> loss = Huber(epsilon=1.0)
    >>> loss.value(3.0, 0.0), loss.derivative(3.0, 0.0), loss.curvature(3.0, 0.0)
    (2.5, 1.0, 0.0)
    >>> loss.convex, loss.curvature_bound, loss.infimum
    (True, 1.0, 0.0)
    """

    _facts = ("curvature_bound", "self_concordance", "infimum", "squared")
    smooth: ClassVar[bool] = True
    convex: ClassVar[bool] = True
    curvature_bound: ClassVar[float] = np.inf
    self_concordance: ClassVar[float | None] = None
    infimum: ClassVar[float] = -np.inf
    squared: ClassVar[bool] = False
    classification: ClassVar[bool] = False
    target_domain: ClassVar[Interval] = REALS
    online: ClassVar[bool] = False
    passive_aggressive: ClassVar[bool] = False
    estimates_dispersion: ClassVar[bool] = False
    scored_by_value: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        check_declared(cls)
        super().__init_subclass__(**keywords)

    @required
    def value(self, prediction: float, target: float) -> float:
        """Loss of one sample with weight 1.

        Parameters
        ----------
        prediction, target : float

        Returns
        -------
        float
        """
        raise NotImplementedError

    @required
    def derivative(self, prediction: float, target: float) -> float:
        """Derivative of the value with respect to the prediction.

        Parameters
        ----------
        prediction, target : float

        Returns
        -------
        float
            Where there is none, any subgradient.
        """
        raise NotImplementedError

    def curvature(self, prediction: float, target: float) -> float:
        """Second derivative; by default the central difference of `derivative` (about ten
        digits).

        Parameters
        ----------
        prediction, target : float

        Returns
        -------
        float
        """
        # The cube root of the rounding error balances both errors.
        step = 6e-6 * max(1.0, abs(prediction))
        after = self.derivative(prediction + step, target)
        before = self.derivative(prediction - step, target)
        return (after - before) / (2.0 * step)

    def step_curvature(self, prediction: float, target: float) -> float:
        """Curvature that Newton steps are taken with, at least 0; by default `curvature`.

        A loss that is not convex may give the mean of its curvature over the targets that the
        prediction expects (Fisher's), which is never negative.

        Parameters
        ----------
        prediction, target : float

        Returns
        -------
        float
        """
        return self.curvature(prediction, target)

    @python_only
    def mean(self, predictions: Floats) -> Floats:
        """What predictions stand for on the scale of the targets: what `GDRegressor.predict`
        returns. By default the predictions themselves.

        Where a class defines it and declares its `infimum`, `score` is the share of the deviance
        that is explained, the deviance being the value of the loss less that; R^2 else.

        Parameters
        ----------
        predictions : ndarray, of any shape
            Not to be written over.

        Returns
        -------
        ndarray, of the same shape
        """
        return predictions

    @python_only
    def log_likelihood(
        self, predictions: Floats, targets: Floats, weights: Floats, dispersion: Any
    ) -> float:
        """Sum of weight * log-likelihood of the targets, for a class whose value is minus a
        log-likelihood times the dispersion, up to what does not depend on the prediction.

        Parameters
        ----------
        predictions, targets, weights : ndarray, (n_samples,)
        dispersion : float or ndarray, (n_samples,)
            One of each row only for a class that `estimates_dispersion`, where weights say how
            precise targets are.

        Returns
        -------
        float
        """
        raise NotImplementedError

    @python_only
    def probability(self, predictions: Floats) -> Floats:
        """Probability of the class +1: what a class that defines it gives to `predict_proba`.

        Parameters
        ----------
        predictions : ndarray, of any shape
            Not to be written over.

        Returns
        -------
        ndarray, of the same shape
        """
        raise NotImplementedError

    @python_only
    def of_all_classes(self, n_classes: int) -> VectorLoss | None:
        """The loss of so many classes at once that a classifier takes for more than two, for a
        class that defines it; what derives from that class may be another loss, and defines its
        own.

        Parameters
        ----------
        n_classes : int

        Returns
        -------
        VectorLoss or None
        """
        return None


@public
class VectorLoss(Component, family=True):
    """A loss of K predictions, for example of one score per class: `value` and `derivatives`, all
    else has defaults.

    The target is a row of numbers, (n_targets,) float: a class index, or several values to be
    predicted at once.

    Attributes
    ----------
    name, smooth, convex, infimum, classification, target_domain : object
        As those of `Loss`.
    curvature_bound : float
        Bound of the largest eigenvalue of the (K, K) second derivative H; tried as that of `Loss`.
    self_concordance : float or None
        M with abs(third derivative along u, v, v) <= M max_k abs(u_k) v'Hv for all directions u and
        v (squared 0, softmax 2).
    shift_invariant : bool
        Whether the same number added to all K predictions changes nothing: models are then told
        with intercepts that sum to 0.
    separable : bool
        Whether the value is a sum of one function of each prediction; tried, too.
    n_classes : float
        K, where the loss knows it without the targets; else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import Multinomial
    >>> loss, derivatives = Multinomial(3), np.empty(3)
    >>> loss.derivatives(np.zeros(3), np.array([2.0]), derivatives)
    >>> derivatives.round(3)
    array([ 0.333,  0.333, -0.667])
    """

    smooth: ClassVar[bool] = True
    convex: ClassVar[bool] = True
    curvature_bound: ClassVar[float] = np.inf
    self_concordance: ClassVar[float | None] = None
    infimum: ClassVar[float] = -np.inf
    classification: ClassVar[bool] = False
    target_domain: ClassVar[Interval] = REALS
    online: ClassVar[bool] = False
    passive_aggressive: ClassVar[bool] = False
    scored_by_value: ClassVar[bool] = False
    shift_invariant: ClassVar[bool] = False
    separable: ClassVar[bool] = False
    n_classes: ClassVar[float] = 0.0
    _classes_told: ClassVar[int | None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        check_declared(cls)
        super().__init_subclass__(**keywords)

    @required
    def value(self, predictions: Floats, target: Floats) -> float:
        """Loss of one sample with weight 1.

        Parameters
        ----------
        predictions : ndarray, (K,)
        target : ndarray, (n_targets,)

        Returns
        -------
        float
        """
        raise NotImplementedError

    @required
    def derivatives(self, predictions: Floats, target: Floats, out: Floats) -> None:
        """Write the derivatives of the value with respect to the predictions to `out`.

        Parameters
        ----------
        predictions : ndarray, (K,)
        target : ndarray, (n_targets,)
        out : ndarray, (K,)
            Written over.
        """

    def value_and_derivatives(self, predictions: Floats, target: Floats, out: Floats) -> float:
        """The value, with the derivatives written to `out`: what passes call, for losses whose two
        share most of their work.

        Parameters
        ----------
        predictions : ndarray, (K,)
        target : ndarray, (n_targets,)
        out : ndarray, (K,)
            Written over.

        Returns
        -------
        float
        """
        self.derivatives(predictions, target, out)
        return self.value(predictions, target)

    def curvature_product(
        self, predictions: Floats, target: Floats, direction: Floats, out: Floats
    ) -> None:
        """Write H @ direction to `out`, H the (K, K) second derivative; by default a central
        difference.

        Parameters
        ----------
        predictions, direction : ndarray, (K,)
        target : ndarray, (n_targets,)
        out : ndarray, (K,)
            Written over; it is none of the others.
        """
        moved, before = np.empty(predictions.size), np.empty(predictions.size)
        largest, longest = 1.0, 1e-100
        for k in range(predictions.size):  # loops: array expressions take 3 s more to compile
            largest, longest = max(largest, abs(predictions[k])), max(longest, abs(direction[k]))
        step = 6e-6 * largest / longest
        for k in range(predictions.size):
            moved[k] = predictions[k] - step * direction[k]
        self.derivatives(moved, target, before)
        for k in range(predictions.size):
            moved[k] = predictions[k] + step * direction[k]
        self.derivatives(moved, target, out)
        for k in range(predictions.size):
            out[k] = (out[k] - before[k]) / (2.0 * step)

    def curvature_diagonal(self, predictions: Floats, target: Floats, out: Floats) -> None:
        """Write the diagonal of H to `out`; by default from K products, for losses that do not have
        it at once.

        Parameters
        ----------
        predictions : ndarray, (K,)
        target : ndarray, (n_targets,)
        out : ndarray, (K,)
            Written over.
        """
        along, product = np.zeros(predictions.size), np.empty(predictions.size)
        for k in range(predictions.size):
            along[k] = 1.0
            self.curvature_product(predictions, target, along, product)
            along[k] = 0.0
            out[k] = product[k]

    @python_only
    def mean(self, predictions: Floats) -> Floats:
        """What predictions stand for on the scale of the targets; by default the predictions
        themselves.  As that of `Loss`.

        Parameters
        ----------
        predictions : ndarray, (n_samples, K)
            Not to be written over.

        Returns
        -------
        ndarray, (n_samples, K)
        """
        return predictions

    @python_only
    def summed_curvature(
        self, predictions: Floats, targets: Floats, weights: Floats
    ) -> Floats | None:
        """Sum of weight * H over rows, for a class that has it at less than the K products with H
        of each row that are taken where this is None, as by default.

        Parameters
        ----------
        predictions : ndarray, (n_samples, K)
        targets : ndarray, (n_samples, n_targets)
        weights : ndarray, (n_samples,)

        Returns
        -------
        ndarray, (K, K), or None
        """

    @python_only
    def best_shifts(self, shares: Floats) -> Floats | None:
        """Predictions that are best where the rows have nothing but their targets, the numbers of K
        classes; None, as by default, for a class that does not know them.

        Parameters
        ----------
        shares : ndarray, (K,)
            Of each class in the weights, none of them 0.

        Returns
        -------
        ndarray, (K,), or None
        """

    @python_only
    def curvature_root(self, predictions: Floats) -> Floats | None:
        """Vectors r with H + r r' diagonal in each row, for a class whose H is of this kind; None,
        as by default, for others.

        Parameters
        ----------
        predictions : ndarray, (n_samples, K)

        Returns
        -------
        ndarray, (n_samples, K), or None
        """

    @python_only
    def n_predictions(self, targets: Floats) -> int:
        """Return K, the number of predictions that targets ask for; by default n_targets.

        Parameters
        ----------
        targets : ndarray, (n_samples, n_targets)

        Returns
        -------
        int
        """
        return int(np.shape(targets)[1])

    @python_only
    def log_likelihood(
        self, predictions: Floats, targets: Floats, weights: Floats, dispersion: Any
    ) -> float:
        """As that of `Loss`."""
        raise NotImplementedError

    @python_only
    def probability(self, predictions: Floats) -> Floats:
        """Probability of each class, for a loss that defines it.

        Parameters
        ----------
        predictions : ndarray, (n_samples, K)
            Not to be written over.

        Returns
        -------
        ndarray, (n_samples, K)
        """
        raise NotImplementedError

    @python_only
    def log_probability(self, predictions: Floats) -> Floats:
        """Its logarithm, -inf where the probability is 0 in floats."""
        with np.errstate(divide="ignore"):
            return np.log(self.probability(predictions))

    @python_only
    def of_all_classes(self, n_classes: int) -> VectorLoss:
        """The loss itself, told how many classes there are: `n_predictions` is then asked about
        targets of all of them, of which a chunk may lack some.
        """
        told = copy.copy(self)
        object.__setattr__(told, "_classes_told", n_classes)
        return told

    def __getstate__(self) -> dict[str, Any]:
        told = {} if self._classes_told is None else {"_classes_told": self._classes_told}
        return {**super().__getstate__(), **told}


def count_predictions(loss, targets):
    """The number of predictions that a loss of several has for these targets, or, where it was told
    how many classes there are, for targets of all of these.

    Examples
    --------
    >>> from fastgd import Multinomial
    >>> chunk = np.array([[0.0], [1.0]])
    >>> told = VectorLoss.of_all_classes(Multinomial(), 5)
    >>> count_predictions(Multinomial(), chunk), count_predictions(told, chunk)
    (2, 5)
    """
    n_classes = loss._classes_told
    seen = targets if n_classes is None else np.arange(n_classes, dtype=float)[:, None]
    return loss.n_predictions(seen)


def has_probabilities(loss) -> bool:
    """Whether a loss, a component or a name, says what probability a prediction stands for.

    Examples
    --------
    >>> has_probabilities("log_loss"), has_probabilities("hinge")
    (True, False)
    """
    cls = Loss.members().get(loss) if isinstance(loss, str) else type(loss)
    found = getattr(cls, "probability", None)
    return found not in (None, Loss.probability, VectorLoss.probability)


def has_all_classes(loss) -> bool:
    """Whether a loss of one prediction, a component or a name, says which loss of all classes a
    classifier is to take.

    Examples
    --------
    >>> has_all_classes("log_loss"), has_all_classes("hinge")
    (True, False)
    """
    return "of_all_classes" in vars(Loss.named(loss) if isinstance(loss, str) else type(loss))


def has_mean(loss):
    """Whether a loss component says what its predictions stand for.

    Examples
    --------
    >>> from fastgd.losses.regression import SquaredError
    >>> has_mean(SquaredError())
    False
    """
    return type(loss).mean not in (Loss.mean, VectorLoss.mean)


def has_log_likelihood(loss):
    """Whether a loss component is a likelihood.

    Examples
    --------
    >>> from fastgd.losses.regression import Huber, SquaredError
    >>> has_log_likelihood(SquaredError()), has_log_likelihood(Huber())
    (True, False)
    """
    return type(loss).log_likelihood not in (Loss.log_likelihood, VectorLoss.log_likelihood)


def steps_curve(loss):
    """Whether the curvature that Newton steps are taken with is never negative: that of convex
    losses, and of those that give one for steps.
    """
    if loss.convex or not isinstance(loss, Loss):
        return loss.convex
    return type(loss).step_curvature is not Loss.step_curvature


def typical_curvature(loss):
    """The curvature bound of a loss, or 1 where there is none: a unit for steps, not a promise."""
    return loss.curvature_bound if 0.0 < loss.curvature_bound < np.inf else 1.0


def takes_labels(kind):
    """Whether losses of a class take -1 and 1 as targets, as the labels of a classifier become,
    whatever their parameters are.

    Examples
    --------
    >>> from fastgd.losses.deviances import Poisson
    >>> from fastgd.losses.regression import Huber
    >>> takes_labels(Huber), takes_labels(Poisson)
    (True, False)
    """
    domain = kind.target_domain
    return isinstance(domain, Interval) and bool(domain.contains((-1.0, 1.0)).all())


def find_loss(loss, among=None, **fields):
    """Component of a loss given as a string or a component; `fields` are what a string's class
    takes of them, and `among` says of a class whether messages name it.
    """
    if isinstance(loss, Loss | VectorLoss):
        return loss
    if not isinstance(loss, str):
        function = callable(loss) and not isinstance(loss, type)
        own = "; write a class with value and derivative, derived from Loss" if function else ""
        raise ValueError(
            f"loss must be a string or a Loss or VectorLoss component, got {shown(loss)}{own}"
        )
    found = Loss.named(loss, among)
    return found(**{name: value for name, value in fields.items() if name in found.__annotations__})
