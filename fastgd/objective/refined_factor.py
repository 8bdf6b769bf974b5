"""A curvature matrix resolved beyond its own rounding: for columns that are linear combinations of
others, but for 1e-7 of their length or less.

A matrix of products H has the curvature along any direction to 2^-52 of the greatest one:
columns, of unit length and centred, that differ by less than 1e-7 are the same in it.  In the rows
themselves they are not.  With T_r the directions that H resolves, scaled to curvature 1, and T_u
the others, one pass gives

    A = T_u' H T_u    and    B = T_r' H T_u    from    Y = X T_u

whose rows are exact to 2^-52 of their terms, not of their squares.  S = A - B'B is what the others
have beside T_r (Schur), and tells which of them move no row but for rounding.
"""

import numpy as np

from fastgd.data.tile_sizes import VALUES
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS
from fastgd.linalg.symmetric import eigenpairs
from fastgd.runtime.array_shapes import shaped

# Below this share of the greatest, an eigenvalue of a matrix with ones on its diagonal is worth a
# pass; above it, it is known to about 1e-4 of itself.
RESOLVED = 1e-11
# Directions along which rows move by less than this share of the terms do not count: of 1e-13
# rounding is a part.
NULL = 1e-11
# Nor do those along which rows move by less than so many times the rounding of columns far from 0,
# as they were given: in predictions it exceeds what these columns vary by.
NOISE = 4.0
# Eigenvectors of a larger matrix, which take ten times as long as its factor, are computed only
# where that has failed.
WIDEST = 500


@shaped(_root="m *", _back="* m")
class RefinedFactor(Factor):
    """H by R R' = H^-1, where R is T_r and (T_u - T_r B) W s^(-1/2), S = W s W'.

    Parameters
    ----------
    matrix : ndarray, (size, size)
        H.
    values, vectors : ndarray
        Eigenvalues, in ascending order, and eigenvectors of H with ones on its diagonal.
    n_known : int
        The last so many of them are resolved.
    A, B : ndarray, (k, k), (n_known, k)
    noise : callable
        What rounding of the columns as they were given moves rows by along scaled directions,
        (size, m).
    """

    def __init__(self, matrix, values, vectors, n_known, A, B, noise):
        self._take_diagonal(matrix)
        k = values.size - n_known
        roots = np.sqrt(values[k:])
        spread, turned = eigenpairs(A - B.T @ B)
        others = vectors[:, :k] - vectors[:, k:] / roots @ B
        kept = spread > np.maximum(NULL**2 * values[-1], noise(others @ turned) ** 2)
        weights = np.sqrt(spread[kept])
        known = vectors[:, k:] / roots
        self._root = np.hstack([known, others @ (turned[:, kept] / weights)])
        # Its inverse, on the range: how far a step, scaled, goes along each column of the root.
        self._back = np.vstack(
            [
                roots[:, None] * vectors[:, k:].T + B @ vectors[:, :k].T,
                weights[:, None] * (turned[:, kept].T @ vectors[:, :k].T),
            ]
        )
        self._lower = None
        self._inverse_norm = float(np.linalg.norm(self._root))
        self.weakest = 0.0
        self._regular = bool(kept.all())
        rounded = EPS * values.size / float(weights.min(initial=1.0))
        self._doubt = float((1.0 / values[k:]).sum()), 4.0 * k * rounded, 4.0 * k

    @property
    def rank(self):
        """Number of directions that have a curvature."""
        return self._root.shape[1]

    @property
    def regular(self):
        """Whether H is positive definite but for columns of zeros, which no step moves along."""
        return self._regular

    def doubt(self, rounding):
        """What a matrix whose sums are wrong by `rounding` may be wrong by, in units of itself."""
        known, rows, others = self._doubt
        return rounding * known + rows + rounding * others

    def solve(self, gradient):
        """H^-1 times `gradient`; of the range of H where it has a kernel."""
        return self._root @ (self._root.T @ self._right(gradient)) / self.scale

    def norm(self, step):
        """Length of a step in H: sqrt(step' H step)."""
        return float(np.linalg.norm(self._back @ (step * self.scale)))

    def norm_of(self, gradient):
        """Length of a gradient in H^-1: sqrt(gradient' H^-1 gradient)."""
        return float(np.linalg.norm(self._root.T @ self._right(gradient)))

    def matrix(self):
        """H itself, multiplied out again."""
        root = self._back * self.scale
        return root.T @ root

    def product(self, step):
        """The product H times `step`, (size,)."""
        return self.scale * (self._back.T @ (self._back @ (step * self.scale)))

    def inverse_norm(self):
        """At least the norm of R' D, by which an error of a scaled gradient becomes one of the
        decrement.
        """
        return self._inverse_norm

    def root(self):
        """T with T T' = H^-1, (size, rank)."""
        return self._root / self.scale[:, None]


def factor_of(objective, curvatures, matrix, singular=False):
    """Factor of the curvature matrix that the rows have with these curvatures; one more pass where
    it is not resolved.

    Parameters
    ----------
    objective : Objective
    curvatures : callable
        Gives that of each row, (n_samples,).
    matrix : ndarray, (size, size)
    singular : bool
        Whether an earlier call has found that directions without curvature are what is not
        resolved: the pass is not taken again.

    Returns
    -------
    factor : Factor
    singular : bool

    Examples
    --------
    >>> from fastgd.objective.objective import Objective
    >>> z = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
    >>> X = np.array([z[0], z[0] + 1e-9 * z[1]]).T
    >>> F = Objective("squared_error", X, z[1])
    >>> ones = np.ones(4)
    >>> factor, singular = factor_of(F, lambda: ones, F.gram(ones))
    >>> factor.solve(-F.gradient(np.zeros(3))).round(-3)
    array([-1.e+09,  1.e+09,  0.e+00])
    """
    factor, F = Factor(matrix), objective
    resolved = factor.resolved or (factor.regular and len(matrix) > WIDEST)
    if resolved or F.parent is not None or singular or not np.isfinite(matrix).all():
        return factor, singular
    values, vectors = factor.eigenpairs(matrix)
    k = int(np.searchsorted(values, RESOLVED * values[-1]))
    if k == 0 or not values[-1] > 0.0:
        return factor, singular
    A, B = _looked_at(F, curvatures(), vectors[:, :k] / factor.scale[:, None])
    known = vectors[:, k:] / np.sqrt(values[k:])
    B = (known / factor.scale[:, None]).T @ B

    def noise(directions):
        return NOISE * EPS * F.rows.taken_away((directions / factor.scale[:, None])[: F.n_features])

    refined = RefinedFactor(matrix, values, vectors, values.size - k, A, B, noise)
    if refined.rank <= values.size - k:
        return factor, True
    return refined, singular


def _looked_at(F, curvatures, directions):
    """Directions' H directions, (k, k), and H directions, (size, k): one pass."""
    squares, products = F.sum_over_parts(_products_with, directions, rows=(curvatures,))
    squares = squares / F.n_active
    products = products / F.n_active
    d = F.n_features
    curved = F.penalty_curvature_at(np.zeros(F.size))
    held = np.column_stack([curved(direction) for direction in directions[:d].T])
    products[:d] += held
    return squares + directions[:d].T @ held, products


def _products_with(part, directions, curvatures):
    """The same of the losses of a part, summed."""
    F, d, (size, k) = part, part.n_features, directions.shape
    length = max(VALUES // (d + k), 8)
    n_blocks = F.cuts.size - 1
    squares, products = np.zeros((n_blocks, k, k)), np.zeros((n_blocks, size, k))

    def work(first, last):
        for b in range(first, last):
            for start in range(int(F.cuts[b]), int(F.cuts[b + 1]), length):
                here = slice(start, min(start + length, int(F.cuts[b + 1])))
                part = F.rows.part(here)
                moved = part @ directions[:d]
                if size > d:
                    moved += directions[d]
                weighted = curvatures[here, None] * moved
                squares[b] += moved.T @ weighted
                products[b, :d] += part.T @ weighted
                products[b, d:] += weighted.sum(axis=0)

    F.map_blocks(work, n_blocks)
    return squares.sum(axis=0), products.sum(axis=0)
