"""Labels of a classifier: as targets that losses take, and as weights of rows."""

import numbers

import numpy as np


def targets_of(y, classes, vector=False):
    """Targets for each model of a classifier.

    Parameters
    ----------
    y : array-like, (n_samples,)
        Labels.
    classes : ndarray, (n_classes,)
        All labels, sorted.
    vector : bool
        Whether one loss takes all classes: then the index of the class, (n_samples, 1), is its
        target.

    Returns
    -------
    list of ndarray
        -1 and 1: one array for two classes, for more one for each class against the rest.

    Raises
    ------
    ValueError
        For a label that is not among the classes.

    Examples
    --------
    >>> targets_of(["b", "a"], np.array(["a", "b"]))
    [array([ 1., -1.])]
    """
    index = indices_of(y, classes)
    if vector:
        return [index.astype(np.float64)[:, None]]
    chosen = [1] if classes.size == 2 else range(classes.size)
    return [np.where(index == k, 1.0, -1.0) for k in chosen]


def indicator_targets(y, n_labels):
    """-1 and 1 for each column of a table of labels, which holds 0 and 1 alone.

    Examples
    --------
    >>> indicator_targets(np.array([[0, 1], [1, 1]]), 2)
    [array([-1.,  1.]), array([1., 1.])]
    """
    y = np.asarray(y)
    if y.ndim != 2 or y.shape[1] != n_labels:
        raise ValueError(f"y must have shape (n_samples, {n_labels}), got {y.shape}")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("a table of labels must hold 0 and 1 alone; one label a row is a vector")
    return [np.where(column == 1, 1.0, -1.0) for column in y.T]


def distinct(y, name="y"):
    """The labels that there are, sorted; ValueError for kinds that have no order among each
    other.
    """
    try:
        return np.unique(y)
    except TypeError as error:
        raise ValueError(
            f"{name} mixes labels that cannot be ordered; make all of one type: {error}"
        ) from error


def indices_of(y, classes):
    """Index of each label among the sorted `classes`; ValueError for a label that is not there."""
    y = np.ravel(y)
    try:
        index = np.minimum(np.searchsorted(classes, y), classes.size - 1)
    except TypeError as error:
        raise ValueError(
            f"y holds labels of another type than the classes {classes}: {error}"
        ) from error
    known = classes[index] == y
    if not np.all(known):
        unseen = distinct(y[~known])
        raise ValueError(
            f"y holds labels that are not among the classes {classes}: {unseen[:5]}; pass all in "
            "classes"
        )
    return index


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
        negative.

    Examples
    --------
    >>> with_class_weight({1: 3.0}, np.array([0, 1]), np.array([1, 0]), None)
    array([3., 1.])
    """
    if class_weight is None:
        return weights
    index = np.searchsorted(classes, y)
    if isinstance(class_weight, str):
        totals = class_totals(classes, y, weights) if totals is None else totals
        seen = totals > 0.0
        by_class = totals.sum() / np.count_nonzero(seen) / np.where(seen, totals, 1.0)
    else:
        by_class = _from_dict(class_weight, classes)
    return by_class[index] if weights is None else by_class[index] * weights


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
