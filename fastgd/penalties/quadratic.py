"""A quadratic form in place of the L2 part: what `P2` of the estimators makes of a penalty."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg

from fastgd.linalg.precision import EPS
from fastgd.penalties.quadratic_term import QuadraticTerm, with_ones
from fastgd.penalties.weighted import Weighted, weighted
from fastgd.runtime.component import python_only

# A matrix of so many columns is looked at as a dense one: a second for its eigenvalues.
MAX_DENSE = 2000
# Two halves that differ by this share are rounded: their mean is taken.
ROUNDING_SHARE = 1e-10
# What elimination, or Lanczos steps, which end with 1 % of an eigenvalue, tell the sign of.
CLEARLY_BELOW = 100.0  # roundings
CLEARLY_ABOVE = 1e-3  # of the largest eigenvalue: steps find one above 0 before one that is lower
# An eigenvalue that is no further below 0, in units in which the diagonal is 1, may be meant as 0.
ALMOST_0 = 1e-5
# Rounding is told in units of P where diagonals are no less than this share of the largest: of
# 1e-8, it is 1e-8 of them at most, and claims stand it.
ALIKE = 1e-8


class Quadratic(Weighted, abstract=True):
    """`Weighted` without its L2 part, and w'P w / 2; P in CSR form.

    Parameters
    ----------
    values, columns, starts : ndarray
        Of P, with its share.
    below : float
        How far eigenvalues may be below 0, in units in which the diagonal is 1.
    """

    single: ClassVar[bool] = False

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    below: float

    def __repr__(self):
        return "an elastic net with P2"

    @python_only
    def check_columns(self, n_features):
        """ValueError where P2, weights or bounds are of another number of columns."""
        size = self.starts.size - 1
        if size != n_features:
            raise ValueError(
                f"P2 must be of shape ({n_features}, {n_features}), as X has {n_features} "
                f"features, got ({size}, {size})"
            )
        super().check_columns(n_features)

    @property
    def unpenalised(self):
        """Which columns are neither in the L1 part nor in P."""
        return (self.l1 == 0.0) & (self._diagonal() == 0.0)

    @python_only
    def largest_alpha(self, gradient, gain):
        """As with the diagonal of P for the weights of an L2 part: what P leaves free in several
        columns together, as differences do, is there at any alpha.
        """
        ends = self.low, self.high, self.n_weights, self.n_bounds
        return Weighted(self.l1, self._diagonal(), *ends).largest_alpha(gradient, gain)

    @python_only
    def _diagonal(self):
        size = self.starts.size - 1
        matrix = sp.csr_array((self.values, self.columns, self.starts), shape=(size, size))
        return matrix.diagonal()

    @python_only
    def term(self, alpha, n_predictions=1):
        """The `QuadraticTerm` of this penalty."""
        size = self.starts.size - 1
        matrix = sp.csr_array((alpha * self.values, self.columns, self.starts), shape=(size, size))
        ends = self.low, self.high
        return QuadraticTerm(matrix, alpha * self.l1, *ends, n_predictions, self.below)


def with_quadratic(net, P2, positive=False, bounds=None, penalty_weights=None):
    """The penalty with P2 in place of the identity in its L2 part.

    Parameters
    ----------
    net : Penalty
        An elastic net with an L2 part.
    P2 : ndarray or sparse, (d, d)
        Symmetric, positive semi-definite.
    positive, bounds, penalty_weights
        As `fastgd.penalties.weighted.weighted` takes them; weights are of the L1 part.

    Raises
    ------
    ValueError
        For what is none of this.
    """
    share = 0.0 if net.shares is None else net.shares[1]
    if share == 0.0:
        raise ValueError(f"P2 goes with penalty 'l2' or 'elasticnet', got {net!r}")
    penalty = weighted(net, positive, bounds, penalty_weights, always=True)
    excluded = (penalty.low == 0.0) & (penalty.high == 0.0)
    if net.shares[0] == 0.0 and not (excluded | (penalty.l2 == 1.0)).all():
        raise ValueError(
            "penalty_weights go with P2 where there is an L1 part, which they multiply, else scale "
            "P2; got penalty='l2'"
        )
    matrix, below = _checked(P2)
    arrays = share * matrix.data, matrix.indices, matrix.indptr, below
    held = penalty.l1, np.zeros(penalty.l1.size), penalty.low, penalty.high
    return Quadratic(*held, penalty.n_weights, penalty.n_bounds, *arrays)


def _checked(P2):
    """P2 in CSR form, symmetric, and how far its eigenvalues may be below 0."""
    try:
        matrix = sp.csr_array(P2, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = None
    if matrix is None or matrix.ndim != 2 or not 0 < matrix.shape[0] == matrix.shape[1]:
        shown = f"shape {np.shape(P2)}" if np.shape(P2) else repr(P2)
        raise ValueError(f"P2 must be a square matrix of numbers, got {shown}")
    if not np.isfinite(matrix.data).all():
        raise ValueError("P2 must be finite, it has NaN or infinity")
    matrix.sum_duplicates()
    # In units in which the diagonal is 1: what is small beside the largest entry counts, too.
    scaled = with_ones(matrix)[0]
    off = abs(scaled - scaled.T)
    apart = abs(matrix - matrix.T)
    if off.nnz and off.max() > ROUNDING_SHARE and apart.max() > _entry_rounding(matrix):
        off = apart.max()
        raise ValueError(f"P2 must be symmetric, it differs from its transpose by {off:g}")
    matrix = sp.csr_array(0.5 * (matrix + matrix.T))
    return _semi_definite(matrix)


def _semi_definite(matrix):
    """A symmetric matrix, where need be without rows that are rounding, and how far its eigenvalues
    are below 0 by rounding, in units in which the diagonal is 1; ValueError where it is more.

    Rows of I - QQ' are 0 but for 1e-17 where an axis is in the span of Q.
    """
    given = matrix
    below = _rounded_below(given)
    if below is None:
        matrix = _without_rounding(given)
        below = _rounded_below(matrix) if matrix.nnz < given.nnz else None
    if below is None:
        raise ValueError(f"P2 must be positive semi-definite, {_refused(matrix)}")
    return matrix, below


def _without_rounding(matrix):
    """The matrix with zeros in rows and columns that have nothing above d u of its largest."""
    kept = abs(matrix).max(axis=1).toarray().ravel() > _entry_rounding(matrix)
    keep = sp.diags_array(kept.astype(np.float64))
    matrix = sp.csr_array(keep @ matrix @ keep)
    matrix.eliminate_zeros()
    return matrix


def _entry_rounding(matrix):
    """What rounding leaves of entries that cancel, d u of the largest."""
    return EPS * matrix.shape[0] * float(abs(matrix).max())


def _rounded_below(matrix):
    """How far the eigenvalues of a symmetric matrix are below 0 by rounding, in units in which the
    diagonal is 1; None where it is more than that.

    Rounding takes them below 0 by no more than d u of the largest, d columns: of 20 kinds of
    products, inverses, kernels, projections and Laplacians, with d from 10 to 1,000, it was a sixth
    of that at most.  1e-10 of the largest was taken for rounding: F then has no minimum, and was
    proved to be at it.  Where entries cancel, as in I - QQ', that holds in units of P: a diagonal
    of 1e-3 that is scaled to 1 makes the rounding beside it 1e3 times what it was.
    """
    scaled = with_ones(matrix)[0]
    if _beside_zeros(matrix).any():
        return None
    if matrix.shape[0] > MAX_DENSE:
        rounding = EPS * matrix.shape[0] * _largest(scaled)
        taken = _dominates(scaled) or _dominates(matrix) or _is_definite(scaled, rounding)
        return rounding if taken else None
    below, largest = _ends(scaled)
    if below > EPS * matrix.shape[0] * largest and not _is_rounded(matrix):
        return None
    return float(below + EPS * largest)


def _is_rounded(matrix):
    """Whether eigenvalues are below 0 by no more than rounding in units of P, of which no diagonal
    is so small that such rounding hides what it is.
    """
    diagonal = matrix.diagonal()
    if (diagonal < 0.0).any() or diagonal[diagonal > 0.0].min() < ALIKE * diagonal.max():
        return False
    below, largest = _ends(matrix)
    return below <= EPS * matrix.shape[0] * largest


def _ends(matrix):
    """How far the least eigenvalue is below 0, and the largest magnitude of one."""
    values = scipy.linalg.eigvalsh(matrix.toarray())
    return max(-values[0], 0.0), np.abs(values).max()


def _beside_zeros(matrix):
    """Which rows are not 0 but for a diagonal of 0."""
    return (matrix.diagonal() == 0.0) & (abs(matrix).sum(axis=1) > 0.0)


def _refused(matrix):
    """Why a matrix is not positive semi-definite, and what would make it so if it is rounding."""
    rows = np.flatnonzero(_beside_zeros(matrix))
    large = matrix.shape[0] > MAX_DENSE
    if rows.size:
        why = f"its row {rows[0]} is not 0 beside a diagonal of 0"
    elif large:
        why = f"it has {_lowest(matrix)}"
    else:
        least = scipy.linalg.eigvalsh(matrix.toarray(), subset_by_index=[0, 0])[0]
        why = f"it has the eigenvalue {least:g}"
    return why if large else why + _hint(matrix)  # which takes eigenvalues of a dense one


def _hint(matrix):
    """What to do with a diagonal that rounding has made too small; one of 0 stays 0 times any."""
    below, largest = _ends(with_ones(matrix)[0])
    if below <= ALMOST_0 and matrix.diagonal().min() >= 0.0 and not _beside_zeros(matrix).any():
        return f"; if that is rounding, multiply its diagonal by 1 + {2.0 * below:.1g}"
    below, largest = _ends(matrix)
    if below <= ALMOST_0 * largest:
        added = 2.0 * max(below, EPS * matrix.shape[0] * largest)
        return f"; if that is rounding, add {added:.1g} to its diagonal"
    return ""


def _largest(matrix):
    """No less than the largest eigenvalue, by the sums of the rows."""
    return float(abs(matrix).sum(axis=1).max(initial=0.0))


def _dominates(matrix):
    """Whether the diagonal is no less than the magnitudes beside it, but for the rounding of their
    sums: by Gershgorin's circles no eigenvalue is below 0.
    """
    diagonal = matrix.diagonal()
    sizes = abs(matrix).sum(axis=1)
    terms = np.diff(matrix.indptr)
    return bool((2.0 * diagonal - sizes >= -EPS * terms * sizes).all())


def _is_definite(matrix, shift):
    """Whether a matrix with `shift` added to its diagonal is positive definite: by Lanczos steps
    where its least eigenvalue is clearly not 0, else by the signs of the pivots, which elimination
    takes along the diagonal.

    What Lanczos steps find is no less than the least eigenvalue: below 0 it decides.

    An eigenvalue that may be 0, as of differences of differences, is what Lanczos steps find last:
    of 2,001 columns 20,000 of them did not, which took 6 s.  Elimination may fill: squares of the
    Laplacian of a random graph of 8,000 nodes take 9 s, and 0.06 s by Lanczos steps.
    """
    least = _by_lanczos(matrix)
    if least is not None and least < -CLEARLY_BELOW * shift:
        return False
    if least is not None and least > CLEARLY_ABOVE * _largest(matrix):
        return True
    shifted = sp.csc_array(matrix + shift * sp.eye_array(matrix.shape[0]))
    options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0}
    try:
        factor = scipy.sparse.linalg.splu(shifted, **options, options={"SymmetricMode": True})
    except RuntimeError:  # a column of zeros was left
        return False
    return bool((factor.perm_r == factor.perm_c).all() and (factor.U.diagonal() > 0.0).all())


def _by_lanczos(matrix, restarts=20, tol=1e-2):
    """About the least eigenvalue of a large matrix, None where so many restarts do not tell."""
    start = np.random.Generator(np.random.PCG64(0)).standard_normal(matrix.shape[0])
    options = {"k": 1, "which": "SA", "tol": tol, "maxiter": restarts, "v0": start}
    try:
        return float(scipy.sparse.linalg.eigsh(matrix, return_eigenvectors=False, **options)[0])
    except scipy.sparse.linalg.ArpackNoConvergence:
        return None


def _lowest(matrix):
    """What a message says of the eigenvalue below 0 of a large matrix."""
    least = _by_lanczos(matrix, restarts=1000, tol=1e-3)
    return "an eigenvalue below 0" if least is None else f"the eigenvalue {least:g}"
