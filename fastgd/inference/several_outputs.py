"""The table of a model of several classes: as `fastgd.inference.covariance`, for K predictions.

The unknowns are a (d + 1, K) table, and H, J and M are matrices of its (d + 1) K entries. Where the
same number added to all predictions changes nothing, H has no inverse: the coefficients of the
classes sum to 0, and H is inverted among tables of which that is true,

    H^-1 = B (B' H B)^-1 B',    B = I x C,  C (K, K - 1) orthonormal, its columns summing to 0.

Differences of two classes then have the covariance that models with a class of reference give them.
"""

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastgd.data.tile_sizes import VALUES
from fastgd.inference import covariance
from fastgd.inference.summary import NO_LIKELIHOOD, Summary, explained_share, penalty_note
from fastgd.losses.base import has_log_likelihood
from fastgd.objective.objective import Objective
from fastgd.objective.vector_map import VectorMap


def summarise_outputs(
    objective,
    coef,
    intercept,
    names,
    outputs,
    total,
    covariance_type="model",
    clusters=None,
    level=0.95,
    reading="counts",
) -> Summary:
    """`Summary` of a model with several predictions for each row.

    Parameters
    ----------
    objective, total, covariance_type, clusters, level, reading
        As for `summarise`; the loss is a `VectorLoss`.
    coef, intercept : ndarray, (K, d) and (K,)
        As the user sees them.
    names, outputs : list of str
        Of the coefficients of one prediction, the intercept included where there is one, and of the
        predictions.
    """
    F, n_outputs = objective, len(outputs)
    if covariance_type == "model" and not has_log_likelihood(F.loss):
        raise ValueError(NO_LIKELIHOOD.format(loss=F.loss.name))
    own = np.reshape(F.rows.own_intercept(coef.T, intercept), (1, n_outputs))
    v = (np.vstack([coef.T, own]) if F.fit_intercept else coef.T).ravel()
    curvature = total * F.curvature_matrix(v)
    information = covariance.penalised(F, curvature, -total)
    basis = _basis(F, n_outputs)
    outer = basis @ covariance.inverse(basis.T @ curvature @ basis) @ basis.T
    n_effective = float(np.sum(outer * information.T))
    n = covariance.observations(F, total, n_effective, reading)
    loss, derivatives = _derivatives(F, v)
    middle = information
    if covariance_type != "model":
        middle = _meat(F, derivatives, total, covariance_type, clusters, reading)
        middle *= covariance.correction(covariance_type, clusters, n, n_effective)
    change = np.kron(covariance.as_given(F), np.eye(n_outputs))
    matrix = change @ outer @ middle @ outer @ change.T
    off = covariance.from_optimum(F, v, total * change @ outer, matrix)
    # One class after the other, as the table shows them.
    order = np.arange(F.size).reshape(-1, n_outputs).T.ravel()
    matrix = matrix[np.ix_(order, order)]
    table = np.column_stack([coef, intercept]) if F.fit_intercept else coef
    return Summary(
        names=list(names) * n_outputs,
        outputs=[label for label in outputs for _ in names],
        coef=table.ravel(),
        covariance=matrix,
        covariance_type=covariance_type,
        level=level,
        n_observations=n,
        n_effective=n_effective,
        dispersion=1.0 if has_log_likelihood(F.loss) else np.nan,
        deviance_explained=explained_share(F, total * loss, total),
        log_likelihood=-total * loss if has_log_likelihood(F.loss) else np.nan,
        notes=penalty_note(F, table.ravel()),
        from_optimum=off,
    )


def _basis(objective, n_outputs):
    """B of the formula, (size, size - rows of the table), or the identity where no shift is
    free.
    """
    F = objective
    if not F.loss.shift_invariant:
        return np.eye(F.size)
    contrasts = scipy.linalg.null_space(np.ones((1, n_outputs)))
    return np.kron(np.eye(F.size // n_outputs), contrasts)


def _derivatives(objective, v):
    """Mean loss, and the derivatives of each row's loss, (n_samples, K)."""
    F: Objective = objective
    coef, intercept = F.split(v)
    vector_map = VectorMap(F)
    products = vector_map.matvec(np.ascontiguousarray(coef))
    loss, weighted = vector_map.derivatives(products, intercept)
    weights = np.broadcast_to(F.samples.weights, F.n_samples)[:, None]
    some = weights > 0.0
    return loss, np.divide(F.n_active * weighted, weights, where=some, out=0.0 * weighted)


def _meat(objective, derivatives, total, covariance_type, clusters, reading):
    """M, (size, size): sums of outer products of what rows, or clusters of them, say."""
    F = objective
    weights = total / F.n_active * np.broadcast_to(F.samples.weights, F.n_samples)
    shares = weights if reading == "counts" else weights**2
    index, sums = None, np.zeros((0, F.size))
    if covariance_type == "cluster":
        groups, index = np.unique(clusters, return_inverse=True)
        sums = np.zeros((groups.size, F.size))
    found = np.zeros((F.size, F.size))
    length = max(VALUES // F.size, 1)
    for first in range(0, F.n_samples, length):
        here = slice(first, min(first + length, F.n_samples))
        scores = _scores(F, here, derivatives[here])
        if index is None:
            found += scores.T @ (shares[here, None] * scores)
        else:
            np.add.at(sums, index[here], weights[here, None] * scores)
    return found if index is None else sums.T @ sums


def _scores(objective, here, derivatives):
    """x_ij g_ik of some rows, (n, size), unknowns in the order of the objective."""
    F = objective
    X = F.rows.part(here)
    X = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=np.float64)
    if F.fit_intercept:
        X = np.column_stack([X, np.ones(len(X))])
    return np.einsum("ij,ik->ijk", X, derivatives).reshape(len(X), -1)
