"""Hard problems with several predictions for each row, for `certify`: one of several classes, or
several targets at once.

Their numbers begin at `FIRST`, and they are drawn by themselves: problems of one prediction keep
their numbers.
"""

import numpy as np

from fastgd import Loss, Multinomial
from fastgd.losses.base import has_mean
from fastgd.losses.domain import REALS

from . import hard_problems, structures
from .hard_problems import IN_A_ROW, HardProblem

FIRST = 1_000_000
MAX_VALUES = 1e6  # of X, times predictions
CLASSES = {3: 4, 4: 2, 10: 3, 30: 1}
TARGETS = {1: 1, 2: 4, 3: 2, 8: 2}


def target_losses():
    """Names of the losses that take several targets at once."""
    known = {**Loss.members(), **hard_problems.OWN}
    return [
        name
        for name in hard_problems.losses()
        if known[name]().target_domain == REALS and not has_mean(known[name]())
    ]


def make(seed, index):
    """Problem number `index`, at least `FIRST`, of `seed`."""
    of_block = np.random.default_rng([seed, (index - FIRST) // IN_A_ROW, 7])
    storage = hard_problems.one_of(of_block, hard_problems.STORAGES)
    several_classes = of_block.random() < 0.6
    name = str(of_block.choice(target_losses()))
    rng = np.random.default_rng([seed, index, 8])
    wanted = int(hard_problems.one_of(rng, CLASSES if several_classes else TARGETS))
    while True:
        X, kinds = hard_problems.matrix_of(rng, storage, 3)
        n, d = X.shape
        n_outputs = min(wanted, n) if several_classes else wanted
        if (X.nnz if storage.startswith("csr") else X.size) * n_outputs <= MAX_VALUES:
            break
    penalty, alpha, l1_ratio = hard_problems.penalty_of(rng, n)
    weights, structure = hard_problems.weights_of(rng, n), {}
    if several_classes:
        loss, y = Multinomial(n_outputs), _labels(rng, X, n_outputs)
        if weights is not None:
            hard_problems.count_each_class(y, weights)
        if penalty is not None:
            structure = {"rows": True} if rng.random() < 0.15 else structures.draw(rng, d)
            structure = structure or hard_problems.form_of(rng, X, penalty)
    else:
        loss, structure = hard_problems.loss_named(rng, name), {"rows": True}
        scores = [hard_problems.score_of(rng, X) for _ in range(n_outputs)]
        y = np.column_stack([hard_problems.targets_of(rng, loss, one) for one in scores])
    if "rows" in structure:
        l1_ratio = float(rng.choice([1.0, 0.9, 0.5, 0.1, 0.0]))
    offset = rng.normal(size=n) * (y.std() + 1e-3) if rng.random() < 0.15 else None
    tol = float(10.0 ** rng.choice([-rng.uniform(2, 6), -rng.uniform(6, 10)], p=[0.75, 0.25]))
    intercept = bool(rng.random() < 0.75)
    stored = hard_problems.stored_as(X, storage)
    parts = stored, y, loss, penalty, alpha, l1_ratio, intercept, tol, weights, offset, storage
    return HardProblem(seed, index, *parts, kinds, structure)


def _labels(rng, X, n_classes):
    """Classes 0 to K - 1, each in some row."""
    n = X.shape[0]
    level, uneven = (
        float(rng.choice([0.0, 1e-3, 0.3, 1.0, 3.0])),
        float(rng.choice([0.0, 1.0, 3.0])),
    )
    scores = np.column_stack([hard_problems.score_of(rng, X) for _ in range(n_classes)])
    scores = scores + level * rng.gumbel(size=(n, n_classes)) - uneven * rng.random(n_classes)
    labels = scores.argmax(axis=1).astype(float)
    labels[rng.permutation(n)[:n_classes]] = np.arange(n_classes)
    return labels
