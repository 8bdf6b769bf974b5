"""Proofs by the Newton decrement for K predictions, from the (dK, dK) curvature matrix.

Along a direction u each row's curvature changes by a factor of at most exp(c), c = M max_k |x_i .
u_k|: with lambda^2 = g' H^-1 g and r the greatest c of a direction of norm 1 in H,

    r = M max_i,k |e_k (x) (x_i, 1)|_{H^-1}

F - F* is bounded as in `fastgd.certificates.newton_decrement`.  Where a common shift of all
predictions changes nothing, c is M / 2 times the range of the x_i . u_k (|D3 f| <= range(v) D2 f
for a softmax, whose M is 2), and r a maximum over rows and pairs of classes:

    r = M / 2 max_i,k,l |(e_k - e_l) (x) (x_i, 1)|_{H^-1}

H has no curvature along common shifts; as g and all that r is made of are orthogonal to them, they
are given some.  Where the penalty has kinks or bounds (`fastgd.certificates.newton_proof`) g is so
in columns without a penalty alone, and the others need an L2 part.
"""

import functools
import math

import numpy as np

from fastgd.certificates.bound import NO_BOUND
from fastgd.certificates.newton_proof import NewtonProof
from fastgd.data.tile_sizes import VALUES
from fastgd.linalg.cholesky import Factor
from fastgd.linalg.precision import EPS
from fastgd.objective.blocks import coarser
from fastgd.objective.cost_model import VECTOR_PROOF, vector_pass_cost
from fastgd.objective.gram import merged, tiles
from fastgd.objective.matrix_sizes import WIDEST_PROOF
from fastgd.objective.vector_gram import hold_shifts
from fastgd.runtime.threads import MIN_PER_THREAD, map_ranges

LARGEST = np.finfo(float).max
# The curvature of coefficients that have one value only, in units of the largest: rows are no
# longer for them.
NOWHERE = 1e6
# Squared norms are wrong by no more than so many units of their terms' squares, a QR factorisation
# of a thousand rows included.
ROUNDING = 64.0


class VectorNewtonProof(NewtonProof):
    """`NewtonProof` for an objective with K predictions."""

    @property
    def applies(self):
        """Whether the bound holds for this loss and penalty, and is affordable."""
        return self.holds and not self.wide

    @property
    def holds(self):
        """Whether it holds for this loss and penalty, whatever a matrix would cost."""
        F = self.objective
        quadratic = F.term.coupled and F.term.smooth
        known = (F.elastic and F.l1 == 0.0) or quadratic or F.term.bent_or_free
        return (
            known
            and F.term.certified
            and F.loss_smooth
            and F.loss.convex
            and F.loss.self_concordance is not None
        )

    @property
    def wide(self):
        """Whether there are too many unknowns to form a curvature matrix."""
        return self.objective.size > WIDEST_PROOF

    def from_known(self, known, v, gradient, target_gap, value=0.0):
        """As for one prediction; nothing where the decrement alone says that it will not do."""
        factor = known[0]
        if 0.5 * factor.norm_of(gradient) ** 2 > target_gap:
            return NO_BOUND
        # Any bound will do where none is asked for, but not none.
        return super().from_known(known, v, gradient, min(target_gap, LARGEST), value)

    @property
    def passes(self):
        """What `prove` costs, in passes' worth of time."""
        return self._passes_of_matrix

    @functools.cached_property
    def _passes_of_matrix(self):
        """The same: a matrix of all predictions and, at most, the longest row."""
        F = self.objective
        return 3.0 + VECTOR_PROOF * F.n_samples * F.size**2 / vector_pass_cost(F)

    def prove(self, v, value, gradient, target_gap=0.0):
        """Bound from the Newton decrement at `v`, or none."""
        F = self.objective
        self._run.tried_at = F.passes
        matrix, fixed = hold_shifts(F, F.curvature_matrix(v)), F.term.fixed
        if fixed is not None:  # coefficients that are nowhere else
            own = np.arange(F.n_features * F.n_predictions)[fixed]
            largest = float(matrix.diagonal().max())
            matrix[own] = matrix[:, own] = 0.0
            matrix[own, own] = NOWHERE * largest
        factor = Factor(matrix)
        if not factor.full:
            return NO_BOUND
        self._run.factor, self._run.rough = factor.root(), False
        return self.from_known((factor, v), v, gradient, target_gap, value)

    def _rough_reach(self, factor):
        """Of an L2 part alone where there is no intercept, else left to the rows."""
        F = self.objective
        if F.l2 == 0.0 or F.fit_intercept:
            return np.inf
        pairs = math.sqrt(0.5) if F.loss.shift_invariant else 1.0
        return F.loss.self_concordance * pairs * math.sqrt(F.moments().largest_norm2 / F.l2)

    def _longest(self, factor):
        """R without the rounding of H: one pass, and the arithmetic of a matrix."""
        return self.objective.loss.self_concordance * longest_difference(self.objective, factor)


def longest_difference(F, factor):
    """The greatest |e_k (x) (x_i, 1)| in the norm of the inverse curvature, over rows with weight
    and predictions; half of that of (e_k - e_l) (x) (x_i, 1) over pairs where common shifts change
    nothing.  One pass.
    """
    k, d = F.n_predictions, F.n_features
    root = factor.root().reshape(-1, k, F.size)
    norm = max(F.over_parts(_greatest_of_part, _triangles(root, F.loss.shift_invariant)))
    # The terms of a row's norm cancel where columns are far from 0: their rounding counts.
    lengths = np.sqrt(np.square(root).sum(axis=2)).max(axis=1)
    terms = float(F.largest() @ lengths[:d]) + float(lengths[d:].sum())
    found = float(norm) + ROUNDING * EPS * terms**2
    return 0.5 * math.sqrt(found) if F.loss.shift_invariant else math.sqrt(found)


def _triangles(root, differences):
    """For each prediction, or each pair of them, the triangle R with |R x| the norm of a row x:
    (rows of `root`, number of columns of all of them).

    Images under them are as long as rows, d + 1, where those under the root are d K: 581,012 x 54
    and 7 classes took 0.3 of the time.
    """
    k = root.shape[1]
    if differences:
        first, second = np.triu_indices(k, 1)
        parts = root[:, first] - root[:, second]
    else:
        parts = root
    # NumPy's types know the other modes only.
    triangles = np.asarray(np.linalg.qr(parts.transpose(1, 2, 0), mode="r"))
    return np.ascontiguousarray(triangles.transpose(2, 0, 1).reshape(len(root), -1))


def _greatest_of_part(part, columns):
    """The greatest squared norm over the rows of a part."""
    F, d = part, part.n_features
    n_values = F.rows.stored() * columns.shape[1]
    ranges, cuts = F.ranges, coarser(F.range_cuts, 1 + n_values // MIN_PER_THREAD)
    largest = np.zeros(cuts.size - 1)
    length = max(16, VALUES // columns.shape[1])

    def work(first, last):
        for b in range(first, last):
            for chosen in tiles(merged(ranges[cuts[b] : cuts[b + 1]]), length):
                part = F.rows.part(chosen).astype(np.float64, copy=False)
                images = part @ columns[:d]
                if F.fit_intercept:
                    images = images + columns[d]
                images = images.reshape(len(images), -1, len(columns))
                norms = np.einsum("ipj,ipj->ip", images, images).max(axis=1)
                weights = F.samples.weights
                counts = weights[chosen] > 0.0 if weights.size > 1 else slice(None)
                largest[b] = max(largest[b], norms[counts].max(initial=0.0))

    map_ranges(work, largest.size, F.n_threads, n_values)
    F.meter.count()
    return float(largest.max())
