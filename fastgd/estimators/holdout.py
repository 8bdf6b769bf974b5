"""Rows held out for early stopping, and the score on them."""

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from fastgd.data.check_parameters import as_numbers, as_offset, as_weights
from fastgd.data.check_X import check_structure
from fastgd.data.sources import BlockSource
from fastgd.data.targets import check_domain, refuse_shift
from fastgd.estimators.deviance import explained, is_deviance
from fastgd.estimators.input import dense_labels


class Holdout:
    """Validation rows: the share of signs that are right (classification), R^2 or, where the loss
    has a link, D^2, weighted.

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
    loss : Loss or VectorLoss, optional
        Whose deviance is explained, if it is one.
    """

    def __init__(self, X, targets, weights, classification, rows=None, offset=0.0, loss=None):
        self.X, self.targets, self.weights = X, targets, weights
        self.classification, self.rows, self.offset = classification, rows, offset
        self.loss = loss

    @classmethod
    def choose(cls, estimator, X, y, weights, sample_weight, offset, validation, rng):
        """Holdout from the rows given, or, with `early_stopping`, a random (stratified) part of
        the rows; or None.

        `weights` say which rows count, class weights included; scores know nothing of these, and
        `sample_weight` is without them. `validation` is X_val, y_val, sample_weight_val,
        offset_val, each of which may be None.
        """
        if any(one is not None for one in validation):
            return cls.given(estimator, np.shape(y)[1:], *validation)
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
        own_weights = np.ones(rows.size)
        if sample_weight is not None:
            own_weights = as_weights(sample_weight, weights.size)[rows]
        own_offset = 0.0 if offset is None else offset[rows]
        loss = estimator._components()[0]
        return cls(X[rows], targets, own_weights, classification, rows, own_offset, loss)

    @classmethod
    def given(cls, estimator, columns, X_val, y_val, sample_weight_val, offset_val):
        """Holdout from these rows; `columns` is the shape of the target of one row."""
        for name, one in (("sample_weight_val", sample_weight_val), ("offset_val", offset_val)):
            if one is not None and X_val is None and y_val is None:
                raise ValueError(f"{name} needs X_val and y_val")
        if isinstance(X_val, BlockSource):
            raise ValueError(
                "X_val must be in memory, got a source of blocks; give an array or a sparse matrix "
                "of some rows, and y_val"
            )
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        check_structure(X_val, "X_val")
        given = X_val
        X_val = check_array(
            X_val, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X_val"
        )
        width = estimator.n_features_in_
        if X_val.shape[1] != width:
            raise ValueError(f"X_val has {X_val.shape[1]} features, X has {width}")
        # Columns must have the names that they had.
        validate_data(estimator, given, reset=False, skip_check_array=True)
        classification = estimator.__sklearn_tags__().estimator_type == "classifier"
        n_samples = X_val.shape[0]
        y_val = dense_labels(estimator, y_val, "y_val")
        y_val = (
            np.asarray(y_val) if classification else as_numbers(y_val, "y_val", n_samples, "X_val")
        )
        wanted = (n_samples, *columns)
        one = columns in ((), (1,)) and y_val.shape == (n_samples, 1)
        if y_val.shape != wanted and not one:
            raise ValueError(
                f"y_val must have shape {wanted}, as X_val and y say, got {y_val.shape}"
            )
        weights = np.ones(n_samples)
        if sample_weight_val is not None:
            weights = as_weights(sample_weight_val, n_samples, "sample_weight_val", "X_val")
        offset = 0.0
        if offset_val is not None:
            offset = as_offset(offset_val, n_samples, "offset_val", "X_val")
        targets, loss = estimator._targets(y_val, "y_val"), estimator._components()[0]
        refuse_shift(estimator._joint_loss(loss), offset, "offset_val")
        if not classification:
            check_domain(loss, y_val, "y_val")
        return cls(X_val, targets, weights, classification, None, offset, loss)

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
        target = self.targets[k]
        if not self.classification and self.loss is not None and is_deviance(self.loss):
            table, n = predictions.reshape(len(target), -1), len(target)
            offset = np.broadcast_to(self.offset, n)
            return explained(self.loss, target, table, self.weights, offset)
        predictions = (predictions.T + self.offset).T
        if self.classification and predictions.ndim == 1:
            right = np.where(predictions > 0.0, 1.0, -1.0) == target
            return float(np.average(right, weights=self.weights))
        if self.classification:
            return float(
                np.average(predictions.argmax(axis=1) == np.ravel(target), weights=self.weights)
            )
        means = predictions if self.loss is None else self.loss.mean(predictions)
        target = target.reshape(means.shape)
        return float(np.mean(_r2(target, means, self.weights)))


def _r2(target, means, weights):
    """R^2 of each target; of one that is constant what falls all the same."""
    residual = np.average((target - means) ** 2, axis=0, weights=weights)
    spread = np.average(
        (target - np.average(target, axis=0, weights=weights)) ** 2, axis=0, weights=weights
    )
    varies = spread > 0.0
    return np.where(varies, 1.0 - residual / np.where(varies, spread, 1.0), -residual)
