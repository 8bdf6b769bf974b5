"""Problems of all kinds and sizes, for `regret`: scikit-learn's data sets, random ones, and the
suite's cases.

`hard_problems` break claims with data that nobody should give to a solver; these are what people
do give to one. Number `index` of `seed` is the same everywhere. Loss and storage change once in
`IN_A_ROW` problems, for each pair of them compiles its own kernels.
"""

import numpy as np
import scipy.sparse as sp
import sklearn.datasets

from fastgd import Loss
from fastgd.losses.domain import REALS

from . import hard_problems
from .cases import CASES
from .data import signs
from .hard_problems import HardProblem
from .problems import MULTINOMIAL

IN_A_ROW = 4
ROWS = 300, 300_000
COLUMNS = 5, 1_000_000
# Stored values, as powers of ten, and how often: up to 80 MB.
SIZES = (((3.3, 4.5), 0.25), ((4.5, 5.5), 0.35), ((5.5, 6.5), 0.3), ((6.5, 7.0), 0.1))
KINDS = {"dense": 4, "sparse": 2, "text": 2, "one-hot": 2, "sets": 1}
# Of dense columns; several kinds stand beside each other.
DENSE = ("normal", "correlated", "heavy", "rare", "copies", "binary", "counts", "mixed scales")
SKLEARN = ("iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud")


def losses():
    """Names of the losses of the registry that `exact` knows as well."""
    known = [name for name in hard_problems.losses() if name not in hard_problems.OWN]
    return [name for name in known if name in Loss.members()]


def make(seed, index):
    """Problem number `index` of `seed`; its tol is set by who fits it."""
    block, names = index // IN_A_ROW, losses()
    of_block = np.random.default_rng([seed, block, 11])
    cycle, place = divmod(block, len(names))
    name = np.random.default_rng([seed, cycle, 12]).permutation(names)[place]
    kind = hard_problems.one_of(of_block, KINDS)
    rng = np.random.default_rng([seed, index, 13])
    loss = hard_problems.loss_named(rng, str(name))
    X, kinds = {
        "dense": _dense,
        "sparse": _sparse,
        "text": _text,
        "one-hot": _one_hot,
        "sets": _sets,
    }[kind](rng)
    y = _targets(rng, loss, _score(rng, X), kinds)
    fit_intercept = bool(rng.random() < 0.6)
    penalty, alpha, l1_ratio = _penalty(rng, X, y, loss, kinds)
    return HardProblem(
        seed,
        index,
        X,
        y,
        loss,
        penalty,
        alpha,
        l1_ratio,
        fit_intercept,
        1e-4,
        None,
        None,
        "csr" if sp.issparse(X) else "dense",
        [kind, *kinds],
    )


def of_sklearn():
    """scikit-learn's data sets as they are and standardised, each with two losses."""
    for index, name in enumerate(SKLEARN):
        X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        y = (y if y.ndim == 1 else y[:, 0]).astype(float)
        classes = name in ("iris", "wine", "breast_cancer", "digits")
        spread = X.std(axis=0)
        standardised = (X - X.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
        for loss in ("log_loss", "hinge") if classes else ("squared_error", "huber"):
            for form, values in (("as it is", X), ("standardised", standardised)):
                yield HardProblem(
                    -1,
                    index,
                    np.ascontiguousarray(values, dtype=float),
                    signs(y) if classes else y,
                    Loss.named(loss)(),
                    "l2",
                    1.0 / y.size,
                    0.0,
                    True,
                    1e-4,
                    None,
                    None,
                    "dense",
                    [name, form],
                )


def of_suite(say=print):
    """The suite's cases of one prediction, those whose data are there."""
    for index, case in enumerate(case for case in CASES if case.loss != MULTINOMIAL):
        try:
            p = case.problem()
        except (SystemExit, OSError) as error:
            say(f"{case.name}: skipped, {error}")
            continue
        yield HardProblem(
            -2,
            index,
            p.X,
            p.y,
            Loss.named(p.loss)(),
            "elasticnet",
            p.alpha,
            p.l1_ratio,
            p.fit_intercept,
            1e-4,
            None,
            None,
            "csr" if sp.issparse(p.X) else "dense",
            [case.name],
        )


def _power(rng, low, high):
    """A number between two, even in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _stored(rng):
    low, high = SIZES[rng.choice(len(SIZES), p=[share for _, share in SIZES])][0]
    return 10.0 ** rng.uniform(low, high)


def _dense(rng):
    stored = _stored(rng)
    n = int(np.clip(_power(rng, *ROWS), stored / 20_000, stored / COLUMNS[0]))
    n = max(n, ROWS[0])
    d = int(np.clip(stored / n, *COLUMNS))
    names = [str(kind) for kind in rng.choice(DENSE, size=rng.integers(1, 4), replace=False)]
    X = np.empty((n, d))
    for kind, here in zip(names, np.array_split(rng.permutation(d), len(names)), strict=True):
        X[:, here] = _columns(rng, kind, n, here.size)
    if rng.random() < 0.6:
        spread = X.std(axis=0)
        X = (X - X.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
        names.append("standardised")
    return np.ascontiguousarray(X), names


def _columns(rng, kind, n, m):
    if kind == "correlated":
        factors = max(1, int(m * rng.uniform(0.02, 0.5)))
        decay = np.arange(1, factors + 1) ** -rng.uniform(0.0, 1.5)
        common = rng.normal(size=(n, factors)) @ (decay[:, None] * rng.normal(size=(factors, m)))
        return common + 10.0 ** -rng.uniform(0.0, 2.0) * rng.normal(size=(n, m))
    if kind == "rare":
        X = np.zeros((n, m))
        few = max(1, int(n * 10.0 ** -rng.uniform(1.0, 3.0)))
        X[rng.integers(n, size=(few, m)), np.arange(m)] = rng.choice([1.0, 10.0])
        return X
    if kind == "copies":
        source = rng.normal(size=(n, max(1, m // 3)))[:, rng.integers(max(1, m // 3), size=m)]
        return source + rng.choice([0.0, 1e-3, 0.1]) * rng.normal(size=(n, m))
    if kind == "mixed scales":
        return rng.normal(size=(n, m)) * 10.0 ** rng.uniform(-2.0, 2.0, size=m)
    return hard_problems.columns(rng, kind, n, m, None)


def _sparse(rng):
    """Values anywhere, columns all alike or as in a text."""
    d = int(_power(rng, 30, COLUMNS[1]))
    density = float(np.clip(_power(rng, 1e-5, 0.5), 2.0 / d, 1.0))
    n, a_row = _rows(rng, density * d)
    flat = rng.random() < 0.5
    column = rng.integers(d, size=n * a_row) if flat else _ranks(rng, n * a_row, d)
    Z = rng.normal(size=n * a_row)
    values = str(rng.choice(["ones", "normal", "heavy"]))
    data = {"ones": np.ones(Z.size), "normal": Z, "heavy": np.exp(rng.uniform(0.5, 1.5) * Z)}
    lengths = np.full(n, a_row)
    return _csr(data[values], column, lengths, d), ["even" if flat else "Zipf", values]


def _text(rng):
    """Words by rank, tf-idf or counts, rows of unit length or as they are."""
    d = int(_power(rng, 1000, COLUMNS[1]))
    n, a_row = _rows(rng, _power(rng, 10, 400))
    lengths = np.maximum(1, rng.lognormal(np.log(a_row), 0.7, size=n).astype(int))
    lengths = np.minimum(lengths, 10 * a_row)
    X = _csr(np.ones(lengths.sum()), _ranks(rng, int(lengths.sum()), d), lengths, d)
    form = str(rng.choice(["tf-idf", "unit", "counts", "log counts"], p=[0.4, 0.2, 0.2, 0.2]))
    if form in ("tf-idf", "log counts"):
        X.data = 1.0 + np.log(X.data)
    if form == "tf-idf":
        seen = np.bincount(X.indices, minlength=d)
        X.data *= (np.log((1.0 + n) / (1.0 + seen)) + 1.0)[X.indices]
    if form in ("tf-idf", "unit"):
        length = np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1]))
        X.data /= np.repeat(length, np.diff(X.indptr))
    return X, [form]


def _one_hot(rng):
    """Levels of categories, few or many, by rank; numbers beside them half of the time."""
    n_factors, n_dense = int(rng.integers(1, 11)), int(rng.integers(1, 11))
    n_dense *= int(rng.random() < 0.5)
    n, _ = _rows(rng, n_factors + n_dense)
    most = _power(rng, 5, 0.3 * n)
    blocks, total = [], 0
    for _ in range(n_factors):
        levels = int(min(_power(rng, 2, max(most, 3.0)), COLUMNS[1] - total))
        total += levels
        level = _ranks(rng, n, levels) if rng.random() < 0.7 else rng.integers(levels, size=n)
        blocks.append(sp.csr_array((np.ones(n), (np.arange(n), level)), shape=(n, levels)))
    kinds = [f"{n_factors} categories"]
    if n_dense:
        kind = str(rng.choice(["normal", "heavy", "mixed scales"]))
        blocks.insert(0, sp.csr_array(_columns(rng, kind, n, n_dense)))
        kinds.append(f"{n_dense} {kind}")
    return _canonical(sp.csr_array(sp.hstack(blocks))), kinds


def _sets(rng):
    """Columns of ones that overlap, many in a row: levels of what a row may have several of."""
    n, a_row = _rows(rng, _power(rng, 20, 500))
    d = int(np.clip(_power(rng, 2.0 * a_row, 200.0 * a_row), 50, COLUMNS[1]))
    X = _csr(np.ones(n * a_row), _ranks(rng, n * a_row, d), np.full(n, a_row), d)
    X.data[:] = 1.0
    return X, []


def _rows(rng, a_row):
    """(rows, values in a row) of sparse data of about so many values in a row."""
    a_row = max(1, round(a_row))
    n = int(np.clip(_stored(rng) / a_row, *ROWS))
    if n * a_row > 1.5e7:
        a_row = max(1, int(1.5e7 / n))
    return n, a_row


def _ranks(rng, count, levels):
    """Numbers below `levels`, the k-th as often as k^-s, s from 0.5 to 1.2."""
    share = np.cumsum(np.arange(1.0, levels + 1.0) ** -rng.uniform(0.5, 1.2))
    found = np.searchsorted(share, rng.random(count) * share[-1])
    return np.minimum(found, levels - 1)


def _csr(data, column, lengths, d):
    """CSR rows of these lengths; equal columns of a row are added."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return _canonical(sp.csr_array((data, column, ends), shape=(lengths.size, d)))


def _canonical(X):
    X.sum_duplicates()
    parts = X.data.astype(float), X.indices.astype(np.int32), X.indptr.astype(np.int32)
    X = sp.csr_array(parts, shape=X.shape)
    X.has_canonical_format = True
    return X


def _score(rng, X):
    """A score of each row, of unit spread, from few columns or from all."""
    n, d = X.shape
    if rng.random() < 0.4:
        return hard_problems.score_of(rng, X)
    scale = np.sqrt(np.asarray((X * X).mean(axis=0)).ravel())
    coef = rng.normal(size=d) / np.where(scale > 0.0, scale, 1.0) ** rng.choice([0.0, 0.5, 1.0])
    score = np.asarray(X @ coef).ravel()
    score -= score.mean()
    return score / score.std() if score.std() > 0.0 else rng.normal(size=n)


def _targets(rng, loss, score, kinds):
    n = score.size
    level = float(rng.choice([0.0, 0.1, 0.5, 1.0, 3.0], p=[0.15, 0.2, 0.25, 0.25, 0.15]))
    kinds.append(f"noise {level:g}")
    if loss.classification:
        noisy = score + level * rng.logistic(size=n)
        share = float(rng.choice([0.5, 0.3, 0.1, 0.02]))
        y = np.full(n, -1.0)
        y[np.argsort(noisy, kind="stable")[n - max(1, round(share * n)) :]] = 1.0
        return y
    if loss.target_domain != REALS:
        return hard_problems.positive_targets(rng, loss.target_domain, score, level)
    heavy = rng.random() < 0.2
    y = score + level * (rng.standard_t(2.0, size=n) if heavy else rng.normal(size=n))
    if rng.random() < 0.15:
        kinds.append("far outliers")
        y = y + 10.0 ** rng.uniform(1.0, 3.0) * (rng.random(n) < 0.05) * rng.choice([-1, 1], size=n)
    return y * 10.0 ** rng.choice([0.0, rng.uniform(-1.0, 3.0)])


def _penalty(rng, X, y, loss, kinds):
    """(penalty, alpha, l1_ratio); L1 parts half of the time by the least alpha without columns."""
    n, d = X.shape
    name = str(rng.choice(["l2", "elasticnet", "l1", "none"], p=[0.65, 0.12, 0.18, 0.05]))
    if name == "none" and (loss.classification or n < 5 * d or "copies" in kinds):
        name = "l2"  # without a penalty there would be no optimum
    if name == "none":
        return None, 0.0, 0.0
    alpha = _power(rng, 1e-3, 100.0) / n
    ratio = {"l2": 0.0, "l1": 1.0}.get(name)
    ratio = float(rng.choice([0.05, 0.15, 0.5, 0.9])) if ratio is None else ratio
    if ratio > 0.0 and rng.random() < 0.5:
        slope = y - y.mean() if not loss.classification else y
        if loss.name not in ("squared_error", "squared_epsilon_insensitive", "squared_hinge"):
            slope = np.sign(slope)
        steepest = np.abs(X.T @ slope).max() / n
        alpha = _power(rng, 1e-3, 0.5) * max(steepest, 1e-12) / ratio
    return name, alpha, ratio
