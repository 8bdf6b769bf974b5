"""Rows held out for early stopping, and the score on them."""

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from fastgd.data.check_matrix import check_structure
from fastgd.data.check_values import as_numbers, as_weights


class Holdout:
    """Validation rows: the share of signs that are right (classification) or R^2, weighted.

    Parameters
    ----------
    X : ndarray or sparse, (n_rows, n_features)
    targets : list of ndarray, (n_rows,)
        One for each target of the fit.
    weights : ndarray, (n_rows,)
    classification : bool
    rows : ndarray or None
        Which training rows these are, if they are.
    offset : ndarray, (n_rows,), or float
        Added to their predictions.
    """

    def __init__(self, X, targets, weights, classification, rows=None, offset=0.0):
        self.X, self.targets, self.weights = X, targets, weights
        self.classification, self.rows, self.offset = classification, rows, offset

    @classmethod
    def choose(cls, estimator, X, y, weights, offset, X_val, y_val, sample_weight_val, rng):
        """Holdout from the rows given, or, with `early_stopping`, a random (stratified) part of
        the rows; or None.
        """
        if X_val is not None or y_val is not None:
            return cls._given(estimator, X, y, X_val, y_val, sample_weight_val)
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val")
        if not estimator.early_stopping:
            return None
        classification = estimator.__sklearn_tags__().estimator_type == "classifier"
        split = StratifiedShuffleSplit if classification and np.ndim(y) == 1 else ShuffleSplit
        splitter = split(
            test_size=estimator.validation_fraction, random_state=rng.randint(2**31 - 1)
        )
        active = np.arange(X.shape[0]) if weights is None else np.flatnonzero(weights)
        try:
            train, chosen = next(splitter.split(np.zeros((active.size, 1)), y[active]))
        except ValueError as error:
            raise ValueError(
                "early_stopping=True cannot hold out "
                f"validation_fraction={estimator.validation_fraction} of {active.size} rows: "
                f"{error} Give more rows, another fraction, or X_val and y_val."
            ) from error
        if train.size == 0 or chosen.size == 0:
            raise ValueError(
                "early_stopping=True leaves no row to train or to validate on; give X_val and y_val"
            )
        rows = active[np.sort(chosen)]
        targets = [target[rows] for target in estimator._targets(y)]
        own_weights = np.ones(rows.size) if weights is None else weights[rows]
        own_offset = 0.0 if offset is None else offset[rows]
        return cls(X[rows], targets, own_weights, classification, rows, own_offset)

    @classmethod
    def _given(cls, estimator, X, y, X_val, y_val, sample_weight_val):
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        check_structure(X_val, "X_val")
        given = X_val
        X_val = check_array(
            X_val, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X_val"
        )
        if X_val.shape[1] != X.shape[1]:
            raise ValueError(f"X_val has {X_val.shape[1]} features, X has {X.shape[1]}")
        # Columns must have the names that they had.
        validate_data(estimator, given, reset=False, skip_check_array=True)
        classification = estimator.__sklearn_tags__().estimator_type == "classifier"
        n_samples = X_val.shape[0]
        y_val = (
            np.asarray(y_val) if classification else as_numbers(y_val, "y_val", n_samples, "X_val")
        )
        wanted = (n_samples, *np.shape(y)[1:])
        if y_val.shape != wanted and y_val.shape != (n_samples, 1):
            raise ValueError(
                f"y_val must have shape {wanted}, as X_val and y say, got {y_val.shape}"
            )
        weights = np.ones(n_samples)
        if sample_weight_val is not None:
            weights = as_weights(sample_weight_val, n_samples, "sample_weight_val", "X_val")
        return cls(X_val, estimator._targets(y_val), weights, classification)

    def training_weights(self, weights, n_samples):
        """Training weights that are 0 on the validation rows, if those are training rows."""
        if self.rows is None:
            return weights
        weights = np.ones(n_samples) if weights is None else weights.copy()
        weights[self.rows] = 0.0
        return weights

    def score(self, objective, v, k):
        """Score of the unknowns `v` for target `k`."""
        coef, intercept = objective.model(v)
        product = self.X @ coef
        predictions = (product.toarray() if sp.issparse(product) else product) + intercept
        predictions = (predictions.T + self.offset).T
        target = self.targets[k]
        if self.classification and predictions.ndim == 1:
            right = np.where(predictions > 0.0, 1.0, -1.0) == target
            return float(np.average(right, weights=self.weights))
        if self.classification:
            return float(
                np.average(predictions.argmax(axis=1) == np.ravel(target), weights=self.weights)
            )
        target = target.reshape(predictions.shape)
        residual = (target - predictions) ** 2
        spread = (target - np.average(target, axis=0, weights=self.weights)) ** 2
        residual, spread = (
            float(np.average(part, axis=0, weights=self.weights).sum())
            for part in (residual, spread)
        )
        return 1.0 - residual / spread if spread > 0.0 else -residual
