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
        Whether one loss takes all classes: then the index of the class, (n_samples, 1), is its target.

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
    y = np.ravel(y)
    unseen = np.setdiff1d(y, classes)
    if unseen.size:
        raise ValueError(f"y holds labels that are not among the classes {classes}: {unseen[:5]}")
    index = np.searchsorted(classes, y)
    if vector:
        return [index.astype(np.float64)[:, None]]
    chosen = [1] if classes.size == 2 else range(classes.size)
    return [np.where(index == k, 1.0, -1.0) for k in chosen]


def with_class_weight(class_weight, classes, y, weights):
    """Weights of the rows times those of their classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        1 for a class that a dict does not name; balanced: the classes' total weights become equal.
    classes : ndarray, (n_classes,)
    y : ndarray, (n_samples,)
    weights : ndarray, (n_samples,), or None

    Raises
    ------
    ValueError
        For a dict that names an unknown class or holds anything but finite numbers that are not negative.

    Examples
    --------
    >>> with_class_weight({1: 3.0}, np.array([0, 1]), np.array([1, 0]), None)
    array([3., 1.])
    """
    if class_weight is None:
        return weights
    index = np.searchsorted(classes, y)
    if isinstance(class_weight, str):
        total = np.bincount(index, weights=weights, minlength=classes.size)
        by_class = 1.0 / np.where(total > 0.0, total, 1.0)
    else:
        by_class = _from_dict(class_weight, classes)
    return by_class[index] if weights is None else by_class[index] * weights


def _from_dict(class_weight, classes):
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which is not among the classes {classes}")
    if not all(isinstance(w, numbers.Real) and 0 <= float(w) < np.inf for w in class_weight.values()):
        raise ValueError(f"class_weight must hold finite numbers that are not negative, got {class_weight}")
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])
