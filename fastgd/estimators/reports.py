"""What a fitted estimator reports beside predictions: a table of its coefficients, leave-one-out
predictions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted

from fastgd.data.check_parameters import as_offset
from fastgd.data.check_X import refuse_not_finite
from fastgd.data.far_columns import read_shifted
from fastgd.data.targets import as_samples, refuse_shift
from fastgd.estimators.input import columns_of, validated
from fastgd.estimators.labels import distinct
from fastgd.estimators.names import column_names, output_names, subject, target_names
from fastgd.estimators.unknown_parameters import explains_unknown_arguments
from fastgd.fitting.separation import SEPARATED, is_separated
from fastgd.inference.covariance import KINDS, READINGS
from fastgd.inference.leave_one_out import leave_one_out
from fastgd.inference.several_outputs import summarise_outputs
from fastgd.inference.summary import (
    Coefficients,
    Summary,
    distance_note,
    reading_note,
    summarise,
)
from fastgd.losses.base import VectorLoss
from fastgd.objective.objective import Objective
from fastgd.runtime.array_types import Floats, Labels, Matrix, Vector
from fastgd.runtime.component import shown
from fastgd.runtime.threads import count_threads

# F at the end of a fit and F computed anew differ by rounding: 1e-10 at most where predictions are
# small beside their terms.
SAME = 1e-6
OTHER_ROWS = (
    "The objective of these rows is {here:.6g}, that of the fit was {fitted:.6g}: the table is "
    "right for the rows, weights and offsets that were fitted, and for no others."
)


class Reports(BaseEstimator):
    """Methods of `GDClassifier` and `GDRegressor`."""

    @explains_unknown_arguments
    def summary(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Vector | None = None,
        offset: Vector | None = None,
        covariance: str = "model",
        clusters: Labels | None = None,
        level: float = 0.95,
        output: Any = None,
        weights: str | None = None,
    ) -> Summary:
        """Coefficients with standard errors, tests and intervals, and how well the model fits.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features)
            The rows that were fitted.
        y, sample_weight, offset : array-like, (n_samples,)
            As in `fit`.
        covariance : {"model", "HC0", "HC1", "cluster"}, default="model"
            "model": the loss is minus a log-likelihood and the targets follow it. "HC0" and "HC1":
            White's, right for residuals of any variance; "cluster": for residuals that go together
            within a cluster.
        clusters : array-like, (n_samples,), optional
            Label of each row's cluster, for "cluster".
        level : float, default=0.95
            Of the intervals.
        output : label, optional
            Which model, where there are several: the class that is told from the rest, or the
            number of the target or label.
        weights : {"counts", "precision"}, optional
            What weights are. "counts", as by default: a weight k means k rows (freq_weights of
            statsmodels). "precision": a row of weight s is one row whose variance is 1 / s of what
            it is else (var_weights), as that of a rate of exposure s, a share of s trials, or a
            mean of s amounts. By default a note says so where weights are no whole numbers, or go
            with shares.

        Returns
        -------
        Summary
            Print it, show it in a notebook, or take `to_frame()`.

        Raises
        ------
        ValueError
            For a loss without a derivative, a penalty that is neither L2 nor P2, several models
            (classes against the rest, targets, labels) without `output`, linearly dependent columns
            or separated classes without a penalty, and bad input.

        Notes
        -----
        Of the multinomial model of several classes the table has each class's coefficients, which
        sum to 0 over the classes; `relative_to(label)` gives differences to one of them.

        A note says so where the model is 0.01 standard errors or more from the optimum, which `tol`
        may leave of many rows, and where the rows are not those that were fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from fastgd import GDRegressor
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> model = GDRegressor(alpha=0.0).fit(X, y)
        >>> table = model.summary(X, y)
        >>> round(float(table.std_error[table.names.index("bmi")]), 1)
        66.5
        """
        # An array is compared entry by entry.
        if not (isinstance(covariance, str) and covariance in KINDS):
            raise ValueError(f"covariance must be one of {KINDS}, got {shown(covariance)}")
        if not (isinstance(level, float) and 0.0 < level < 1.0):
            raise ValueError(f"level must be a float between 0 and 1, got {level!r}")
        if not (weights is None or (isinstance(weights, str) and weights in READINGS)):
            raise ValueError(
                "weights says how sample_weight is read, 'counts' or 'precision'; pass the weights "
                f"as sample_weight, got {shown(weights)}"
            )
        given = X, y, sample_weight, offset
        F, coef, intercept, total = self._reported(*given, output, "summary", joint=True)
        if covariance == "cluster":
            clusters = self._clusters(clusters, F.samples.active(), F.n_samples)
        elif clusters is not None:
            raise ValueError(f"clusters go with covariance='cluster', got {covariance!r}")
        here = F.value(unknowns_of(F, coef, intercept))
        refuse_separated(F, here)
        names = [*column_names(self), "intercept"] if F.fit_intercept else column_names(self)
        options = covariance, clusters, level, weights or "counts"
        if F.vector:
            outputs = output_names(self, F.n_predictions)
            found = summarise_outputs(F, coef, intercept, names, outputs, total, *options)
        else:
            found = summarise(F, coef, intercept, names, total, *options)
            k = self._number_of(output, np.size(self.intercept_), "summary")
            found = replace(found, about=subject(self, k))
        read = reading_note(F, total) if weights is None else ()
        ending = self._other_rows(F, here) or distance_note(found)
        return replace(found, notes=(*found.notes, *read, *ending))

    def coefficients(self, X: Matrix | None = None) -> Coefficients:
        """Coefficients with their names, the largest first.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), optional
            Rows from which the standard deviations of the columns are taken, without weights: a
            standardised coefficient is what one standard deviation of its column adds to the
            prediction.

        Returns
        -------
        Coefficients
        """
        check_is_fitted(self)
        scale = None
        if X is not None:
            X = validated(self, X, reset=False)
            refuse_not_finite(X, columns=getattr(self, "feature_names_in_", None))
            scale = standard_deviations(X)
        coef = self.coef_.toarray() if sp.issparse(self.coef_) else np.atleast_2d(self.coef_)
        about = subject(self) if len(coef) == 1 else ""
        names, outputs = column_names(self), output_names(self, len(coef))
        return Coefficients.of(names, outputs, coef, scale, about)

    @explains_unknown_arguments
    def loo_predictions(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Vector | None = None,
        offset: Vector | None = None,
        output: Any = None,
    ) -> Floats:
        """Prediction for each row by the model fitted without it, (n_samples,): exact for a squared
        loss, else one Newton step from the model of all rows.

        They are on the scale of `decision_function`, or of `predict` of a regressor. `alpha` stays
        what it is: the mean loss of n - 1 rows is penalised as that of n was.

        Parameters
        ----------
        X, y, sample_weight, offset
            The rows that were fitted, as in `fit`; a row leaves with all its weight.
        output : label, optional
            As in `summary`.

        Returns
        -------
        ndarray, (n_samples,)

        Raises
        ------
        ValueError
            As `summary`; and for more than 10,000 columns.
        """
        linear = self._left_out(X, y, sample_weight, offset, output)
        return linear if is_classifier(self) else self._components()[0].mean(linear)

    def _left_out(self, X, y, sample_weight=None, offset=None, output=None):
        """`loo_predictions` before any link."""
        given = X, y, sample_weight, offset
        F, coef, intercept, total = self._reported(*given, output, "loo_predictions")
        return leave_one_out(F, coef, intercept, total)

    def _other_rows(self, F, here):
        """A note where F, which is `here`, is not what it was at the end of the fit: these are
        other rows, or other weights. Of several models only the sum of their objectives is known.
        """
        fitted = getattr(self, "objective_", None)
        if fitted is None or (np.size(self.intercept_) > 1 and not F.vector):
            return ()
        at_zero = F.value(F.start())
        if abs(here - fitted) <= SAME * max(abs(fitted), abs(at_zero)):
            return ()
        return (OTHER_ROWS.format(here=here, fitted=fitted),)

    def _reported(self, X, y, sample_weight, offset, output, what, joint=False):
        """(objective, coef, intercept, sum of the weights) of the rows that were fitted; `joint`
        says that a model of several classes may be one of them.
        """
        check_is_fitted(self)
        loss, penalty = self._fitted_loss(), self._components()[1]
        vector, n_outputs = isinstance(loss, VectorLoss), np.size(self.intercept_)
        if vector and not joint:
            raise ValueError(
                f"{what} is for a model with one prediction for each row, this one has {n_outputs}"
            )
        k = self._number_of(output, 1 if vector else n_outputs, what)
        X, y = self._checked(X, y, reset=False)
        self._refuse_other_columns(y)
        rows = self._rows_of(X)
        targets = self._fitted_targets(y)[k]
        weights = self._weights(sample_weight, y, X.shape[0])
        offset = None if offset is None else as_offset(offset, X.shape[0])
        refuse_shift(loss, offset)
        samples = as_samples(loss, targets, X.shape[0], weights, offset)
        if self.fit_intercept:
            rows = read_shifted(rows, samples)
        F = Objective.of(
            loss,
            rows,
            samples,
            penalty,
            float(self.alpha),
            bool(self.fit_intercept),
            count_threads(self.n_jobs),
        )
        if not (loss.smooth and F.term.smooth and (F.elastic or F.term.separable)):
            others = "; coefficients() has a table without errors" if what == "summary" else ""
            given = repr(self.penalty) if penalty.shares is not None else str(penalty)
            raise ValueError(
                f"{what} needs a loss with a derivative and an L2 penalty or none, got "
                f"loss={self.loss!r} and penalty={given}{others}"
            )
        coef = self.coef_.toarray() if sp.issparse(self.coef_) else np.asarray(self.coef_)
        total = float(X.shape[0]) if weights is None else float(np.sum(weights))
        if vector:
            return F, np.atleast_2d(coef).astype(float), np.ravel(self.intercept_), total
        coef, intercept = np.atleast_2d(coef)[k], np.ravel(self.intercept_)[k]
        return F, coef.astype(float), float(intercept), total

    def _refuse_other_columns(self, y):
        """Raise ValueError where y has not as many columns as that of the fit."""
        columns = self._columns_of_y or 1
        if (columns_of(y) or 1) != columns:
            wanted = "one target" if columns == 1 else f"{columns} targets"
            raise ValueError(
                f"y has shape {np.shape(y)}, and the model was fitted to {wanted}: give the y of "
                "the fit, all columns of it"
            )

    def _number_of(self, output, n_models, what):
        """Which of several models is meant."""
        if n_models == 1:
            if output is not None:
                raise ValueError(f"output goes with several models, here is one, got {output!r}")
            return 0
        names = [str(one) for one in target_names(self, n_models)]
        if str(output) not in names:
            raise ValueError(
                f"{what} is for one model, here are {n_models} with one prediction each: output= "
                f"must be one of {', '.join(names)}, got {output!r}"
            )
        return names.index(str(output))

    @staticmethod
    def _clusters(clusters, active, n_samples):
        """Labels of the rows.  Rows of weight 0 get the label of the first active row, so that
        they are no cluster of their own.
        """
        if clusters is None:
            raise ValueError("covariance='cluster' needs clusters=, a label for each row")
        clusters = np.asarray(clusters)
        if clusters.shape != (n_samples,):
            raise ValueError(
                f"clusters must have shape ({n_samples},), one label for each row, got "
                f"{clusters.shape}"
            )
        counted = np.zeros(n_samples, dtype=bool)
        counted[active] = True
        clusters = np.where(counted, clusters, clusters[active][0])
        missing = [label is None or bool(label != label) for label in clusters.tolist()]
        if any(missing):
            raise ValueError(
                f"clusters must hold a label for each row, row {missing.index(True)} has "
                f"{clusters[missing.index(True)]!r}"
            )
        if distinct(clusters, "clusters").size < 2:
            raise ValueError("covariance='cluster' needs at least 2 clusters, got 1")
        return clusters


def unknowns_of(objective, coef, intercept):
    """The vector of unknowns of a model as the user sees it."""
    F = objective
    table = np.atleast_2d(coef).T
    if F.fit_intercept:
        own = F.rows.own_intercept(table if F.vector else coef, intercept)
        table = np.vstack([table, np.reshape(own, (1, -1))])
    return table.ravel()


def refuse_separated(objective, value):
    """Raise ValueError where a model without a penalty, at which F is `value`, puts all rows on
    their sides: its coefficients say where the fit was ended, and standard errors were as large as
    7341.
    """
    if is_separated(objective, value):
        raise ValueError(f"there are no standard errors: {SEPARATED}")


def standard_deviations(X):
    """Of each column, (n_features,), every row counting once."""
    if not sp.issparse(X):
        return np.std(X, axis=0, dtype=np.float64)
    # From the column's mean: of 1e8 +- 1 the mean square less the mean's left nothing.
    X, n = X.astype(np.float64), X.shape[0]
    X.sum_duplicates()
    means = np.asarray(X.mean(axis=0)).ravel()
    absent = n - np.bincount(X.indices, minlength=means.size)
    left = X.data - means[X.indices]
    sums = np.bincount(X.indices, left, means.size) - absent * means
    squares = np.bincount(X.indices, left**2, means.size) + absent * means**2
    # The mean is rounded, and all are that far from it.
    return np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0.0))
