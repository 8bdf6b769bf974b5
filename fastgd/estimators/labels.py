"""Labels of a classifier, as targets that losses take."""

from collections.abc import Sequence

import numpy as np


def targets_of(y, classes, vector=False, name="y", hint=""):
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
    name, hint : str
        What messages call y, and what they say to do about labels that are not among the classes.

    Returns
    -------
    sequence of ndarray
        -1 and 1: one array for two classes, for more one for each class against the rest, made
        whenever it is asked for.

    Raises
    ------
    ValueError
        For a label that is not among the classes.

    Examples
    --------
    >>> targets_of(["b", "a"], np.array(["a", "b"]))
    [array([ 1., -1.])]
    """
    index = indices_of(y, classes, name, hint)
    if vector:
        return [index.astype(np.float64)[:, None]]
    against_rest = AgainstRest(index, classes.size)
    return [against_rest[1]] if classes.size == 2 else against_rest


class AgainstRest(Sequence):
    """1 for the rows of a class and -1 for all others: one array for each class, made whenever it
    is asked for, as all of them would hold a number for each row and class.

    Examples
    --------
    >>> AgainstRest(np.array([2, 0]), 3)[2]
    array([ 1., -1.])
    """

    def __init__(self, class_of_rows, n_classes):
        self.class_of_rows, self.n_classes = class_of_rows, n_classes

    def __len__(self):
        return self.n_classes

    def __getitem__(self, k):
        if not 0 <= k < self.n_classes:
            raise IndexError(k)
        return np.where(self.class_of_rows == k, 1.0, -1.0)


def indicator_targets(y, n_labels, name="y"):
    """-1 and 1 for each column of a table of labels, which holds 0 and 1 alone.

    Examples
    --------
    >>> indicator_targets(np.array([[0, 1], [1, 1]]), 2)
    [array([-1.,  1.]), array([1., 1.])]
    """
    y = np.asarray(y)
    if y.ndim != 2 or y.shape[1] != n_labels:
        raise ValueError(f"{name} must have shape (n_samples, {n_labels}), got {y.shape}")
    if not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"{name}, a table of labels, must hold 0 and 1 alone; one label a row is a vector"
        )
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


def indices_of(y, classes, name="y", hint=""):
    """Index of each label among the sorted `classes`; ValueError for a label that is not there."""
    y = np.ravel(y)
    try:
        index = np.minimum(np.searchsorted(classes, y), classes.size - 1)
    except TypeError as error:
        raise ValueError(
            f"{name} holds labels of another type than the classes {classes}: {error}"
        ) from error
    known = classes[index] == y
    if not np.all(known):
        unseen = distinct(y[~known], name)
        raise ValueError(
            f"{name} holds labels that are not among the classes {classes}: {unseen[:5]}{hint}"
        )
    return index
