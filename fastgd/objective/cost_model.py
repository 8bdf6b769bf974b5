"""What things cost on a machine, in ns or as ratios of times, and what that is in passes: the
numbers that plans rest on.

They were measured on two kinds of AMD EPYC cores, one thread, and are shipped: a plan depends on
the data and never on a clock, so that the same fit takes the same path everywhere.
`python -m bench calibrate` measures them again, prints them beside these and changes nothing.
"""

import math

import numpy as np

from fastgd.data import tile_sizes
from fastgd.objective.measured import measured_once
from fastgd.objective.moments import sampled_nonzeros
from fastgd.runtime.threads import MIN_PER_THREAD


class Cost(float):
    """A number that was measured, with its unit and how it was measured; it calculates as any
    float does.

    A constant at the head of a file that is a `Cost` is found by `declared_in`.

    Parameters
    ----------
    value : float
    unit : str
    measured : str
        What was measured, on which shapes, with the figures.

    Examples
    --------
    >>> row = Cost(25.0, "ns a row", "27 with 54 dense columns")
    >>> 2.0 * row, row.unit
    (50.0, 'ns a row')
    """

    unit: str
    measured: str

    def __new__(cls, value, unit, measured):
        """A float that knows where it is from."""
        cost = super().__new__(cls, value)
        cost.unit, cost.measured = unit, measured
        return cost

    def __getnewargs__(self):
        """What pickles and copies are made from."""
        return float(self), self.unit, self.measured


def declared_in(module):
    """The costs among the constants of a module, by name, in the order of the file.

    Examples
    --------
    >>> from fastgd.objective import cost_model
    >>> list(declared_in(cost_model))[:2]
    ['VALUE', 'ROW']
    """
    return {name: cost for name, cost in vars(module).items() if isinstance(cost, Cost)}


VALUE = Cost(
    1.0,
    "ns a stored value",
    "Value and gradient of the log loss: the slope over stored values, dense and CSR.",
)
ROW = Cost(
    8.0,
    "ns a row",
    "The rest of the same passes, least squares over seven shapes: 6 to 8.",
)
COLUMN = Cost(
    8.0,
    "ns a column",
    "What a pass takes for each column, arrays being cleared and added: texts of 20,000 and "
    "100,000 columns.",
)
VISIT = Cost(
    150.0,
    "ns a row",
    "A visit to a single row in random order beside what the row takes in a pass: dual ascent, 110 "
    "to 170, hinge, squared and log loss, 8 to 300 values in a row.",
)
VISITED_VALUE = Cost(
    1.5,
    "ns a stored value",
    "The same where each value moves a coefficient of its own and a mean: SAGA.",
)
DERIVATIVES = Cost(
    10.0,
    "ns a row",
    "Loss, derivative and curvature of a row whose prediction is known: log loss.",
)
DENSE_COST = Cost(
    0.03,
    "ns a product",
    "A curvature matrix by BLAS, per value and column: 19 us a row with 784 columns.",
)
LOOP_COST = Cost(
    0.3,
    "ns a pair",
    "A curvature matrix by the loop, per two nonzeros of a row, half of which it multiplies: 8 us "
    "a row with 157 of 784 columns.",
)
FAR_LOOP_COST = Cost(
    1.4,
    "ns a pair",
    "The same where a cache close to the processor does not hold what it is added to: 14 nonzeros "
    "in 1,000 columns.",
)
MATRIX_ROW = Cost(
    25.0,
    "ns a row",
    "What a row takes beside these and beside a look at its values, dense and CSR.",
)
MATRIX_ENTRY = Cost(
    6.0,
    "ns an entry",
    "Clearing blocks of a curvature matrix, adding and scaling them: 300 and 1,000 columns.",
)
OUT_OF_ORDER = Cost(
    85.0,
    "ns a row",
    "A curvature matrix with exclusive columns apart, beside its pairs: 106 in all where rows have "
    "7 nonzeros, which lie anywhere in the order of these columns.",
)
# Not LOOP_COST / DENSE_COST: those are rounded, and this was measured where both take as long.
LOOP_STEP = Cost(
    11.0,
    "products by BLAS",
    "What takes as long as a pair by the loop: dense rows of 784 columns, a fifth nonzero.",
)
MULTIPLICATIONS = Cost(
    15.0,
    "a ns",
    "A Cholesky factorisation of d columns takes d^3 / 3 of them: 1,000 columns.",
)
EIGENVECTORS = Cost(
    35.0,
    "Cholesky factorisations",
    "All eigenvalues and eigenvectors of a symmetric matrix: 41 of 300 columns, 35 of 1,000.",
)
COMBINATIONS = Cost(
    120.0,
    "ns a row",
    "An iteration of Newton's method among past gradients, beside its pass: CSR, 14 nonzeros.",
)
QUASI_NEWTON = Cost(
    35.0,
    "ns a column",
    "What an iteration of L-BFGS takes beside its passes, with ten pairs: texts of 20,000 and "
    "100,000 columns.",
)
PATH_ROW = Cost(
    200.0,
    "ns a row",
    "What the two dual variables of a row take in an iteration on the central path, beside its "
    "matrix and three passes.",
)
DUALS_LOOP = Cost(
    4.0,
    "ns a piece of a row",
    "A loop over the dual variables of rows there: 3 to 3.5 of a hinge, 4.3 to 4.9 of two pieces.",
)
COLUMN_VALUE = Cost(
    3.0,
    "ns a stored value",
    "A visit of coordinate descent to a compressed column, which is read twice.",
)
MODEL_PATH = Cost(
    0.15,
    "ns an unknown cubed",
    "The central path of a quadratic with an L1 part: 45 ms with 700 unknowns, 350 with 1,300.",
)
GROUP_STEP = Cost(
    6.0,
    "products a ns",
    "A Newton step of n features in groups takes n^3: 117 ms with 900 of 1,800 and 5 targets.",
)
GROUP_EPOCH = Cost(
    4.0,
    "products a ns",
    "An epoch of block coordinate descent takes n d K: 2.1 ms with 900 of 1,800 and 5 targets.",
)
VECTOR_VALUE = Cost(
    0.45,
    "ns a product",
    "A pass for K predictions, per stored value and prediction: 64 and 784 dense columns, K = 10.",
)
VECTOR_ROW = Cost(
    12.0,
    "ns a prediction",
    "The rest of the same passes, mostly exponentials.",
)
VECTOR_PROOF = Cost(
    0.05,
    "ns an unknown squared",
    "A curvature matrix of K predictions and the longest row in its norm, for each row.",
)
VECTOR_STEP = Cost(
    3e5,
    "ns a step",
    "A step on a working set for K predictions, with a matrix for each, beside its pass: 15 rows "
    "of 30 columns, 3 classes.",
)
BATCH_COST = Cost(
    1.5,
    "visits",
    "A visit of SAGA in a batch, in visits on its own: columns are collected, and rows are read "
    "twice.",
)
PYTHON = Cost(
    1e5,
    "ns an iteration",
    "What an iteration of the loop takes beside the rows: gradient descent on 50 rows.",
)
# Declared where it is read, in a package above this one: handing a range to a thread takes 30 us,
# and may take 0.3 of what the range does.
RANGE_OF_A_THREAD = Cost(
    MIN_PER_THREAD,
    "stored values",
    "What takes over three times as long to read as a range takes to be handed to a thread.",
)


def values_of(objective):
    """Stored values that a cost is made of.

    Of narrow data, whose zeros an objective does not count, as if all were stored: what solvers
    decide by costs is then the same for dense and CSR rows.
    """
    F = objective
    return F.n_nonzeros if is_full(F) else F.rows.stored()


def is_full(objective):
    """Whether all values count as stored: in narrow data they do."""
    return objective.n_nonzeros == objective.n_samples * objective.n_features


def pass_cost(objective):
    """Time of a pass in ns, reading included."""
    F = objective
    if F.vector:
        return vector_pass_cost(F)
    computing = VALUE * values_of(F) + ROW * F.n_samples + COLUMN * F.n_features
    return on_workers(F, computing) + reading_cost(F)


def reading_cost(objective, n_numbers=None):
    """What all rows take beside computing, in ns: a round where they are on a cluster, which brings
    so many numbers back, by default those of a gradient; a reading where they are in files.
    """
    F = objective
    return 0.0 if F.rows.in_memory else F.rows.reading_cost(n_numbers or F.size)


def on_workers(objective, computing):
    """What `computing` over all rows takes in ns: on a cluster each group of blocks may have a
    worker of its own, and plans must not depend on how many there are.
    """
    rows = objective.rows
    return computing if rows.in_memory else computing / rows.most_workers


def reading_share(objective):
    """How many passes' worth of computing each reading, or round, takes beside its own."""
    reading = reading_cost(objective)
    return reading / (pass_cost(objective) - reading)


def visit_cost(objective):
    """An epoch of visits to single rows in random order, in passes' worth of time."""
    return 1.0 + VISIT * objective.n_samples / pass_cost(objective)


def vector_pass_cost(objective):
    """Time of a pass for K predictions in ns, reading included."""
    F = objective
    computing = F.n_predictions * (VECTOR_VALUE * values_of(F) + VECTOR_ROW * F.n_samples)
    return on_workers(F, computing) + reading_cost(F)


def loops(rows, row_length):
    """Whether the loop over the nonzeros, `row_length` of them in a row, is the faster way to a
    curvature matrix.
    """
    return rows.sparse or are_few(row_length, rows.shape()[1])


def are_few(row_length, n_features):
    """Whether rows have so few nonzeros that the loop over them is the faster way even where
    zeros are stored.
    """
    return LOOP_STEP * row_length**2 < n_features**2


def pair_cost(nonzeros):
    """Ns of a pair of nonzeros by the loop, into a matrix of columns that have so many each.

    Near are those of the columns that have most whose matrix a cache close to the processor holds.
    A pair took 0.5 ns with 1,000 columns of which 50 have nearly all, 1.2 to 1.8 with 1,000 that
    are alike: counted by the number of columns alone, one-hot columns, 299,285 x 510, were told 42
    passes a matrix and took 9.
    """
    n_near = math.isqrt(2 * tile_sizes.VALUES)
    if nonzeros.size <= n_near:
        return float(LOOP_COST)
    most = np.partition(nonzeros, -n_near)[-n_near:]
    near = (float(most.sum()) / max(float(nonzeros.sum()), 1.0)) ** 2
    return near * LOOP_COST + (1.0 - near) * FAR_LOOP_COST


def curvature_cost(objective):
    """A curvature matrix in passes' worth of time."""
    F = objective
    stored = max(values_of(F), F.n_samples)
    nonzeros = min(F.row_length, stored / F.n_samples)
    products = (
        pair_cost(measured_once(F, sampled_nonzeros)[0]) * nonzeros**2 * F.n_samples
        if not is_full(F) and loops(F.rows, nonzeros)
        else DENSE_COST * stored * F.n_features
    )
    around = VALUE * stored + MATRIX_ROW * F.n_samples + MATRIX_ENTRY * F.n_features**2
    made = on_workers(F, products + around) + reading_cost(F, F.n_features**2)
    return made / pass_cost(F)


def columns_cost(objective, size):
    """A curvature matrix of so many of the columns, in passes' worth of time, where these hold
    their share of the values.
    """
    F = objective
    in_a_row = F.rows.stored() / F.n_samples * size / F.n_features
    pairs = LOOP_COST * max(in_a_row, 1.0) ** 2 if F.rows.sparse else DENSE_COST * float(size) ** 2
    return ((pairs + MATRIX_ROW) * F.n_samples + MATRIX_ENTRY * float(size) ** 2) / pass_cost(F)


def solving_cost(objective, size):
    """A Cholesky factorisation of a matrix of so many columns, scaled and copied before, in passes'
    worth of time.
    """
    time = size**3 / 3.0 / MULTIPLICATIONS + MATRIX_ENTRY * size**2
    return time / pass_cost(objective)


def eigenvector_cost(objective, size):
    """Eigenvectors of a matrix of so many columns, in passes' worth of time."""
    return EIGENVECTORS * solving_cost(objective, size)
