"""Labels of a classifier, as targets that losses take."""

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
