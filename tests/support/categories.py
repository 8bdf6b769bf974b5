"""One-hot coded categories, beside numbers."""

import numpy as np


def one_hot(codes, n_levels):
    """Columns of zeros and ones, one for each level."""
    table = np.zeros((codes.size, n_levels))
    table[np.arange(codes.size), codes] = 1.0
    return table


def categories(n=90, levels=(14, 5, 3), n_numbers=2, seed=0):
    """Rows with a level of each category, some without one of the first, one of zeros alone, and
    numbers: the first category, the largest, is coded by the first columns.
    """
    rng = np.random.default_rng(seed)
    tables = [one_hot(rng.integers(0, m, n), m) for m in levels]
    tables[0] *= rng.uniform(0.5, 2.0, (n, 1))
    tables[0][4:9] = 0.0
    X = np.hstack([*tables, rng.standard_normal((n, n_numbers))])
    X[11] = 0.0
    return X
