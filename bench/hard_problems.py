"""Random problems that are meant to break claims, for `certify`: number `index` of `seed` is the
same everywhere.

Columns far from zero, raw integers beside one-hot columns, heavy tails, near copies, constant and
rare columns; weights over 24 orders of magnitude; every loss and penalty. Loss and storage change
once in `IN_A_ROW` problems, for each pair of them compiles its own kernels.
"""

import zlib
from dataclasses import dataclass, field, fields

import numpy as np
import scipy.sparse as sp

from fastgd import Loss, Multinomial
from fastgd.losses.domain import REALS

from . import exact, structures
from .own_losses import Counts, Expectile, UnevenSquares

IN_A_ROW = 8
MAX_ROWS = 50_000
MAX_COLUMNS = 20_000
MAX_VALUES = 2e7
# Shares of the sizes n d (of sparse data: stored values), as powers of ten: most are small, for
# fits of a few ms.
SIZES = (
    ((0.0, 3.0), 0.35),
    ((3.0, 4.5), 0.43),
    ((4.5, 5.5), 0.17),
    ((5.5, 6.5), 0.04),
    ((6.5, 7.3), 0.01),
)
STORAGES = {
    "dense": 4,
    "F": 2,
    "float32": 1,
    "strided": 1,
    "csr": 4,
    "csr int64": 1,
    "csr float32": 1,
}
COLUMNS = (
    "normal",
    "raw",
    "far",
    "heavy",
    "binary",
    "copies",
    "constant",
    "rare",
    "counts",
    "scaled",
)
SPARSE = {"onehot": 1, "random": 1.5, "onehot beside raw": 2, "far beside onehot": 1}
# What is other in the problem that a fit goes on from (`warm_start`).
EARLIER = ("alpha", "columns", "rows", "targets")
FORMS = 0.1  # share of a quadratic form, of the problems with an L2 part and without a structure
MAX_FOR_FORM = 500  # columns: its eigenvalues are looked at
# Built-in losses are in the registry; three of a user. The perceptron is a rule without a bound.
OWN = {"expectile": Expectile, "uneven_squares": UnevenSquares, "counts": Counts}
# of a far column, in units of its last place: below, nothing is left to be learned from it
MIN_SPREAD = 50.0


@dataclass
class HardProblem:
    """Data, loss and penalty of one problem; `kinds` says how it was made."""

    seed: int
    index: int
    X: object
    y: np.ndarray
    loss: object
    penalty: str | None
    alpha: float
    l1_ratio: float
    fit_intercept: bool
    tol: float
    sample_weight: np.ndarray | None
    offset: np.ndarray | None
    storage: str
    kinds: list = field(default_factory=list)
    structure: dict = field(default_factory=dict)

    @property
    def penalty_parameters(self):
        """What an estimator is given of the penalty."""
        found = structures.parameters(self.structure, self.penalty, self.l1_ratio)
        return {"l1_ratio": self.l1_ratio, "alpha": self.alpha, **found}

    @property
    def classification(self):
        return self.loss.classification

    @property
    def n_predictions(self):
        """Scores of a row: one for each of several classes, or targets."""
        if self.loss.name == "multinomial":
            return int(self.loss.n_classes)
        return self.y.shape[1] if self.y.ndim == 2 else 1

    @property
    def weights(self):
        return np.ones(len(self.y)) if self.sample_weight is None else self.sample_weight

    @property
    def l1(self):
        return self.alpha * self.l1_ratio

    @property
    def l2(self):
        return self.alpha * (1.0 - self.l1_ratio)

    @property
    def stored(self):
        return int(self.X.nnz if sp.issparse(self.X) else self.X.size)

    def describe(self):
        parameters = {one.name: getattr(self.loss, one.name) for one in fields(self.loss)}
        return {
            "n_samples": self.X.shape[0],
            "n_features": self.X.shape[1],
            "stored": self.stored,
            "storage": self.storage,
            "kinds": self.kinds,
            "loss": self.loss.name,
            **parameters,
            "penalty": self.penalty,
            "alpha": self.alpha,
            "l1_ratio": self.l1_ratio,
            "fit_intercept": self.fit_intercept,
            "tol": self.tol,
            "weights": self.sample_weight is not None,
            "offset": self.offset is not None,
            "structure": self.structure,
        }

    def print_of_data(self):
        """A number that is another one where the generator has changed since a finding was
        saved.
        """
        parts = [self.y, self.weights, np.zeros(0) if self.offset is None else self.offset]
        parts += (
            [self.X.data, self.X.indices] if sp.issparse(self.X) else [np.ascontiguousarray(self.X)]
        )
        found = 0
        for part in parts:
            found = zlib.crc32(np.ascontiguousarray(part).tobytes(), found)
        return found

    def save(self, path):
        """Write the problem as it is, for a generator may change; `load` reads it."""
        parts = {"y": self.y, "weights": self.sample_weight, "offset": self.offset}
        parts = {name: part for name, part in parts.items() if part is not None}
        if sp.issparse(self.X):
            parts |= {"data": self.X.data, "indices": self.X.indices, "indptr": self.X.indptr}
        else:
            parts["X"] = np.ascontiguousarray(self.X)
        np.savez_compressed(path, **parts)


def load(path, described, seed, index):
    """Problem whose data `save` wrote and whose other parts `describe` told."""
    d = described
    with np.load(path) as file:
        parts = {name: file[name] for name in file.files}
    X = parts.get("X")
    if X is None:
        X = sp.csr_array(
            (parts["data"], parts["indices"], parts["indptr"]),
            shape=(d["n_samples"], d["n_features"]),
        )
    kind = {**OWN, "multinomial": Multinomial}.get(d["loss"]) or Loss.named(d["loss"])
    return HardProblem(
        seed,
        index,
        stored_as(X, d["storage"]),
        parts["y"],
        kind(*(d[one.name] for one in fields(kind))),
        d["penalty"],
        d["alpha"],
        d["l1_ratio"],
        d["fit_intercept"],
        d["tol"],
        parts.get("weights"),
        parts.get("offset"),
        d["storage"],
        d["kinds"],
        d.get("structure", {}),
    )


def losses():
    """Names of the losses that are tried: every one of the registry that `exact` knows, and two
    of a user.
    """
    return sorted(name for name in {**Loss.members(), **OWN} if name in exact.LOSSES)


def make(seed, index):
    """Problem number `index` of `seed`."""
    of_block = np.random.default_rng([seed, index // IN_A_ROW, 1])
    # Blocks go through the losses in a new order each time, so that a short run meets all of them.
    names = losses()
    cycle, place = divmod(index // IN_A_ROW, len(names))
    name = np.random.default_rng([seed, cycle, 2]).permutation(names)[place]
    storage = one_of(of_block, STORAGES)
    rng = np.random.default_rng([seed, index, 3])
    loss = loss_named(rng, str(name))
    X, kinds = matrix_of(rng, storage, 2 if loss.classification else 1)
    score = score_of(rng, X)
    y = targets_of(rng, loss, score)
    n = y.size
    penalty, alpha, l1_ratio = penalty_of(rng, n)
    tol = float(10.0 ** rng.choice([-rng.uniform(2, 6), -rng.uniform(6, 10)], p=[0.75, 0.25]))
    weights = weights_of(rng, n)
    if loss.classification and weights is not None:
        count_each_class(y, weights)
    structure = {}
    if penalty is not None:
        structure = structures.draw(np.random.default_rng([seed, index, 5]), X.shape[1])
        structure = structure or form_of(np.random.default_rng([seed, index, 6]), X, penalty)
    offset = None
    if rng.random() < 0.15:
        offset = rng.normal(size=n) * (y.std() + 1e-3 if loss.target_domain == REALS else 1.0)
    return HardProblem(
        seed,
        index,
        stored_as(X, storage),
        y,
        loss,
        penalty,
        alpha,
        l1_ratio,
        bool(rng.random() < 0.75),
        tol,
        weights,
        offset,
        storage,
        kinds,
        structure,
    )


def form_of(rng, X, penalty):
    """A quadratic form in place of the L2 part, for some of the problems that have one."""
    share = FORMS if penalty in ("l2", "elasticnet") and X.shape[1] <= MAX_FOR_FORM else 0.0
    return structures.draw_form(rng, X.shape[1]) if rng.random() < share else {}


def one_of(rng, shares):
    """A key of `shares`, as often as its value says."""
    return str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))


def _shape(rng, least):
    """(values, rows), at least so many rows."""
    low, high = SIZES[rng.choice(len(SIZES), p=[share for _, share in SIZES])][0]
    size = min(10.0 ** rng.uniform(low, high), MAX_VALUES)
    return size, int(np.clip(10.0 ** rng.uniform(0.0, np.log10(MAX_ROWS)), least, max(least, size)))


def matrix_of(rng, storage, least):
    if storage.startswith("csr") and rng.random() < 0.8:
        return _sparse_matrix(rng, least)
    size, n = _shape(rng, least)
    d = int(np.clip(size / n, 1, MAX_COLUMNS))
    X, kinds = _dense_columns(rng, n, d)
    return (sp.csr_array(X) if storage.startswith("csr") else X), kinds


def _dense_columns(rng, n, d, kinds=None):
    """(n, d) columns of one to three kinds, in any order."""
    if kinds is None:
        kinds = [str(kind) for kind in rng.choice(COLUMNS, size=rng.integers(1, 4), replace=False)]
    X, made = np.empty((n, d)), []
    places = np.array_split(rng.permutation(d), len(kinds))
    # Copies of what is there by then.
    late = [k for k, kind in enumerate(kinds) if kind == "copies"]
    for k in [k for k in range(len(kinds)) if k not in late] + late:
        here = places[k]
        X[:, here] = columns(rng, kinds[k], n, here.size, X[:, made] if made else None)
        made += list(here)
    return X, kinds


def columns(rng, kind, n, m, there):
    """`m` columns of a kind; `there` are the columns made before them."""
    if kind == "copies":
        if there is None:
            there = rng.normal(size=(n, max(1, m // 3)))
        source = there[:, rng.integers(there.shape[1], size=m)]
        spread = source.std(axis=0)
        apart = 10.0 ** -rng.uniform(1, 9) if rng.random() < 0.8 else 0.0
        return source + apart * np.where(spread > 0.0, spread, 1.0) * rng.normal(size=(n, m))
    Z = rng.normal(size=(n, m))
    if kind == "normal":
        return Z
    if kind == "raw":
        return np.floor(rng.uniform(0.0, 10.0 ** rng.uniform(1, 8, size=m), size=(n, m)))
    if kind == "far":
        means = 10.0 ** rng.uniform(3, 12, size=m) * rng.choice([-1.0, 1.0], size=m)
        spreads = np.maximum(
            10.0 ** -rng.uniform(1, 11, size=m) * np.abs(means),
            MIN_SPREAD * np.spacing(np.abs(means)),
        )
        return means + spreads * (Z if rng.random() < 0.5 else rng.random((n, m)))
    if kind == "heavy":
        return np.exp(rng.uniform(0.5, 4.0) * Z)
    if kind == "binary":
        return (rng.uniform(-1.0, 2.0, size=m) < Z).astype(float)
    if kind == "constant":
        return np.tile(rng.choice([0.0, 1.0, 1e6, -3.7, 1e-9], size=m), (n, 1))
    if kind == "rare":
        X = np.zeros((n, m))
        few = int(rng.integers(1, 4))
        X[rng.integers(n, size=(few, m)), np.arange(m)] = 10.0 ** rng.uniform(-2, 4, size=(few, m))
        return X
    if kind == "counts":
        return rng.poisson(10.0 ** rng.uniform(-1, 2, size=m), size=(n, m)).astype(float)
    return Z * 10.0 ** rng.uniform(-9, 6, size=m)  # scaled


def _one_hot(rng, n, levels):
    level = rng.zipf(1.2, n) % levels if rng.random() < 0.6 else rng.integers(levels, size=n)
    return sp.csr_array((np.ones(n), (np.arange(n), level)), shape=(n, levels))


def _sparse_matrix(rng, least):
    kind = one_of(rng, SPARSE)
    size, n = _shape(rng, least)
    a_row = max(1, int(size / n))
    if kind == "random":
        d = int(np.clip(10.0 ** rng.uniform(0.0, np.log10(MAX_COLUMNS)), 1, MAX_COLUMNS))
        count = min(n * min(a_row, d), int(MAX_VALUES))
        values = rng.choice(["one", "heavy", "normal"])
        Z = rng.normal(size=count)
        data = {"one": np.ones(count), "heavy": np.exp(rng.uniform(0.5, 4.0) * Z), "normal": Z}[
            values
        ]
        column = rng.integers(d, size=count) if rng.random() < 0.4 else rng.zipf(1.3, count) % d
        X = sp.coo_array((data, (rng.integers(n, size=count), column)), shape=(n, d)).tocsr()
        return X, [kind, str(values)]
    factors = int(rng.integers(1, 4))
    # Many levels half of the time: more columns than a curvature matrix is formed for.
    reach = (0.3, 3.0) if rng.random() < 0.5 else (3.0, 3.8)
    blocks = [_one_hot(rng, n, int(10.0 ** rng.uniform(*reach))) for _ in range(factors)]
    kinds = [kind]
    if kind != "onehot":
        of = (
            ["far"]
            if kind.startswith("far")
            else ["raw"]
            if rng.random() < 0.5
            else ["raw", "heavy"]
        )
        dense, _ = _dense_columns(rng, n, int(np.clip(a_row - factors, len(of), 20)), of)
        blocks.append(sp.csr_array(dense))
        kinds += of
    return sp.csr_array(sp.hstack(blocks)), kinds


def stored_as(X, storage):
    """The same numbers (as float32: the nearest ones) in the storage that is asked for."""
    if storage.startswith("csr"):
        X = sp.csr_array(X)
        X.sum_duplicates()
        dtype = np.int64 if storage.endswith("int64") else np.int32
        data = X.data.astype(np.float32) if storage.endswith("float32") else X.data
        made = sp.csr_array((data, X.indices.astype(dtype), X.indptr.astype(dtype)), shape=X.shape)
        made.has_canonical_format = True
        return made
    if storage == "F":
        return np.asfortranarray(X)
    if storage == "strided":
        wide = np.zeros((X.shape[0], 2 * X.shape[1]))
        wide[:, ::2] = X
        return wide[:, ::2]
    return np.ascontiguousarray(X, dtype=np.float32 if storage == "float32" else np.float64)


def loss_named(rng, name):
    if name == "quantile":
        return Loss.named(name)(float(rng.choice([0.01, 0.2, 0.5, 0.8, 0.95])))
    if name == "expectile":
        return Expectile(float(rng.choice([0.1, 0.5, 0.9])))
    if name == "huber":
        return Loss.named(name)(float(rng.choice([1e-3, 0.1, 1.35])))
    if name.endswith("epsilon_insensitive"):
        return Loss.named(name)(float(rng.choice([0.0, 0.1, 0.5])))
    if name == "tweedie":
        return Loss.named(name)(float(rng.choice([1.0, 1.1, 1.5, 1.9, 2.0, 2.5, 3.0])))
    if name == "negative_binomial":
        return Loss.named(name)(float(10.0 ** rng.uniform(-4, 1)))
    return OWN[name]() if name in OWN else Loss.named(name)()


def score_of(rng, X):
    """A standardised score of each row, from a few columns, each of unit spread."""
    n, d = X.shape
    chosen = rng.choice(d, size=min(d, int(rng.integers(1, 30))), replace=False)
    part = np.asarray(X[:, chosen].toarray() if sp.issparse(X) else X[:, chosen], dtype=np.float64)
    part = part - part[:1]  # exact for columns far from zero
    part -= part.mean(axis=0)
    spread = part.std(axis=0)
    score = (part / np.where(spread > 0.0, spread, 1.0)) @ rng.normal(size=chosen.size)
    return score / score.std() if score.std() > 0.0 else rng.normal(size=n)


def targets_of(rng, loss, score):
    n = score.size
    level = float(rng.choice([0.0, 1e-3, 0.3, 1.0, 3.0]))
    if loss.classification:
        noisy = score + level * rng.logistic(size=n)
        order = np.argsort(noisy, kind="stable")
        share = float(rng.choice([0.5, 0.3, 0.1, 0.01]))
        y = np.full(n, -1.0)
        y[order[n - int(np.clip(round(share * n), 1, n - 1)) :]] = 1.0
        return y
    if loss.target_domain != REALS:
        return positive_targets(rng, loss.target_domain, score, level)
    tails = rng.random() < 0.3
    y = score + level * (
        np.clip(rng.standard_t(1.5, size=n), -1e6, 1e6) if tails else rng.normal(size=n)
    )
    if rng.random() < 0.15:
        y = y + 1e5 * (rng.random(n) < 0.05)
    if rng.random() < 0.1:
        y = np.round(y)  # ties: many optima
    if rng.random() < 0.3:
        y = y * 10.0 ** rng.uniform(-4, 5)
    if rng.random() < 0.25:
        y = y + 10.0 ** rng.uniform(0, 6)
    return y


def positive_targets(rng, domain, score, level):
    """Counts and amounts, with zeros where the domain has 0, or shares of a few trials."""
    n = score.size
    mean = np.exp(np.clip(score * rng.uniform(0.1, 1.5), -8.0, 8.0))
    if domain.high == 1.0:
        trials = rng.integers(1, rng.choice([2, 5, 100]), size=n)
        return rng.binomial(trials, mean / (1.0 + mean)) / trials
    mean = np.minimum(mean * 10.0 ** rng.uniform(-1, 3), 1e6)
    counts = rng.poisson(mean).astype(float)
    if domain.low_closed and rng.random() < 0.6:
        return counts
    amounts = rng.gamma(1.0 / (0.1 + level), 0.1 + level, size=n) + 1e-6
    return amounts * (counts if domain.low_closed else mean)


def penalty_of(rng, n):
    penalty = rng.choice(["l2", "l1", "elasticnet", "none"], p=[0.5, 0.15, 0.2, 0.15])
    if penalty == "none":
        return None, 0.0, 0.0
    alpha = float(
        rng.choice([1e-4, 1.0 / n, 10.0 ** rng.uniform(-9, 3), 0.0], p=[0.2, 0.15, 0.6, 0.05])
    )
    ratio = {"l2": 0.0, "l1": 1.0}.get(str(penalty)) if penalty != "elasticnet" else None
    return (
        str(penalty),
        alpha,
        float(rng.choice([0.01, 0.15, 0.5, 0.9])) if ratio is None else ratio,
    )


def weights_of(rng, n):
    kind = rng.choice(["none", "even", "some", "counts", "orders"], p=[0.6, 0.1, 0.08, 0.07, 0.15])
    if kind == "none":
        return None
    if kind == "even":
        return rng.uniform(0.1, 2.0, size=n)
    if kind == "orders":
        reach = rng.uniform(1, 12)
        return 10.0 ** rng.uniform(-reach, reach, size=n)
    weights = (
        (rng.random(n) < 0.7).astype(float)
        if kind == "some"
        else rng.poisson(1.5, size=n).astype(float)
    )
    if not weights.any():
        weights[0] = 1.0
    return weights


def count_each_class(y, weights):
    """Give the rows of a class that has none some weight, in place."""
    for label in np.unique(y):
        if not weights[y == label].any():
            weights[y == label] = weights.max()


def settings(problem):
    """Parameters of the fits of a problem: `auto` first, then a few solvers with the same tol."""
    rng = np.random.default_rng([problem.seed, problem.index, 4])
    smooth = problem.loss.smooth
    l1 = problem.l1
    l2 = problem.l2
    iterations = {
        "rows": most_iterations(2e7, problem.stored * problem.n_predictions),
        "full": most_iterations(3e8, problem.stored * problem.n_predictions),
    }
    auto = {"solver": "auto"}
    if rng.random() < 0.06:
        auto["max_iter"] = int(rng.choice([1, 2, 3, 5, 20]))
    found = [auto]
    if problem.structure:
        other = {"solver": "newton"}
        if problem.n_predictions > 1:
            other = {"solver": "gd", "batch_size": "full", "max_iter": iterations["full"]}
        found = [auto, other, {"solver": "nesterov", "batch_size": "full"}]
        if "concave" in problem.structure:  # of rules on all rows, too, and not of rows
            full = {"solver": "gd", "batch_size": "full", "max_iter": iterations["full"]}
            found += [full, full | {"learning_rate": "constant", "eta0": 1e-3}]
        return found
    own = [{"solver": "nesterov", "batch_size": "full", "max_iter": iterations["full"]}]
    own += [{"solver": "gd", "batch_size": "full", "max_iter": iterations["full"]}]
    if smooth and not l1:
        own += [
            {"solver": "lbfgs"},
            {"solver": "newton"},
            {"solver": "newton", "batch_size": "full"},
        ]
        own += [{"solver": "lbfgs", "batch_size": "growing"}]
    else:
        own += [{"solver": "newton"}]
    if l2:
        own += [{"solver": "sdca", "max_iter": iterations["rows"]}]
    if smooth:
        own += [
            {"solver": "saga", "max_iter": iterations["rows"]},
            {"solver": "svrg", "max_iter": iterations["rows"]},
        ]
    if smooth and not l1:
        own += [
            {
                "solver": str(rng.choice(["saga", "svrg"])),
                "batch_size": "growing",
                "max_iter": iterations["rows"],
            }
        ]
    if not smooth:
        own += [{"solver": "auto", "batch_size": "full"}]
    rows = [
        {"solver": rule, "batch_size": batch, "max_iter": iterations["rows"]}
        for rule in ("gd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
        for batch in (1, 16)
    ]
    full = [
        {"solver": rule, "batch_size": "full", "max_iter": iterations["full"]}
        for rule in ("momentum", "adagrad", "rmsprop", "adam")
    ]
    rates = [
        {
            "solver": "gd",
            "batch_size": "full",
            "learning_rate": "line_search",
            "max_iter": iterations["full"],
        }
    ]
    rates += [
        {
            "solver": "gd",
            "batch_size": batch,
            "learning_rate": rate,
            "max_iter": iterations["rows"],
            "eta0": eta0,
        }
        for batch in (1, "full")
        for rate in ("constant", "invscaling", "optimal", "adaptive")
        for eta0 in (1e-3, 0.1)
    ]
    if not smooth and problem.loss.name in ("hinge", "epsilon_insensitive"):
        rates += [
            {
                "solver": "gd",
                "batch_size": 1,
                "learning_rate": "pa1",
                "max_iter": iterations["rows"],
            }
        ]
    for group, count in ((own, 6), (rows, 2), (full + rates, 1)):
        chosen = rng.choice(len(group), size=min(count, len(group)), replace=False)
        found += [group[k] for k in sorted(chosen)]
    found = [
        {**one, "average": True} if one in rows and rng.random() < 0.15 else one for one in found
    ]
    return [
        {**one, "after": str(rng.choice(EARLIER))} if rng.random() < 0.1 else one for one in found
    ]


def earlier(problem, what):
    """(X, y, share of alpha) of another problem, of which nothing may be claimed of this one."""
    X, y = problem.X, problem.y
    if what == "columns":
        X = X[:, ::-1]
    elif what == "rows":
        X = X[::-1]
    elif what == "targets":
        y = y[::-1]
    return X, y, 100.0 if what == "alpha" else 1.0


def most_iterations(values, stored):
    """Most iterations, so that one fit does not eat the run: by counts, for the same fit on every
    machine.
    """
    return int(np.clip(values / max(stored, 1), 20, 1000))


def kind_of(setting):
    """Which of "auto", "own" (steps of its own), "rows" (a row or a few, ends on estimates),
    "rates" (explicit).
    """
    if setting.get("learning_rate", "auto") not in ("auto", "line_search"):
        return "rates"
    if setting["solver"] == "auto":
        return "auto"
    if (
        setting["solver"] in ("lbfgs", "newton", "saga", "svrg", "sdca")
        or setting.get("batch_size") == "full"
    ):
        return "own"
    return "rows"
