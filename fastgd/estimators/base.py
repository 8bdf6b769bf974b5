"""What `GDClassifier` and `GDRegressor` share: the scikit-learn contract around a fit."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
import sklearn.exceptions
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastgd.certificates.bound import KINDS_OF_BOUNDS
from fastgd.data.block_rows import memory_of
from fastgd.data.check_parameters import (
    as_floats,
    as_offset,
    as_weights,
    check_parameters,
)
from fastgd.data.check_X import as_rows, refuse_not_finite, refuse_tiny
from fastgd.data.component_trial import try_components
from fastgd.data.digest import digest
from fastgd.data.far_columns import read_shifted
from fastgd.data.sources import BlockSource
from fastgd.data.targets import (
    SamplesOfTargets,
    as_samples,
    name_of_target,
    refuse_shift,
    refuse_tiny_targets,
)
from fastgd.estimators import predictions
from fastgd.estimators.block_fits import as_first_read, read_first, read_predictions, source_of
from fastgd.estimators.callbacks import CallbackSupportMixin, fit_callbacks, with_callbacks
from fastgd.estimators.holdout import Holdout
from fastgd.estimators.input import validated
from fastgd.estimators.names import kind_of_models, target_names
from fastgd.estimators.nested_parameters import NestedParameters
from fastgd.estimators.reports import Reports
from fastgd.estimators.rollback import interruptible, restores_on_error
from fastgd.estimators.same_fit import OF_VALIDATION, Restoration, of_samples
from fastgd.estimators.unknown_parameters import explains_unknown_arguments
from fastgd.fitting import zero_tol
from fastgd.fitting.choose_solver import batch_sizes
from fastgd.fitting.ending import falls_short, how_it_ended
from fastgd.fitting.history import Histories
from fastgd.fitting.lines import Lines
from fastgd.fitting.observers import Together
from fastgd.fitting.plan import Plans, Settings, random_by_name, steps_are_automatic
from fastgd.fitting.result import DivergenceError
from fastgd.fitting.runs import fit_targets, runs_at_once
from fastgd.fitting.stopping import StopReason, user_rules
from fastgd.fitting.task import Task
from fastgd.losses.base import VectorLoss, find_loss, takes_labels
from fastgd.objective.moment_sums import largest_known
from fastgd.objective.null_model import check_optimum
from fastgd.objective.survey import Surveyed
from fastgd.penalties.quadratic import with_quadratic
from fastgd.penalties.separable import find_penalty
from fastgd.penalties.weighted import weighted
from fastgd.rules.base import Rule
from fastgd.runtime.array_types import Floats, Labels, Matrix, Vector
from fastgd.runtime.call_warnings import warn_at_call
from fastgd.runtime.public import public
from fastgd.runtime.threads import count_threads

# Up to so many values an array in Fortran order, a DataFrame's too, is copied in C order: half a
# millisecond, and it shares the kernels of C order, of which each process loads fewer, and a new
# machine compiles fewer (3 s). Beyond, the copy is 3 to 6 passes.
FEW_VALUES = 1 << 18
MAX_SEED = np.iinfo(np.int32).max
# From weakest to strongest; of several models the weakest is reported.
FROM_THE_WORST = (
    StopReason.INTERRUPTED,
    StopReason.CALLBACK,
    StopReason.RULE,
    StopReason.TIME,
    StopReason.MAX_ITER,
    StopReason.VALIDATION,
    StopReason.PLATEAU,
    StopReason.CONVERGED,
)
# Of what a pickle holds: raised with each change that makes older pickles unreadable.
STORED_FORMAT = 6


@public
class ConvergenceWarning(sklearn.exceptions.ConvergenceWarning):
    """A fit ended before its objective was proved, or judged, to be within tol.

    It is a scikit-learn `ConvergenceWarning` as well.

    Examples
    --------
    >>> import warnings
    >>> from fastgd import GDClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = GDClassifier(solver="saga", max_iter=1, random_state=0).fit(X, y)
    >>> [issubclass(one.category, ConvergenceWarning) for one in caught], model.converged_
    ([True], False)
    """


class GDEstimator(Reports, CallbackSupportMixin, NestedParameters):
    """What the classifier and the regressor share."""

    coef_: Floats
    intercept_: Floats
    n_features_in_: int
    n_iter_: int
    t_: float
    objective_: float
    suboptimality_: float
    bound_kind_: str
    converged_: bool
    stop_reason_: StopReason
    history_: Any
    record: str | None
    plan_: Any
    memory: float | None = None

    _doc_link_module = "fastgd"
    _doc_link_template = "https://pypi.org/project/fastgd/#{estimator_name}"
    # States of the runs, one for each target, that a warm start or the next chunk goes on from.
    _states: list | None = None
    # The number of columns of a y that was a table, else None.
    _columns_of_y: int | None = None
    # Whether one model of all classes was fitted; None where coefficients were set by hand.
    _joint: bool | None = None
    # Of a model of a path: whether its fit ended before `tol` was reached.
    _falls_short = False
    # How the source that was fitted makes numbers of the text in its tables.
    _encoding: Any = None
    # Of the rows that a search scores this model on: what it predicts, without offsets, instead of
    # X @ coef + intercept, and their offsets.
    _linear_of_rows: Floats | None = None
    _offset_of_rows: Vector | None = None

    def __getstate__(self):
        return {**super().__getstate__(), "_stored_format": STORED_FORMAT}

    def __setstate__(self, state):
        stored = state.get("_stored_format", 0)
        if stored != STORED_FORMAT:
            age = "an older" if stored < STORED_FORMAT else "a newer"
            raise ValueError(
                f"this {type(self).__name__} was stored by {age} version of fastgd, in format "
                f"{stored}; this version reads format {STORED_FORMAT}: fit the model again"
            )
        super().__setstate__({name: state[name] for name in state if name != "_stored_format"})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @explains_unknown_arguments
    @interruptible
    @restores_on_error
    @with_callbacks
    def fit(
        self,
        X: Matrix | BlockSource,
        y: Labels | None = None,
        sample_weight: Vector | None = None,
        *,
        coef_init: Any = None,
        intercept_init: Any = None,
        X_val: Matrix | None = None,
        y_val: Labels | None = None,
        sample_weight_val: Vector | None = None,
        offset: Vector | None = None,
        offset_val: Vector | None = None,
    ) -> Self:
        """Fit to data, to within `tol` of the optimum.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
            float64 or float32; other numbers become float64.  A source of blocks
            (`fastgd.from_chunks`, ...) brings its own targets, weights and offsets; a memory map
            that does not fit in `memory` is read in blocks too.
        y : array-like, (n_samples,) or (n_samples, n_targets)
            Labels of any kind for a classifier, or a table of several that are 0 or 1 each, dense
            or sparse; numbers for a regressor; None beside a source.
        sample_weight : array-like, (n_samples,), optional
            Weight k means the row k times; only ratios matter.
        coef_init, intercept_init : array-like, optional
            Where to start, in the shapes of `coef_` and `intercept_`.
        X_val, y_val, sample_weight_val, offset_val : array-like, optional
            Rows to watch for early stopping; given, they switch it on.
        offset : array-like, (n_samples,), optional
            Added to the predictions; of a multinomial model it is refused, for what all classes
            have in common changes nothing.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that are not allowed, and for a `checkpoint` of other data,
            parameters or version; the estimator is left as it was.
        DivergenceError
            Where an explicit learning rate makes the objective explode; likewise.
        KeyboardInterrupt
            Where the fit is interrupted (Ctrl-C).  Once a check was made, the best model so far is
            stored, with `StopReason.INTERRUPTED`; before, the estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            Where the fit ended before `tol` was shown, with advice.
        """
        check_parameters(vars(self))
        restoration = None if self.checkpoint is None else Restoration(self)
        memory = self.memory if restoration is None else restoration.memory
        source, checked = source_of(X, y, sample_weight, offset, memory), None
        if source is None:
            checked, y = self._checked(X, y, reset=True, order=None)
            in_place = sp.issparse(checked) or checked.size > FEW_VALUES
            rows = self._rows_of(checked, in_place)
            found = Surveyed(rows, y, sample_weight, offset)
        else:
            found = read_first(self, source, memory)
        validation = X_val, y_val, sample_weight_val, offset_val
        starts = coef_init, intercept_init
        return self._fit_rows(found, checked, X, validation, starts, restoration)

    @interruptible
    @restores_on_error
    @with_callbacks
    def _fit_surveyed(self, read, *, coef_init=None, intercept_init=None):
        """`fit` to rows that are elsewhere; `read` gives a `Surveyed` of them, within so many
        bytes, and what a source tells of its columns.
        """
        check_parameters(vars(self))
        restoration = None if self.checkpoint is None else Restoration(self)
        memory = self.memory if restoration is None else restoration.memory
        found = as_first_read(self, *read(memory_of(memory)))
        starts = coef_init, intercept_init
        return self._fit_rows(found, None, None, (None,) * 4, starts, restoration)

    def _fit_rows(self, found, X, given, validation, inits, restoration):
        """`fit` to rows that are checked, with what belongs to them; X is `given`, and the same as
        an array where it is in memory.
        """
        rows, y = found.rows, found.y
        coef_init, intercept_init = inits
        n_threads = count_threads(self.n_jobs)
        rng = check_random_state(self.random_state) if restoration is None else restoration.rng
        task, samples, rng = self._prepared(found, X, validation, n_threads, rng)
        self._check_labels(y, found.sample_weight)
        n_targets = len(samples)
        states = [None] * n_targets
        task.data = digest(rows)["hash"] if self.warm_start else None
        if coef_init is None and intercept_init is None:
            states = self._kept_states(n_targets)
        seeds = self._seeds(rng, states)
        starts = self._starts(coef_init, intercept_init, rows.shape()[1], n_targets, task.loss)
        if restoration is not None:
            started = {"coef_init": coef_init, "intercept_init": intercept_init}
            started |= dict(zip(OF_VALIDATION, validation, strict=True))
            data = {"X": rows, "y": y, **of_samples(samples[0]), **started}
            runs = restoration.checkpoint(data, seeds, starts, states)
            task.checkpoint, seeds, starts, states = runs
        callbacks = fit_callbacks(self, given, y, found.sample_weight, n_targets)
        at_once = runs_at_once(task, n_targets)
        task.watch = self._watch(callbacks, n_targets, at_once > 1)
        if not rows.in_memory:
            serves = f"; a reading serves {at_once} models at once" if at_once > 1 else ""
            task.notes += (rows.how_read() + serves,)
        elif isinstance(given, np.ndarray) and not np.may_share_memory(given, rows.values):
            task.notes += ("X was copied once, as floats in C order",)
        try:
            runs = fit_targets(task, samples, seeds, starts, states)
        except DivergenceError:  # restored, the fit would diverge again
            if task.checkpoint is not None:
                task.checkpoint.remove()
            raise
        self._set_fitted(runs)
        if callbacks is not None:
            callbacks.end()
        self._warn(runs)
        # Last of all: what raises before, as a warning that is an error, takes the model back.
        if task.checkpoint is not None and self.stop_reason_ is not StopReason.INTERRUPTED:
            task.checkpoint.remove()
        return self

    def _prepared(self, found, X, validation, n_threads, rng=None):
        """What a fit to checked data needs: the `Task`, the samples of each target, and the
        generator of their seeds.

        `found` is a `Surveyed`; `validation` is X_val, y_val, sample_weight_val, offset_val, each
        of which may be None; `rng` stands for the random_state.
        """
        rows, y, sample_weight, offset = found
        refuse_tiny(rows, largest_known(rows), getattr(self, "feature_names_in_", None))
        loss, penalty = self._components()
        targets = self._start_targets(y, loss)
        loss = self._joint_loss(loss)
        task = self._task(loss, penalty, rows, n_threads)
        n_samples = rows.shape()[0]
        weights = self._weights(sample_weight, y, n_samples)
        offset = None if offset is None else as_offset(offset, n_samples)
        refuse_shift(loss, offset)
        if not rows.in_memory and self.early_stopping and validation[0] is None:
            raise ValueError(
                "early_stopping=True holds out rows of X, which needs X in memory; give X_val and "
                "y_val"
            )
        # Early stopping was asked for: its rows follow NumPy's convention.
        rng = check_random_state(self.random_state) if rng is None else rng
        holdout = Holdout.choose(self, X, y, weights, sample_weight, offset, validation, rng)
        if holdout is not None:
            weights = holdout.training_weights(weights, n_samples)
            task.score = holdout.score
        self._check_rows(y, weights)
        name = name_of_target(0, len(targets))
        first = as_samples(loss, targets[0], n_samples, weights, offset, name)
        self._try_components(task, first)
        samples = SamplesOfTargets(first, self._checked_targets(loss, targets))
        if not is_classifier(self):
            refuse_tiny_targets(loss, samples.targets)
        if task.fit_intercept:
            check_optimum(loss, samples)
        _read_shifted(task, first)
        task.stop_rules = tuple(user_rules(self.stop))
        if self.random_state is None:
            rng = generator(None, task.settings, loss)
        return task, samples, rng

    def _try_components(self, task, samples):
        """ValueError for a component whose methods fail in plain Python on rows of these
        samples.
        """
        n_classes = np.size(self.classes_) if hasattr(self, "classes_") else None
        rule = task.settings.solver if isinstance(task.settings.solver, Rule) else None
        _, n_features = task.rows.shape()
        try_components(task.loss, task.penalty, samples.targets, n_features, n_classes, rule)

    def _watch(self, callbacks, n_targets, buffered):
        """Function that gives each target those who look on while it is fitted, or None for
        nobody; lines are `buffered` where several targets are fitted at once.
        """
        if callbacks is None and not self.verbose:
            return None

        def watch(k):
            name = self._name_of(k, n_targets)
            watches = [Lines(int(self.verbose), name, buffered)] if self.verbose else []
            return Together(*watches, *([] if callbacks is None else [callbacks.watch(k)]))

        return watch

    def _name_of(self, k, n_targets):
        """What lines about target `k` begin with."""
        if n_targets == 1:
            return ""
        return f"{kind_of_models(self)} {target_names(self, n_targets)[k]!s}  "

    def _loss(self):
        """The loss as a component, of one prediction or as it was given."""
        among = takes_labels if is_classifier(self) else None
        return find_loss(self.loss, among, epsilon=float(self.epsilon))

    def _fitted_loss(self):
        """The loss of the model that was fitted."""
        return self._joint_loss(self._loss())

    def _components(self):
        loss = self._loss()
        features = self.positive, self.bounds, self.penalty_weights
        if self.P2 is not None:
            return loss, with_quadratic(self._base_penalty(), self.P2, *features)
        return loss, weighted(self._base_penalty(), *features)

    def _base_penalty(self):
        """The penalty without weights and bounds."""
        if isinstance(self.penalty, str) and self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("penalty='elasticnet' needs l1_ratio, a number from 0 to 1, got None")
        return find_penalty(self.penalty, 0.15 if self.l1_ratio is None else self.l1_ratio)

    def _checked(self, X, y, reset, order="C"):
        """X and y, but for what `as_rows` says about the values of X."""
        if reset:
            self._encoding = None  # that of a source which was fitted before
        return validated(
            self,
            X,
            y,
            reset=reset,
            order=order,
            multi_output=self._several_targets(y),
            **self._y_options(),
        )

    def _rows_of(self, X, in_place=False):
        """Rows of an X that `_checked` has seen; what is wrong with its values is told by the
        names of its columns.
        """
        names = getattr(self, "feature_names_in_", None)
        return as_rows(X, checked=True, in_place=in_place, columns=names)

    def _weights(self, sample_weight, y, n_samples):
        """Checked sample weights, or None."""
        return None if sample_weight is None else as_weights(sample_weight, n_samples)

    def _fitted_targets(self, y):
        """Targets of the models that were fitted: parameters may be others by now."""
        return self._targets(y)

    def _checked_targets(self, loss, targets):
        """The targets, of which the first was checked: signs of classes are as they should be."""
        return targets

    def _several_targets(self, y):
        """Whether y may be a table of targets."""
        return isinstance(self.loss, VectorLoss)

    def _joint_loss(self, loss):
        """The loss that is minimised: one of all classes where there are several."""
        return loss

    def _check_rows(self, y, weights):
        """Raise ValueError where the rows that have a weight cannot be fitted."""

    def _check_labels(self, y, sample_weight):
        """Raise ValueError where no row that counts has a label of a table; in folds none may."""

    def _task(self, loss, penalty, rows, n_threads):
        tol = None if self.tol is None else max(self.tol, zero_tol.MIN_TOL)
        settings = Settings(
            self.solver,
            self.batch_size,
            self.learning_rate,
            float(self.eta0),
            float(self.power_t),
            float(self.momentum),
            int(self.average),
            bool(self.shuffle),
            tol,
            int(self.n_iter_no_change),
            np.inf if self.warm_start else int(self.max_iter),
        )
        return Task(
            loss,
            penalty,
            rows,
            settings,
            float(self.alpha),
            bool(self.fit_intercept),
            int(self.max_iter),
            self.max_time,
            n_threads=n_threads,
            keeps_states=bool(self.warm_start),
            records=self.record is not None,
        )

    def _kept_states(self, n_targets):
        """State of each target's last run, to be resumed where plan and data allow it; None
        where there is none.
        """
        kept = self._states if self.warm_start else None
        return (
            copy.deepcopy(kept)
            if kept is not None and len(kept) == n_targets
            else [None] * n_targets
        )

    def _seeds(self, rng, states):
        """Seed of each target: of the run to be resumed, else drawn (`rng` may be None where
        all are resumed).
        """
        drawn = states if rng is None else rng.randint(MAX_SEED, size=len(states))
        return [
            int(seed) if state is None else state.run.seed
            for state, seed in zip(states, drawn, strict=True)
        ]

    def _starts(self, coef_init, intercept_init, n_features, n_targets, loss):
        """(coef, intercept) for each target, from the arguments or, warm, from the last fit."""
        if coef_init is None and intercept_init is None:
            if not (self.warm_start and hasattr(self, "coef_")):
                return [None] * n_targets
            return self._last_models(n_features, n_targets, loss)
        vector = isinstance(loss, VectorLoss)
        n_outputs = n_targets
        if vector:
            given = len(np.atleast_2d(coef_init)) if intercept_init is None else None
            n_outputs = int(loss.n_classes) or given or np.size(intercept_init)
        shapes = f"of shapes ({n_outputs}, {n_features}) and ({n_outputs},)"
        coef = (
            np.zeros((n_outputs, n_features))
            if coef_init is None
            else as_floats(coef_init, "coef_init")
        )
        intercept = (
            np.zeros(n_outputs)
            if intercept_init is None
            else as_floats(intercept_init, "intercept_init")
        )
        if coef.size != n_outputs * n_features or intercept.size != n_outputs:
            raise ValueError(
                f"coef_init and intercept_init must be {shapes}, got {coef.shape} and "
                f"{intercept.shape}"
            )
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            raise ValueError(
                "coef_init and intercept_init must be finite; leave them out to start from zeros"
            )
        coef, intercept = coef.reshape(n_outputs, n_features), intercept.ravel()
        return [(coef.T, intercept)] if vector else list(zip(coef, intercept, strict=True))

    def _last_models(self, n_features, n_targets, loss):
        """(coef, intercept) of the fitted model for each target."""
        stored: Any = self.coef_
        coef = stored.toarray() if sp.issparse(stored) else np.atleast_2d(stored)
        intercept = np.ravel(self.intercept_)
        vector = isinstance(loss, VectorLoss)
        wanted = n_targets if not vector else int(loss.n_classes) or coef.shape[0]
        if coef.shape != (wanted, n_features):
            raise ValueError(
                f"the model to go on from has coef_ of shape {coef.shape}, these data need "
                f"({wanted}, {n_features}); set warm_start=False, or fit a clone, to start anew"
            )
        return [(coef.T, intercept)] if vector else list(zip(coef, intercept, strict=True))

    def _set_fitted(self, runs):
        results = [run.result for run in runs]
        several = len(runs) > 1
        self.coef_, self.intercept_ = self._shaped(runs)
        iterations = [result.history["iteration"][-1] for result in results]
        self.n_iter_ = int(max(iterations))
        self.t_ = 1.0 + max(run.updates for run in runs)
        self.objective_ = float(sum(result.objective for result in results))
        self.suboptimality_ = float(max(result.suboptimality for result in results))
        kinds = {result.bound.kind for result in results}
        # Of several models the worst.
        self.bound_kind_ = min(kinds, key=KINDS_OF_BOUNDS.index)
        target = self.tol or zero_tol.CONVERGED
        self.converged_ = self.tol is not None and self.suboptimality_ <= target
        self.stop_reason_ = min((result.reason for result in results), key=FROM_THE_WORST.index)
        if self.tol == 0 and self.converged_ and self.stop_reason_ is StopReason.PLATEAU:
            self.stop_reason_ = StopReason.CONVERGED
        histories = [result.history.arrays() for result in results]
        names = target_names(self, len(runs))
        self.history_ = Histories(histories, names) if several else histories[0]
        self._set_paths(runs)
        best = [np.fmax.reduce(result.history["score"]) for result in results]
        if not np.isnan(best).all():
            self.best_validation_score_ = float(np.mean(best))
        plans = [run.plan for run in runs]
        self.plan_ = Plans(plans, names, kind_of_models(self)) if several else plans[0]
        # Solvers that find their own steps keep vectors as long as there are rows: only for whoever
        # asked to go on.
        self._states = [
            r.result.state if self.warm_start or r.plan.solver not in batch_sizes() else None
            for r in runs
        ]

    def _set_paths(self, runs):
        """The models after each update, where they were recorded."""
        if self.record is None:
            for name in ("coef_path_", "intercept_path_"):
                self.__dict__.pop(name, None)
            return
        self.coef_path_: Any
        self.intercept_path_: Any
        paths = [run.path or [(run.coef, run.intercept)] for run in runs]
        if len(runs) == 1:
            models = [self._shaped([SimpleNamespace(coef=w, intercept=b)]) for w, b in paths[0]]
            self.coef_path_, self.intercept_path_ = map(np.array, zip(*models, strict=True))
            return
        # One against the rest: as many updates as each class has taken.
        self.coef_path_ = [np.array([w for w, _ in path]) for path in paths]
        self.intercept_path_ = [np.array([b for _, b in path]) for path in paths]

    def _warn(self, runs):
        """One warning for a fit, about the target that is farthest from its optimum."""
        short = self._short_of_tol([run.result for run in runs])
        # Whoever interrupted the fit knows; a warning turned into an error would lose the model.
        if short and self.stop_reason_ is not StopReason.INTERRUPTED:
            worst = max(short, key=lambda result: result.suboptimality)
            told = how_it_ended(worst, self.tol, self.max_iter)
            warn_at_call(told, ConvergenceWarning)

    def _short_of_tol(self, results):
        """The results that fall short of what `tol` asks for."""
        return [result for result in results if falls_short(result, self.tol)]

    def _scores(self, X, offset=None):
        """X @ coef + intercept (+ offset), (n_samples, n_outputs)."""
        source = source_of(X, offset=offset, memory=self.memory)
        if source is not None:
            check_is_fitted(self)
            found = read_predictions(self, source)
            return self._with_offset(found.linear, found.offset)
        scores, offset = self._linear(X), self._own_offset(offset)
        return self._with_offset(
            scores, None if offset is None else as_offset(offset, scores.shape[0])
        )

    def _with_offset(self, linear, offset):
        """Predictions, (n_samples, n_outputs), and what is added to them, checked, or None."""
        if offset is None:
            return linear
        refuse_shift(self._fitted_loss(), offset)
        return linear + np.reshape(offset, (-1, 1))

    def _linear(self, X):
        """X @ coef + intercept, (n_samples, n_outputs)."""
        if self._linear_of_rows is not None:
            return self._linear_of_rows
        check_is_fitted(self)
        X = validated(self, X, reset=False)
        refuse_not_finite(X, columns=getattr(self, "feature_names_in_", None))
        return self._linear_of(X)

    def _linear_of(self, X):
        """The same for an array or CSR that has been checked."""
        coef = self.coef_ if self.coef_.ndim == 2 else self.coef_.reshape(1, -1)
        intercept = np.ravel(self.intercept_)
        return predictions.scores(X, coef, intercept, self.n_jobs)

    def _set_linear(self, linear):
        """Predict this, (n_samples, n_outputs), from now on, without offsets, whatever the rows:
        how a search scores a model on rows that are not in memory, or by the models without them.
        """
        self._linear_of_rows = linear

    def _set_offset(self, offset):
        """Predict with this offset from now on where none is given: how a search, whose scorer
        knows no offsets, scores a model on rows that have some.

        Parameters
        ----------
        offset : array-like, (n_samples,), or None
        """
        self._offset_of_rows = offset

    def _own_offset(self, offset):
        """The offset that is given, or that of the rows which a search scores this model on."""
        return self._offset_of_rows if offset is None else offset

    def sparsify(self) -> Self:
        """Turn `coef_` into a SciPy sparse array, which saves memory where most coefficients are
        0; returns self.
        """
        check_is_fitted(self)
        self.coef_ = (
            sp.csr_array(np.atleast_2d(self.coef_)) if not sp.issparse(self.coef_) else self.coef_
        )
        return self

    def densify(self) -> Self:
        """Turn `coef_` back into an ndarray; returns self."""
        check_is_fitted(self)
        stored: Any = self.coef_
        if sp.issparse(stored):
            self.coef_ = self._dense_shape(stored.toarray())
        return self


def _read_shifted(task, samples):
    """Let the solvers of `task` read columns far from zero as distances from their means."""
    if not (task.fit_intercept and steps_are_automatic(task.settings, task.loss)):
        return
    rows = task.rows
    if rows.in_memory:
        task.rows = read_shifted(rows, samples)
    elif rows.far is not None:
        task.rows = rows.shifted(rows.far)
    if task.rows is not rows:
        task.notes += ("columns far from 0 are read as distances from their means",)


def generator(random_state, settings, loss, streaming=False):
    """The generator of seeds: without a random_state NumPy's own for what the user named, else
    as random_state=0.
    """
    if random_state is None and not random_by_name(settings, loss, streaming):
        random_state = 0
    return check_random_state(random_state)


def fitted_copy(estimator, runs, alpha):
    """A copy of the estimator that these runs, one for each target, have fitted with this alpha."""
    fitted = copy.copy(estimator)
    fitted.alpha = alpha
    fitted._set_fitted(runs)
    fitted._falls_short = bool(fitted._short_of_tol([run.result for run in runs]))
    return fitted
