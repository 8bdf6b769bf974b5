"""What the columns, models and outputs of a fitted estimator are called."""

import numpy as np
from sklearn.base import is_classifier


def column_names(estimator):
    """Names of the columns: those of a frame, else x0, x1, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{j}" for j in range(estimator.n_features_in_)] if names is None else list(names)


def target_names(estimator, n_targets):
    """What the models of several targets are called: classes, or numbers."""
    return getattr(estimator, "classes_", range(n_targets))


def kind_of_models(estimator):
    """What each of several models is of."""
    return "class" if is_classifier(estimator) else "target"


def model_names(estimator, n_targets):
    """The same with what they are of: "class ant", "target 0"."""
    return [f"{kind_of_models(estimator)} {name!s}" for name in target_names(estimator, n_targets)]


def subject(estimator, k=0):
    """Whose coefficients the k-th model has: "class b, against class a", "class b, against the
    rest", "label 2", "target 2"; "" where there is one target.
    """
    classes, n_models = getattr(estimator, "classes_", None), np.size(estimator.intercept_)
    if classes is None:
        return f"target {k}" if n_models > 1 else ""
    if estimator._columns_of_y is not None:
        return f"label {classes[k]!s}"
    if n_models == 1:
        return f"class {classes[1]!s}, against class {classes[0]!s}"
    return f"class {classes[k]!s}, against the rest"


def output_names(estimator, n_outputs):
    """Names of the classes or targets; [""] for one output."""
    classes = getattr(estimator, "classes_", None)
    if n_outputs > 1 and classes is not None and n_outputs == len(classes):
        return [str(one) for one in classes]
    return [""] if n_outputs == 1 else [str(k) for k in range(n_outputs)]
