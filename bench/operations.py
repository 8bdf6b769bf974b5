"""What a fit does, counted: passes over the rows by the package's meter, and beside them matrices,
factorisations, visits and loops, in ns of `fastgd.objective.cost_model`.

The same fit counts the same on every machine, whatever else the machine does. Passes alone tell
little: a curvature matrix is one pass by the meter and may take as long as a hundred.
"""

import contextlib

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from fastgd.certificates import newton_proof
from fastgd.linalg import woodbury
from fastgd.linalg.bordered import Bordered
from fastgd.objective import cost_model as cost
from fastgd.objective import gram, objective
from fastgd.objective.exclusive import kernels as exclusive_kernels
from fastgd.objective.exclusive.matrix import BorderedCurvature
from fastgd.objective.meter import Meter
from fastgd.solvers import REGISTRY
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.l1 import column_subset, column_sweep
from fastgd.solvers.l1 import kernels as l1_kernels
from fastgd.solvers.l1.vector_joint_model import VectorJointModel
from fastgd.solvers.newton import least_squares
from fastgd.solvers.newton.column_subspace import ColumnSubspace
from fastgd.solvers.newton.newton_cg import NewtonCG
from fastgd.solvers.newton.subspace import RowSubspace
from fastgd.solvers.variance_reduced.base import VarianceReduced
from fastgd.solvers.variance_reduced.svrg import Svrg

# ns a column that an iteration takes beside its passes, by the vectors combined in it: texts of
# 20,000 and 100,000 columns. Of truncated Newton for each pass.
VECTORS = {LBFGS: 35.0, Accelerated: 20.0, ColumnSubspace: 20.0, NewtonCG: 11.0}
# ns of what loops do: a number of a matrix that coordinate descent adds to a gradient, a stored
# value of a column that is read twice, a number of a triangle that a system is solved with.
NUMBER = 0.3
ENTRY = 3.0
SOLVED = 0.5
# A look at which columns a row has takes so much of a pass.
INDICES = 1.0 / 3.0
# Directions that an iteration among past gradients combines where `COMBINATIONS` was measured.
DIRECTIONS = 10.0


class TooMuch(Exception):
    """A fit was to do more than it may."""


class Count:
    """Operations of one fit in ns, and as `passes` over the problem's rows.

    Parameters
    ----------
    problem : HardProblem
    most : float
        Of passes: `TooMuch` is raised by what exceeds it.
    """

    def __init__(self, problem, most=np.inf):
        rows, stored = problem.X.shape[0], problem.stored
        self.one = cost.VALUE * stored + cost.ROW * rows + cost.COLUMN * problem.X.shape[1]
        self.most, self.read, self.others = most, 0.0, 0.0

    @property
    def passes(self):
        return self.read + self.others / self.one

    def add(self, ns):
        self.others += ns
        self._check()

    def add_pass(self, passes):
        self.read += passes
        self._check()

    def _check(self):
        if self.passes > self.most:
            raise TooMuch(f"more than {self.most:.3g} passes")


@contextlib.contextmanager
def counted(problem, most=np.inf):
    """A `Count` of what fits of the problem do within the `with` block."""
    count = Count(problem, most)
    with contextlib.ExitStack() as stack:

        def put(owner, name, made):
            before = vars(owner)[name]
            stack.callback(setattr, owner, name, before)
            setattr(owner, name, made(before))

        _count_passes(put, count)
        _count_matrices(put, count)
        _count_factors(put, count)
        _count_loops(put, count)
        yield count


def _count_passes(put, count):
    def of_meter(before):
        def counted(self, passes=1.0):
            if self._parent is None:
                count.add_pass(passes * getattr(self, "worth", 1.0))
            before(self, passes)

        return counted

    put(Meter, "count", of_meter)

    def of_objective(before):
        def _set(self, loss, rows, *rest):
            before(self, loss, rows, *rest)
            if self.n_features == 0:  # predictions that are known, in search of an intercept
                self.meter.worth = cost.DERIVATIVES * self.n_samples / count.one

        return _set

    put(objective.Objective, "_set", of_objective)
    for solver in {one for kind in (*REGISTRY, RowSubspace) for one in kind.__mro__}:
        # Not that of a base class, whose iteration others are made of.
        if "advance" in vars(solver):
            put(solver, "advance", lambda before: _of_iteration(before, count))


def _of_iteration(before, count):
    def advance(self, state):
        F, read = self.objective, count.read
        if isinstance(self, RowSubspace):
            n_steps = state.memory.n_steps if state.memory.moves is not None else 0
            share = min(n_steps + 2, self.kept) / DIRECTIONS
            count.add(cost.COMBINATIONS * F.n_samples * share)
        ended = state.done
        before(self, state)
        read = count.read - read
        if isinstance(self, CentralPath) and not ended:
            count.add(cost.PATH_ROW * F.n_samples)
        for kind, ns in VECTORS.items():
            if isinstance(self, kind):
                count.add(ns * F.n_features * (read if kind is NewtonCG else 1.0))
        if isinstance(self, Sdca):
            count.add(read * cost.VISIT * F.n_samples)
        elif isinstance(self, VarianceReduced):
            # Of SVRG's two passes one is over all rows in order.
            visits = 0.5 * read if isinstance(self, Svrg) else read
            count.add(visits * (cost.VISIT * F.n_samples + cost.VISITED_VALUE * F.n_nonzeros))

    return advance


def _count_matrices(put, count):
    def of_gram(before):
        def add_gram(rows, slots, curvatures, ranges, cuts, first, last, matrices, length=np.inf):
            which = ranges[cuts[first] : cuts[last]]
            ways = cost.loops(rows, length)
            count.add(
                _pairs(rows, slots, curvatures, which) if ways else _products(which, matrices)
            )
            count.add(cost.MATRIX_ROW * float((which[:, 1] - which[:, 0]).sum()))
            count.add(cost.MATRIX_ENTRY * matrices.shape[-1] ** 2 / len(matrices))
            before(rows, slots, curvatures, ranges, cuts, first, last, matrices, length)

        return add_gram

    for owner in (gram, column_subset):
        put(owner, "add_gram", of_gram)

    def of_squares(before):
        def quadratic(F, v):
            if not F.rows.sparse and F.rows.dtype == np.float64:
                count.add(cost.DENSE_COST * F.n_samples * F.size**2)
            return before(F, v)

        return quadratic

    put(least_squares, "quadratic", of_squares)

    def of_predictions(before):
        def _curvature(self, rows):
            size = self.places.size
            count.add((cost.DENSE_COST * self.F.n_samples + cost.MATRIX_ENTRY) * size**2)
            return before(self, rows)

        return _curvature

    put(VectorJointModel, "_curvature", of_predictions)

    def of_lengths(before):
        def longest_row(F, root):
            pairs = cost.LOOP_COST * float((_lengths(F.rows, gram.ALL) ** 2).sum())
            dense = 2.0 * cost.DENSE_COST * F.n_samples * root.size
            count.add(pairs if F.rows.sparse else dense)
            return before(F, root)

        return longest_row

    put(newton_proof, "longest_row", of_lengths)

    def of_rows(before):
        def _products(X, inverse):
            n, d = X.shape
            dense = isinstance(X, np.ndarray)
            by_column = 0 if dense else np.bincount(X.indices, minlength=d).astype(float)
            each = (
                cost.DENSE_COST * n * n * d if dense else cost.VALUE * float((by_column**2).sum())
            )
            count.add(each)
            return before(X, inverse)

        return _products

    put(woodbury, "_products", of_rows)
    _count_elimination(put, count)


def _count_elimination(put, count):
    """Matrices whose exclusive columns are apart, and the search for these."""

    def of_parts(before):
        def reading(self, known):
            F = self.objective
            lengths = _lengths(F.rows, gram.ALL)
            chosen = np.concatenate([np.arange(first, stop) for first, stop in F.ranges])
            pairs = float((lengths[chosen] ** 2).sum())
            count.add(cost.OUT_OF_ORDER * chosen.size + cost.LOOP_COST * pairs)
            return before(self, known)

        return reading

    for name in ("at", "longest_row"):
        put(BorderedCurvature, name, of_parts)

    def of_complement(before):
        def complement(self, inverse):
            met = np.diff(self.coupling.indptr).astype(float)
            count.add(0.5 * cost.LOOP_COST * float((met**2).sum()))
            return before(self, inverse)

        return complement

    put(Bordered, "complement", of_complement)

    def of_search(before):
        def search(*data):
            count.add(INDICES * count.one)
            return before(*data)

        return search

    for name in ("survey", "thin", "find_met", "group_rows"):
        put(exclusive_kernels, name, of_search)


def _pairs(rows, slots, curvatures, ranges):
    """Ns of a curvature matrix by the loop: rows without curvature take no part."""
    lengths = _lengths(rows, slots)
    chosen = np.concatenate([np.arange(first, stop) for first, stop in ranges])
    own = lengths[chosen] * (curvatures[chosen] != 0.0)
    return cost.pair_cost(_nonzeros(rows, slots)) * float((own**2).sum())


def _nonzeros(rows, slots):
    """Nonzeros of each column, of those that have a slot where there are slots."""
    if rows.sparse:
        found = np.bincount(np.asarray(rows.storage.columns), minlength=rows.shape()[1])
    else:
        found = np.count_nonzero(rows.part(slice(0, rows.shape()[0])), axis=0)
    return found if slots.size == 0 else found[slots >= 0]


def _products(ranges, matrices):
    rows = float((ranges[:, 1] - ranges[:, 0]).sum())
    return cost.DENSE_COST * rows * matrices.shape[-1] ** 2


def _lengths(rows, slots):
    """Nonzeros of each row, of the columns that have a slot where there are slots, and one more."""
    n, storage = rows.shape()[0], rows.storage
    if not rows.sparse:
        chosen = slice(None) if slots.size == 0 else slots >= 0
        return (
            np.concatenate(
                [
                    np.count_nonzero(rows.part(slice(start, start + 4096))[:, chosen], axis=1)
                    for start in range(0, n, 4096)
                ]
            )
            + 1.0
        )
    starts = np.asarray(storage.starts).astype(np.int64)
    if slots.size == 0:
        return np.diff(starts) + 1.0
    kept = np.concatenate([[0], np.cumsum(slots[storage.columns[: starts[-1]]] >= 0)])
    return kept[starts[1:]] - kept[starts[:-1]] + 1.0


def _count_factors(put, count):
    def of(ns):
        def made(before):
            def factor(a, *rest, **options):
                count.add(ns(a, *rest))
                return before(a, *rest, **options)

            return factor

        return made

    def factor(a, *_):
        return len(a) ** 3 / 3.0 / cost.MULTIPLICATIONS + cost.MATRIX_ENTRY * len(a) ** 2

    def solution(a, b, *_):
        columns = 1 if np.ndim(b) == 1 else b.shape[1]
        return len(a) ** 2 * (SOLVED if columns == 1 else columns / cost.MULTIPLICATIONS)

    for name in ("dpotrf", "dtrtri"):
        put(lapack, name, of(factor))
    for name in ("dpotrs", "dtrtrs"):
        put(lapack, name, of(solution))
    put(scipy.linalg, "cho_factor", of(factor))
    put(scipy.linalg, "eigh", of(lambda a, *_: cost.EIGENVECTORS * factor(a)))


def _count_loops(put, count):
    def of_matrix(before):
        def matrix_descent(matrix, gradient, coef, *rest):
            epochs = before(matrix, gradient, coef, *rest)
            size, moved = coef.size, np.count_nonzero(coef)
            count.add(NUMBER * size * (size + epochs * moved))
            return epochs

        return matrix_descent

    put(l1_kernels, "matrix_descent", of_matrix)

    def of_columns(before):
        def column_epoch(data, order, *rest):
            starts, places = data[2], data[3]
            count.add(ENTRY * float((starts[places[order] + 1] - starts[places[order]]).sum()))
            return before(data, order, *rest)

        return column_epoch

    put(l1_kernels, "column_epoch", of_columns)

    def of_settling(before):
        def settle(X, *rest):
            count.add(column_sweep.CG_STEPS * ENTRY * X.nnz)
            before(X, *rest)

        return settle

    put(column_sweep, "settle", of_settling)
