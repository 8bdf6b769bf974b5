"""What the shipped costs are on this machine: `fastgd/objective/cost_model.py` measured again.

One thread by its own clock (of the threads themselves: two, by the wall's), the best of several
rounds, compile time apart, random data of the shapes that stand in each function. Nothing is
changed by it: plans depend on the data, never on a clock. A ratio that is far from 1 on many
machines says that a number should be shipped anew; one run does not.
"""

import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, eigh
from threadpoolctl import threadpool_limits

from fastgd import GDClassifier, Multinomial, Objective, solvers
from fastgd.certificates.vector_newton_proof import VectorNewtonProof
from fastgd.objective import cost_model
from fastgd.objective.exclusive.matrix import BorderedCurvature
from fastgd.objective.gram import ALL, add_gram
from fastgd.objective.linear_map import LinearMap
from fastgd.penalties.group_term import FeatureGroups
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.gradient.lbfgs import LBFGS, MEMORY
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.path_cost import PATH_SWEEPS
from fastgd.solvers.l1 import kernels
from fastgd.solvers.l1.column_subset import ColumnSubset
from fastgd.solvers.l1.group_descent import GroupDescent
from fastgd.solvers.l1.group_models import MatrixModel
from fastgd.solvers.l1.quadratic_interior_point import follow_central_path
from fastgd.solvers.l1.vector_working_set import VectorWorkingSet
from fastgd.solvers.newton.subspace import RowSubspace
from fastgd.solvers.variance_reduced.saga import Saga

from .report import columns, number, progress

HANDING_SHARE = 0.3  # of reading a range, that handing it to a thread may take


def run(rounds=5, share=1.0):
    """Print each shipped cost beside what is measured, and return the figures.

    `share` of the rows of every shape are used, and of the columns of the factorisation.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figures = measured(shipped(), rounds, share)
    progress("")
    print(text(figures))
    return {"costs": figures}


def shipped():
    """All costs by name: those of a machine, and by file and name what solvers are said to take,
    which stands in their own files: those that the registry imports.
    """
    costs = cost_model.declared_in(cost_model)
    prefix = f"{solvers.__name__}."
    for path, module in sorted(sys.modules.items()):
        if path.startswith(prefix):
            for name, cost in cost_model.declared_in(module).items():
                if not any(cost is known for known in costs.values()):
                    costs[f"{path.removeprefix(prefix)}.{name}"] = cost
    return costs


def measured(costs, rounds, share=1.0):
    """Figures of each cost, by name; those that no function here measures, such as a solver's
    own counts, stand there as they are shipped.
    """
    found = {}
    for measure, names in MEASURES.items():
        if not found.keys() >= set(names) and costs.keys() & set(names):
            progress(f"{measure.__name__}, {rounds} rounds")
            found |= dict(zip(names, measure(rounds, share), strict=True))
    return {
        name: {"unit": cost.unit, "shipped": float(cost), "measured": found.get(name)}
        for name, cost in costs.items()
    }


def text(figures):
    """A line for each cost."""
    rows = [
        [
            name,
            f["unit"],
            number(f["shipped"]),
            number(f["measured"]),
            number(f["measured"] and f["measured"] / f["shipped"]),
        ]
        for name, f in figures.items()
    ]
    return columns(rows, ["cost", "unit", "shipped", "measured", "ratio"])


def samples(figures):
    """The measured times; what is no time of its own is left out."""
    return {
        f"calibrate fastgd {name} {f['unit'].removeprefix('ns ')}, ns": [f["measured"]]
        for name, f in figures["costs"].items()
        if f["unit"].startswith("ns ")
    }


def _passes(rounds, share):
    """ns of a value, of a row and of a column: least squares over passes of seven shapes, each
    relative to its time.
    """
    objectives = [
        _logistic(_dense(int(200_000 * share), 10)),
        _logistic(_dense(int(50_000 * share), 54)),
        _logistic(_dense(int(10_000 * share), 300)),
        _logistic(_sparse(int(100_000 * share), 12, 300)),
        _logistic(_sparse(int(50_000 * share), 35, 400)),
        _logistic(_wide(int(20_000 * share), 50, 100_000)),
        _logistic(_wide(int(5_000 * share), 120, 20_000)),
    ]
    times = np.array(
        [_best(rounds, lambda F=F: F.value_and_gradient(np.zeros(F.size))) for F in objectives]
    )
    counts = np.array([(F.rows.stored(), F.n_samples, F.n_features) for F in objectives])
    return np.linalg.lstsq(counts / times[:, None], np.ones(times.size), rcond=None)[0].tolist()


def _vector_passes(rounds, share):
    """ns of a product and of a prediction in a pass of ten classes: least squares over dense rows
    of 10, 64 and 784 columns, each relative to its time.
    """
    objectives = [
        _multinomial(_dense(int(n * share), d))
        for n, d in ((50_000, 10), (20_000, 64), (2000, 784))
    ]
    times = np.array(
        [_best(rounds, lambda F=F: F.value_and_gradient(np.zeros(F.size))) for F in objectives]
    )
    counts = np.array([(F.rows.stored(), F.n_samples) for F in objectives]) * CLASSES
    return np.linalg.lstsq(counts / times[:, None], np.ones(times.size), rcond=None)[0].tolist()


def _derivatives(rounds, share):
    """ns a row of the log loss with derivative and curvature, predictions known: 300,000 rows."""
    F = _logistic(_dense(int(300_000 * share), 2))
    linear_map, predictions = LinearMap(F), _random().standard_normal(F.n_samples)
    return [_best(rounds, lambda: linear_map.derivatives(predictions, 0.0)) / F.n_samples]


def _matrices(rounds, share):
    """ns of a product by BLAS (784 dense columns), of a pair by the loop (CSR, 100 nonzeros in 784
    columns), and their ratio in dense rows a fifth of which is nonzero.
    """
    d, nonzeros = 784, 100
    F = _logistic(_dense(int(4000 * share), d))
    product = _gram_time(F, np.inf, rounds) / (F.n_samples * d**2)
    F = _logistic(_sparse(int(10_000 * share), nonzeros, d))
    pair = _gram_time(F, nonzeros, rounds) / (F.rows.stored() ** 2 / F.n_samples)
    X = _dense(int(4000 * share), d)
    X[_random().random(X.shape) > 0.2] = 0.0
    F = _logistic(X)
    pairs = float(((X != 0.0).sum(axis=1) ** 2.0).sum())
    step = _gram_time(F, 0.0, rounds) / pairs
    return [product, pair, step / product]


def _around_matrices(rounds, share):
    """ns of a pair by the loop into a large matrix (CSR, 14 nonzeros in 1,000 columns), of a row
    beside its pairs and values (5 nonzeros in 50), and of an entry (1,000 columns, hardly a row).
    """
    F = _logistic(_sparse(int(20_000 * share), 14, 1000))
    far = _gram_time(F, 14, rounds) / (F.rows.stored() ** 2 / F.n_samples)
    F = _logistic(_sparse(int(50_000 * share), 5, 50))
    known = cost_model.LOOP_COST * 5 * F.rows.stored() + cost_model.VALUE * F.rows.stored()
    row = (_gram_time(F, 5, rounds) - known) / F.n_samples
    F = _logistic(_sparse(20, 2, 1000))
    curvatures = np.ones(F.n_samples)
    return [far, row, _best(rounds, lambda: F.gram(curvatures)) / F.n_features**2]


def _gram_time(F, row_length, rounds):
    """ns of a sum of weighted products of columns, by the way that this length of rows takes."""
    curvatures = _random().random(F.n_samples)
    matrices = np.zeros((1, F.n_features + 1, F.n_features + 1))
    where = F.ranges, np.array([0, len(F.ranges)]), 0, 1
    return _best(rounds, lambda: add_gram(F.rows, ALL, curvatures, *where, matrices, row_length))


def _factorisation(rounds, share):
    """Multiplications a ns of LAPACK's Cholesky factorisation, 1,000 columns, and its eigenvectors
    in units of such a factorisation, 300.
    """
    d = max(int(1000 * share), 20)
    matrix, smaller = (np.eye(size) + 0.5 / size for size in (d, max(3 * d // 10, 20)))
    factor = _best(rounds, lambda: cho_factor(matrix, check_finite=False))
    of_smaller = _best(rounds, lambda: cho_factor(smaller, check_finite=False))
    return [d**3 / 3.0 / factor, _best(rounds, lambda: eigh(smaller)) / of_smaller]


def _combinations(rounds, share):
    """ns a row of an iteration among past gradients beside a pass: 50,000 CSR rows, 14 nonzeros,
    120 columns, when all directions are there.
    """
    F = _logistic(_sparse(int(50_000 * share), 14, 120), alpha=1e-7)
    solver, times = RowSubspace(F), []
    for _ in range(rounds):
        state = solver.start(np.zeros(F.size))
        for iteration in range(solver.kept + 4):
            begin = time.thread_time_ns()
            solver.advance(state)
            if iteration >= solver.kept:
                times.append(time.thread_time_ns() - begin)
    one = _best(rounds, lambda: F.value_and_gradient(np.zeros(F.size)))
    return [(min(times) - one) / F.n_samples]


def _exclusive(rounds, share):
    """ns a row of a curvature matrix with exclusive columns apart, beside its pairs: 600,000 rows
    of seven categories, one of 1,000 levels.
    """
    n = max(int(600_000 * share), 20)
    levels, random = (1000, *[10] * 6), _random()
    starts = np.concatenate([[0], np.cumsum(levels)])
    columns = np.stack(
        [
            random.integers(size, size=n) + start
            for size, start in zip(levels, starts[:-1], strict=True)
        ],
        axis=1,
    )
    indptr = np.arange(0, columns.size + 1, len(levels), dtype=np.int32)
    parts = np.ones(columns.size), columns.ravel().astype(np.int32), indptr
    F = _logistic(sp.csr_array(parts, shape=(n, starts[-1])))
    matrix, curvatures = BorderedCurvature(F), np.ones(n)
    pairs = cost_model.LOOP_COST * (len(levels) + 1) ** 2
    return [_best(rounds, lambda: matrix.at(curvatures)) / n - pairs]


def _past_steps(rounds, share):
    """ns a column of an iteration of L-BFGS beside its passes, all pairs there: 2,000 CSR rows, 20
    nonzeros, 100,000 columns.
    """
    F = _logistic(_wide(int(2000 * share), 20, 100_000), alpha=1e-6)
    one = _best(rounds, lambda: F.value_and_gradient(np.zeros(F.size)))
    solver, times = LBFGS(F), []
    for _ in range(rounds):
        state = solver.start(np.zeros(F.size))
        for iteration in range(MEMORY + 4):
            begin, before = time.thread_time_ns(), F.passes
            solver.advance(state)
            if iteration >= MEMORY:
                times.append(time.thread_time_ns() - begin - (F.passes - before) * one)
    return [min(times) / F.n_features]


def _central_path(rounds, share):
    """ns a row of an iteration on the central path beside its matrix and passes: the hinge loss of
    100,000 rows of 5 columns.
    """
    X = _dense(int(100_000 * share), 5)
    y = np.where(X[:, 0] + _random().standard_normal(len(X)) > 0.0, 1.0, -1.0)
    F = Objective("hinge", X, y, alpha=1e-4, n_jobs=1)
    one = _best(rounds, lambda: F.value_and_gradient(np.zeros(F.size)))
    known = PATH_SWEEPS * one + _best(rounds, lambda: F.gram(np.ones(F.n_samples)))
    solver, times = CentralPath(F), []
    state = solver.start(np.zeros(F.size))
    for _ in range(rounds + 1):
        begin = time.thread_time_ns()
        solver.advance(state)
        times.append(time.thread_time_ns() - begin)
    return [(min(times) - known) / F.n_samples]


def _duals_loop(rounds, share):
    """ns a row of a loop over its dual variables: a hinge, as many rows."""
    F = Objective("hinge", _dense(int(100_000 * share), 1), np.ones(int(100_000 * share)), n_jobs=1)
    solver = CentralPath(F)
    state = solver.start(np.zeros(F.size))
    place = state.memory.products, 0.0, state.memory.duals, *np.zeros((2, F.n_samples))
    return [_best(rounds, lambda: solver.row_steps.begin(*place)) / F.n_samples]


def _column_values(rounds, share):
    """ns of a stored value in an epoch of coordinate descent on the columns, all of which move:
    20,000 CSR rows, 20 nonzeros, 2,000 columns.
    """
    F = _logistic(_sparse(int(20_000 * share), 20, 2000))
    d, n = F.n_features, F.n_samples
    data = ColumnSubset(F, F.rows).by_column(np.arange(d))
    order, ones = _random().permutation(d), np.ones(n)
    slopes = _random().standard_normal(n)

    def epoch():
        arrays = np.zeros(d), ones, slopes.copy(), np.zeros(d), np.zeros(d)
        kernels.column_epoch(data, order, *arrays, 1e-9, 1e-4, n, d)

    return [_best(rounds, epoch) / F.rows.stored()]


def _model_paths(rounds, share):
    """ns of the central path of a quadratic with an L1 part over the cube of its 700 unknowns."""
    size = max(int(700 * share), 20)
    images = _random().standard_normal((size, size))
    matrix = images @ images.T / size + 1e-3 * np.eye(size)
    gradient = _random().standard_normal(size)

    def follow():
        follow_central_path(matrix, gradient.copy(), np.zeros(size), 0.1, size)

    return [_best(rounds, follow) / size**3]


def _groups(rounds, share):
    """Products a ns of a Newton step and of an epoch of block coordinate descent by a matrix: 1,800
    features, 5 targets, half of the features 0 for all of them.
    """
    size, n_targets = 2 * max(int(900 * share), 10), 5
    images = _random().standard_normal((size, size))
    matrix = images @ images.T / size + np.eye(size)
    gradient, coef = _random().standard_normal((2, n_targets, size))
    coef[:, 1::2] = 0.0
    ones, zeros = np.ones(size), np.zeros(size)
    groups = FeatureGroups(np.arange(size), ones.astype(int), ones, zeros, zeros)
    model = MatrixModel(matrix, gradient, coef, zeros)
    descent = GroupDescent(model, coef, groups)
    numbers = descent.ends, groups.strengths, descent.curvatures, groups.l1
    n_moving = size // 2
    epoch = _best(rounds, lambda: model.epoch(coef, *numbers, False))
    step = _best(rounds, descent.settle)
    return [
        n_moving**2 * (n_moving + n_targets) / step,
        n_moving * size * n_targets / epoch,
    ]


def _vector_proofs(rounds, share):
    """ns of a proof for ten classes over rows and squared unknowns: 10,000 rows of 30 values."""
    F = _multinomial(_dense(int(10_000 * share), 30))
    F.know_null_model()
    value, gradient = F.value_and_gradient(np.zeros(F.size))
    proof = VectorNewtonProof(F)
    taken = _best(rounds, lambda: proof.prove(np.zeros(F.size), value, gradient, 1.0))
    return [taken / (F.n_samples * F.size**2)]


def _vector_steps(rounds, share):
    """ns of a step on a working set for three classes beside its passes: 15 rows of 30 columns."""
    X = _dense(15, 30)
    labels = np.arange(len(X)) % 3.0
    F = Objective(Multinomial(3), X, labels, penalty="l1", alpha=1e-3, n_jobs=1)
    one = _best(rounds, lambda: F.smooth_and_gradient(np.zeros(F.size)))
    times = []
    for _ in range(rounds + 1):
        solver = VectorWorkingSet(F)
        state = solver.start(np.zeros(F.size))
        begin, before = time.thread_time_ns(), F.passes
        for _ in range(3):
            solver.advance(state)
        taken = time.thread_time_ns() - begin - (F.passes - before) * one
        times.append(taken / max(state.updates, 1))
    return [min(times)]


def _batches(rounds, share):
    """Time of a visit of SAGA in batches of 8 over that of one on its own: 50,000 CSR rows, 14
    nonzeros, 1,000 columns.
    """
    F = _logistic(_sparse(int(50_000 * share), 14, 1000))
    one, many = (_epoch_time(Saga(F, batch=batch), rounds) for batch in (1, 8))
    return [many / one]


def _epoch_time(solver, rounds):
    state = solver.start(np.zeros(solver.objective.size))
    return _best(rounds, lambda: solver.advance(state))


def _visits(rounds, share):
    """ns a row of an epoch of dual ascent beside a pass (100,000 CSR rows, 14 nonzeros, 1,000
    columns), and ns a value of one of SAGA's beside that (20,000 rows, 120 nonzeros).
    """
    F = _logistic(_sparse(int(100_000 * share), 14, 1000))
    solver = Sdca(F, 0)
    times = []
    for _ in range(rounds + 1):
        state = solver.start(np.zeros(F.size))
        begin = time.thread_time_ns()
        solver.advance(state)
        times.append(time.thread_time_ns() - begin)
    one = _best(rounds, lambda: F.value_and_gradient(np.zeros(F.size)))
    visit = (min(times) - one) / F.n_samples
    F = _logistic(_sparse(int(20_000 * share), 120, 1000))
    one = _best(rounds, lambda: F.value_and_gradient(np.zeros(F.size)))
    rest = _epoch_time(Saga(F, batch=1), rounds) - one - visit * F.n_samples
    return [visit, rest / F.rows.stored()]


def _python(rounds, share):
    """ns of an iteration of the loop without rows to speak of: 50 rows of 3 columns, the slope
    between 129 and 1023 iterations of gradient descent, between which are three checks.
    """
    X = _dense(50, 3)
    few, many = (129, 1023) if share == 1.0 else (9, 31)

    def fit(iterations):
        settings = {"learning_rate": "constant", "eta0": 1e-3, "tol": None, "n_jobs": 1}
        model = GDClassifier(solver="gd", batch_size="full", max_iter=iterations, **settings)
        return lambda: model.fit(X, X[:, 0] > 0.0)

    return [(_best(rounds, fit(many)) - _best(rounds, fit(few))) / (many - few)]


def _handing(rounds, share):
    """Stored values whose reading takes 1 / 0.3 times as long as the other thread is late: what a
    pass over 20,000 rows of 54 columns takes on two threads beyond half of what it takes on one,
    by the clock.
    """
    X = _dense(int(20_000 * share), 54)
    one, two = (
        _best(
            100 * rounds, lambda F=F: F.value_and_gradient(np.zeros(F.size)), time.perf_counter_ns
        )
        for F in (_logistic(X), _logistic(X, n_threads=2))
    )
    return [max(two - one / 2, 0.0) / HANDING_SHARE / (one / X.size)]


CLASSES = 10
# What each function measures, in order.
MEASURES = {
    _passes: ("VALUE", "ROW", "COLUMN"),
    _visits: ("VISIT", "VISITED_VALUE"),
    _vector_passes: ("VECTOR_VALUE", "VECTOR_ROW"),
    _derivatives: ("DERIVATIVES",),
    _matrices: ("DENSE_COST", "LOOP_COST", "LOOP_STEP"),
    _around_matrices: ("FAR_LOOP_COST", "MATRIX_ROW", "MATRIX_ENTRY"),
    _factorisation: ("MULTIPLICATIONS", "EIGENVECTORS"),
    _combinations: ("COMBINATIONS",),
    _exclusive: ("OUT_OF_ORDER",),
    _past_steps: ("QUASI_NEWTON",),
    _central_path: ("PATH_ROW",),
    _duals_loop: ("DUALS_LOOP",),
    _column_values: ("COLUMN_VALUE",),
    _model_paths: ("MODEL_PATH",),
    _groups: ("GROUP_STEP", "GROUP_EPOCH"),
    _vector_proofs: ("VECTOR_PROOF",),
    _vector_steps: ("VECTOR_STEP",),
    _batches: ("BATCH_COST",),
    _python: ("PYTHON",),
    _handing: ("RANGE_OF_A_THREAD",),
}


def _best(rounds, call, clock=time.thread_time_ns):
    """Least ns of a call, after one that may compile: of this thread, as others may want the
    processor meanwhile.
    """
    call()
    times = []
    for _ in range(rounds):
        begin = clock()
        call()
        times.append(clock() - begin)
    return min(times)


def _random():
    return np.random.default_rng(0)


def _dense(n, d):
    return _random().standard_normal((max(n, 20), d))


def _sparse(n, nonzeros, d):
    """CSR rows with so many nonzeros each, in sorted columns."""
    n = max(n, 20)
    indices = np.argsort(_random().random((n, d)), axis=1)[:, :nonzeros].astype(np.int32)
    indptr = np.arange(0, n * nonzeros + 1, nonzeros, dtype=np.int32)
    values = _random().standard_normal(n * nonzeros)
    X = sp.csr_array((values, indices.ravel(), indptr), shape=(n, d))
    X.sort_indices()
    return X


def _wide(n, nonzeros, d):
    """CSR rows of about so many nonzeros, in sorted columns, of many."""
    n = max(n, 20)
    columns = _random().integers(d, size=n * nonzeros)
    starts = np.arange(0, n * nonzeros + 1, nonzeros)
    X = sp.csr_array((np.ones(columns.size), columns, starts), shape=(n, d))
    X.sum_duplicates()
    parts = X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return sp.csr_array(parts, shape=X.shape)


def _multinomial(X):
    """Multinomial loss of labels without a pattern."""
    labels = np.random.default_rng(1).integers(0, CLASSES, X.shape[0]).astype(float)
    return Objective(Multinomial(CLASSES), X, labels, alpha=1e-4, n_jobs=1)


def _logistic(X, alpha=1e-4, n_threads=1):
    """Log loss of labels that depend on the rows, with noise."""
    random = np.random.default_rng(1)
    scores = X @ random.standard_normal(X.shape[1]) + random.standard_normal(X.shape[0])
    return Objective(
        "log_loss", X, np.where(scores > 0.0, 1.0, -1.0), alpha=alpha, n_jobs=n_threads
    )
