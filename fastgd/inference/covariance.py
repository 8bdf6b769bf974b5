"""Covariance of the coefficients of a fitted model: from its curvature, or from its residuals.

With H the second derivative of the sum over the rows of weight * loss + alpha * penalty at the
model, and J that without the penalty,

    "model"    phi H^-1 J H^-1, for a loss that is minus a log-likelihood: phi is its dispersion;
    "HC0"      H^-1 M H^-1, M = sum_i s_i g_i^2 x_i x_i', g_i the derivative of row i's loss;
    "HC1"      the same times N / (N - p);
    "cluster"  with M = sum over clusters of u u', u = sum of s_i g_i x_i over the rows of one,
               times G / (G - 1) (N - 1) / (N - p), G being the number of clusters.

N is the number of observations, and p = trace(H^-1 J) that of coefficients, or fewer where a
penalty holds them. With an L2 penalty these are covariances about the expectation of the penalised
estimate, not about what an estimate without a penalty would be.

Weights that are "counts" make a row of weight k as good as k rows: N is their sum. Where they say
with which "precision" a row is known, its variance being 1 / s_i of the family's, as exposures and
trials do, N is the number of rows that have a weight, and M = sum_i s_i^2 g_i^2 x_i x_i'. The first
are statsmodels' freq_weights, the others its var_weights.

Where the mean of the targets is a function of the prediction, "model" takes H and J at the expected
targets (Fisher's information), as statistics packages do; the others take the second derivative.

References
----------
White (1980), "A heteroskedasticity-consistent covariance matrix estimator and a direct test for
heteroskedasticity", Econometrica 48, equation 3 (HC0).  MacKinnon and White (1985), Journal of
Econometrics 29, equation 7 (HC1).  Liang and Zeger (1986), "Longitudinal data analysis using
generalized linear models", Biometrika 73, equation 5 (clusters).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastgd.certificates.rounding import column_sizes, gradient_rounding, prediction_size
from fastgd.losses.base import has_log_likelihood, has_mean
from fastgd.objective.linear_map import LinearMap

KINDS = ("model", "HC0", "HC1", "cluster")
READINGS = ("counts", "precision")
# A scaled matrix with a smaller pivot, or singular value, has columns that are copies of others but
# for rounding: (condition number)^-2 of the columns.
SINGULAR = 1e-13
# What the trace p is rounded by where the condition number is 1e10: of six rows and as many columns
# N - p was 5e-13, by which residuals of 1e-14 were divided.
TRACE_ROUNDING = 1e-6
# A solver ends within so many roundings of the gradient: least squares of residuals that are 0 had
# a step of 3 of them, which is 10 standard errors.
ROUNDINGS_AT_END = 10.0


@dataclass(frozen=True)
class RowTerms:
    """What the rows say at a model; the weights are the user's.

    Attributes
    ----------
    weights, derivatives, curvatures : ndarray, (n_samples,)
        Weight, weight * derivative and weight * curvature of each row's loss.
    predictions : ndarray, (n_samples,)
        With intercept and offset.
    loss : float
        Sum of weight * loss.
    """

    weights: np.ndarray
    derivatives: np.ndarray
    curvatures: np.ndarray
    predictions: np.ndarray
    loss: float

    def squares(self, reading):
        """Weight * derivative^2 of each row, (n_samples,), or its square: what a row adds to M."""
        if reading == "precision":
            return self.derivatives**2
        some = self.weights > 0.0
        return np.divide(self.derivatives**2, self.weights, where=some, out=0.0 * self.weights)


class Covariance(NamedTuple):
    """Covariance of the coefficients and what it is made of.

    Attributes
    ----------
    matrix : ndarray, (size, size)
        Of the coefficients and the intercept as the user sees them.
    rows : RowTerms
    n_observations, n_effective : float
        N and p of the formulas above.
    dispersion : float
        phi, NaN where the loss is no likelihood.
    from_optimum : float
        As `from_optimum` says.
    """

    matrix: np.ndarray
    rows: RowTerms
    n_observations: float
    n_effective: float
    dispersion: float
    from_optimum: float


def covariance_of(
    objective, coef, intercept, total, covariance_type="model", clusters=None, reading="counts"
):
    """`Covariance` at a model: the formulas above.

    Parameters
    ----------
    objective : Objective
        Of one prediction, a loss with a derivative and no L1 part.
    coef, intercept : ndarray, (n_features,), and float
        As the user sees them.
    total : float
        Sum of the user's weights.
    covariance_type : {"model", "HC0", "HC1", "cluster"}
    clusters : ndarray, (n_samples,), optional
    reading : {"counts", "precision"}
        Of the weights.

    Raises
    ------
    ValueError
        Where columns are combinations of others, or coefficients as many as observations.
    """
    F = objective
    likelihood = has_log_likelihood(F.loss)
    v = np.r_[coef, F.rows.own_intercept(coef, intercept)] if F.fit_intercept else coef
    rows = at_model(F, v, total)
    expected = rows
    if likelihood and has_mean(F.loss):
        expected = at_model(F, v, total, F.loss.mean(rows.predictions))
    used = expected
    if covariance_type != "model":
        used = rows if F.loss.convex else with_second_derivatives(F, rows, total)
    information = matrix_of(F, used.curvatures)
    outer = inverse(penalised(F, information, total), F.loss.convex or used is expected)
    n_effective = float(np.sum(outer * information.T))
    n = observations(F, total, n_effective, reading)
    dispersion = np.nan
    if likelihood:
        dispersion = _dispersion(F.loss, rows, expected, n - n_effective)
    if covariance_type == "model":
        middle = dispersion * information
    else:
        middle = _meat(F, rows, covariance_type, clusters, reading)
        middle *= correction(covariance_type, clusters, n, n_effective)
    change = as_given(F)
    matrix = change @ outer @ middle @ outer @ change.T
    off = from_optimum(F, v, total * change @ outer, matrix)
    return Covariance(matrix, rows, n, n_effective, dispersion, off)


def from_optimum(objective, v, step, matrix):
    """How far a model is from the optimum: the most standard errors that one Newton step moves a
    coefficient. What may be rounding is no move.

    Parameters
    ----------
    objective : Objective
    v : ndarray, (size,)
    step : ndarray, (size, size)
        The matrix by which the gradient of F becomes the step of the coefficients.
    matrix : ndarray, (size, size)
        Their covariance.
    """
    F = objective
    F.know_null_model()  # the unit of curvatures, which roundings are told in, asks for it
    value, gradient = F.value_and_gradient(v)
    rounding = gradient_rounding(F, value, prediction_size(F, v))
    sizes = np.repeat(column_sizes(F), F.n_predictions)
    moves = np.abs(step @ gradient) - ROUNDINGS_AT_END * rounding * (np.abs(step) @ sizes)
    errors = np.sqrt(np.diag(matrix))
    shares = np.divide(moves, errors, where=errors > 0.0, out=np.zeros(errors.size))
    return max(float(shares.max()), 0.0)


def observations(objective, total, n_effective, reading):
    """N of the formulas above; ValueError where it is no more than `n_effective`, but for its
    rounding.
    """
    n = total if reading == "counts" else float(objective.n_active)
    if n - n_effective > TRACE_ROUNDING * n_effective:
        return n
    hint = ""
    if n < objective.n_active:
        hint = (
            ": weights are read as counts, and this is their sum; weights='precision' reads them "
            f"as the precision of {objective.n_active:.0f} rows"
        )
    raise ValueError(
        f"standard errors need more observations than coefficients, got {n:g} and "
        f"{n_effective:g}{hint}"
    )


def at_model(objective, v, total, targets=None):
    """`RowTerms` at the unknowns `v`; with `targets` of these instead of the user's.

    `total` is the sum of the user's weights, which the objective has divided by their mean.
    """
    F = objective
    if targets is not None:
        F = F.derived(samples=F.samples.with_targets(targets))
    coef, intercept = F.split(v)
    linear_map = LinearMap(F)
    products = linear_map.matvec(np.ascontiguousarray(coef))
    derivatives, curvatures = np.zeros(F.n_samples), np.zeros(F.n_samples)
    loss = linear_map.fill(products, intercept, derivatives, curvatures)
    share = total / F.n_active
    weights = share * np.broadcast_to(F.samples.weights, F.n_samples)
    predictions = products + intercept + F.samples.offsets
    return RowTerms(weights, share * derivatives, share * curvatures, predictions, total * loss)


def with_second_derivatives(objective, rows, total):
    """`rows` of a loss that is not convex with curvatures of either sign: passes read one below 0
    as 0, and such a loss may give Fisher's to them.
    """
    F = objective
    linear_map, bare = LinearMap(F), rows.predictions - F.samples.offsets
    # Central differences, as `Loss.curvature`'s: ten digits.
    steps = 6e-6 * np.maximum(1.0, np.abs(rows.predictions))
    before, after, unused = np.zeros((3, F.n_samples))
    linear_map.fill(bare - steps, 0.0, before, unused)
    linear_map.fill(bare + steps, 0.0, after, unused)
    return replace(rows, curvatures=total / F.n_active * (after - before) / (2.0 * steps))


def matrix_of(objective, row_weights):
    """Sum of row_weights[i] (x_i, 1)(x_i, 1)', (size, size), without a penalty."""
    F = objective
    bare = F.derived(alpha=0.0)
    matrix = F.n_active * bare.gram(np.maximum(row_weights, 0.0))
    below = np.maximum(-row_weights, 0.0)
    return matrix - F.n_active * bare.gram(below) if below.any() else matrix


def penalised(objective, matrix, total):
    """`matrix` plus the second derivative of `total` times the penalty."""
    matrix, own = matrix.copy(), of_penalty(objective)
    matrix[: len(own), : len(own)] += total * own
    return matrix


def of_penalty(objective):
    """The second derivative of a quadratic penalty, (d K, d K)."""
    size = objective.n_features * objective.n_predictions
    matrix = np.zeros((size, size))
    objective.term.add_curvature(matrix)
    return matrix


def inverse(matrix, convex=True):
    """Inverse of a positive definite matrix.

    Raises
    ------
    ValueError
        Where it is singular: columns that are combinations of others; or, where the loss is not
        `convex`, a model that is no minimum.
    """
    diagonal = np.diag(matrix)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    scaled = matrix * np.outer(scale, scale)
    try:
        factor = scipy.linalg.cholesky(scaled, lower=True)
        regular = bool((diagonal > 0.0).all()) and np.diag(factor).min() ** 2 > SINGULAR
    except np.linalg.LinAlgError:
        regular = False
    if not regular and not convex:
        raise ValueError(
            "the second derivative at this model is not positive definite: it is no minimum, or "
            "columns of X are linearly dependent; fit with a smaller tol, or alpha > 0, or take "
            "covariance='model'"
        )
    if not regular:
        raise ValueError(
            "the columns of X are linearly dependent at this model, so its coefficients have no "
            "standard errors; leave such columns out, or fit with alpha > 0"
        )
    return scipy.linalg.cho_solve((factor, True), np.diag(scale)) * scale[:, None]


def scores_of_clusters(objective, derivatives, clusters):
    """Sums of weight * derivative * (x_i, 1) over the rows of each cluster, (n_clusters, size)."""
    F = objective
    _, index = np.unique(clusters, return_inverse=True)
    shape = int(index.max()) + 1, F.n_samples
    gather = sp.csr_array((derivatives, (index, np.arange(F.n_samples))), shape=shape)
    X = F.rows.part(slice(None))
    sums = gather @ X
    sums = sums.toarray() if sp.issparse(sums) else np.asarray(sums)
    totals = np.bincount(index, weights=derivatives)
    return np.column_stack([sums, totals]) if F.fit_intercept else sums


def _meat(objective, rows, covariance_type, clusters, reading):
    """M of the formulas above, (size, size)."""
    if covariance_type == "cluster":
        sums = scores_of_clusters(objective, rows.derivatives, clusters)
        return sums.T @ sums
    return matrix_of(objective, rows.squares(reading))


def correction(covariance_type, clusters, n, n_effective):
    """What M is multiplied by: 1 for HC0."""
    if covariance_type == "cluster":
        groups = np.unique(clusters).size
        return groups / (groups - 1.0) * (n - 1.0) / (n - n_effective)
    return n / (n - n_effective) if covariance_type == "HC1" else 1.0


def _dispersion(loss, rows, expected, n_free):
    """Pearson's estimate, or 1 where the likelihood has no dispersion.

    (target - mean)^2 / variance is derivative^2 / expected curvature for every exponential family,
    whatever the link.
    """
    if not loss.estimates_dispersion:
        return 1.0
    some = expected.curvatures > 0.0
    return float(np.sum(rows.derivatives[some] ** 2 / expected.curvatures[some])) / n_free


def as_given(objective):
    """The change from the unknowns to the coefficients and the intercept as the user sees them,
    where columns far from 0 were read as distances from their means: for one prediction.
    """
    F = objective
    change = np.eye(F.n_features + F.fit_intercept)
    if F.fit_intercept:
        change[-1, :-1] = [F.rows.user_intercept(one, 0.0) for one in np.eye(F.n_features)]
    return change
