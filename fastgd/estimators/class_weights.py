"""Weights of classes, as weights of rows."""

import numbers

import numpy as np


def class_totals(classes, y, weights):
    """Total weight of the rows of each class, (n_classes,); the number of rows where `weights`
    is None.
    """
    return np.bincount(np.searchsorted(classes, y), weights=weights, minlength=classes.size).astype(
        np.float64
    )


def with_class_weight(class_weight, classes, y, weights, totals=None):
    """Weights of the rows times those of their classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        1 for a class that a dict does not name; balanced: the classes' total weights become equal.
    classes : ndarray, (n_classes,)
    y : ndarray, (n_samples,)
    weights : ndarray, (n_samples,), or None
    totals : ndarray, (n_classes,), optional
        For balanced: the classes' total weights, if more is known about them than these rows tell.

    Raises
    ------
    ValueError
        For a dict that names an unknown class or holds anything but finite numbers that are not
        negative, and for products beyond double precision.

    Examples
    --------
    >>> with_class_weight({1: 3.0}, np.array([0, 1]), np.array([1, 0]), None)
    array([3., 1.])
    """
    if class_weight is None:
        return weights
    index = np.searchsorted(classes, y)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if isinstance(class_weight, str):
            totals = class_totals(classes, y, weights) if totals is None else totals
            seen = totals > 0.0
            by_class = totals.sum() / np.count_nonzero(seen) / np.where(seen, totals, 1.0)
        else:
            by_class = _from_dict(class_weight, classes)
        weights = np.ones(y.shape[0]) if weights is None else weights
        found = by_class[index] * weights
        _refuse_beyond_doubles(found, by_class[index], weights)
    return found


def chunk_weights(class_weight, classes, y, weights, earlier):
    """Weights of a chunk's rows times those of their classes, and the classes' total weights with
    those of earlier chunks, which "balanced" goes by; None for anything else.
    """
    totals = None
    if class_weight == "balanced":
        totals = earlier + class_totals(classes, y, weights)
    return with_class_weight(class_weight, classes, y, weights, totals), totals


def _refuse_beyond_doubles(products, by_row, weights):
    """Raise ValueError where weights times those of the classes, or their sum, are infinite, or one
    is 0 and its factors are not.
    """
    wrong = ~np.isfinite(products)
    if not products.all():
        wrong |= (products == 0.0) & (by_row > 0.0) & (weights > 0.0)
    if wrong.any() or not np.isfinite(products.sum()):
        i = int(np.argmax(wrong if wrong.any() else products))
        raise ValueError(
            "sample_weight times class_weight, and its sum, must be within double precision, got "
            f"{weights[i]:g} times {by_row[i]:g} in row {i}: divide the larger by some number, "
            "or multiply the smaller"
        )


def _from_dict(class_weight, classes):
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which is not among the classes {classes}")
    if not all(
        isinstance(w, numbers.Real) and 0 <= float(w) < np.inf for w in class_weight.values()
    ):
        raise ValueError(
            f"class_weight must hold finite numbers that are not negative, got {class_weight}"
        )
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])
