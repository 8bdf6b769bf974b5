"""Rows that come in chunks: what the estimators' `partial_fit` share."""

from __future__ import annotations

import copy
import functools
import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_classifier

from fastgd.data.check_parameters import check_parameters, only_given
from fastgd.data.check_X import as_rows
from fastgd.data.digest import digest
from fastgd.data.far_columns import read_from, read_shifted
from fastgd.data.targets import WeightedSamples, as_samples, name_of_target, refuse_shift
from fastgd.estimators import predictions
from fastgd.estimators.base import GDEstimator, generator
from fastgd.estimators.holdout import Holdout
from fastgd.estimators.names import kind_of_models, target_names
from fastgd.fitting.chunks import advance_targets, model_of
from fastgd.fitting.lines import header, row
from fastgd.fitting.plan import Plans, steps_are_automatic
from fastgd.fitting.stopping import Validation
from fastgd.losses.base import VectorLoss
from fastgd.runtime.array_types import Floats
from fastgd.runtime.blas import one_blas_thread
from fastgd.runtime.clock import clock
from fastgd.runtime.threads import count_threads

OF_A_FIT = (
    *("objective_", "suboptimality_", "bound_kind_", "converged_", "stop_reason_", "history_"),
    *("coef_path_", "intercept_path_"),
)
# Attributes that a stream of rows of few columns makes once someone asks.
MODEL = "coef_", "intercept_"
# A ratio of mean weights this close to 1 is 1 but for rounding.
SAME = 1e-12


class ChunkHistory:
    """What was measured at each call, as rows of a table that grows at constant cost.

    Examples
    --------
    >>> seen = ChunkHistory().plus([1.0, 0.1, 0.5, np.inf, 0.01, 1.0, np.nan])
    >>> seen.columns()["objective"]
    array([0.5])
    """

    keys = ("passes", "seconds", "objective", "bound", "rate", "batch", "score")

    def __init__(self, table=None, size=0, keys=keys):
        self.table, self.size = np.empty((16, len(keys))) if table is None else table, size
        self.keys, self.extended = keys, False

    def plus(self, row):
        """The history with one more row; this one stays as it is, and the table is copied where
        both go on.
        """
        table = self.table
        if self.extended or self.size == len(table):
            table = np.concatenate([table[: self.size], np.empty((self.size + 16, len(self.keys)))])
        self.extended = True
        table[self.size] = row
        return ChunkHistory(table, self.size + 1, self.keys)

    def with_column(self, key):
        """The history with a column more, unknown so far; itself where it has that."""
        if key in self.keys:
            return self
        table = np.column_stack([self.table, np.full(len(self.table), np.nan)])
        return ChunkHistory(table, self.size, (*self.keys, key))

    def columns(self):
        """A dict of arrays, (n_calls,)."""
        return {key: self.table[: self.size, j] for j, key in enumerate(self.keys)}


@functools.cache
def _parameter_names(cls):
    return tuple(inspect.signature(cls).parameters)


def _is_same(one, other):
    """Whether two parameters are the same object, or equal numbers or words: in a pickle numbers
    become others, which had made a new plan.
    """
    return one is other or (type(one) is type(other) and np.isscalar(one) and one == other)


def _models_of(states, columns=None):
    """What runs are to `_shaped`, of states whose epochs left no coefficients."""
    found = [model_of(state, columns) for state in states]
    return [SimpleNamespace(coef=coef, intercept=intercept) for coef, intercept in found]


def validation_rows(X_val, y_val, sample_weight_val, offset_val):
    """The four as a tuple, or None where none is given."""
    given = X_val, y_val, sample_weight_val, offset_val
    return None if all(one is None for one in given) else given


class FromStates:
    """A fitted attribute that is made of the states of a stream once someone asks for it.

    Set, it is an attribute like any other.
    """

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, estimator, owner=None):
        if estimator is None or not estimator._in_states:
            name = owner.__name__ if estimator is None else type(estimator).__name__
            raise AttributeError(f"{name!r} object has no attribute {self.name!r}")
        return estimator._model_of_states()[self.name]


class ChunkEstimator(GDEstimator):
    """One epoch over each chunk, and what is known about the model on the way."""

    coef_: Any = FromStates()
    intercept_: Any = FromStates()
    # Whether the model is what the states of the chunks tell, and what it was made to be, of which
    # states.
    _in_states = False
    _made: tuple[Any, dict[str, Any]] = (None, {})
    # The parameters of the last call, numbers that may be changed in place, and the task of these.
    _last_task: tuple[list, Any, Any] = ([], None, None)
    # The settings whose components were tried.
    _tried: Any = None
    # What was measured at each call, where there was one since the last `fit`.
    _chunks: ChunkHistory | None = None
    # Rows, and their total weight, in all chunks so far.
    _weighed: tuple[float, float] = (0, 0.0)
    # Whether a first chunk was looked at for columns far from 0, and what is taken from these.
    _centered = False
    _centers: Floats | None = None
    # coef_ and intercept_ of the best score on the validation rows so far.
    _best: tuple[Floats, Floats] | None = None

    def __copy__(self):
        """A shallow copy but for the states of chunks, which both would move in place."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        if self._states is not None:
            made._states = copy.deepcopy(self._states)
        return made

    def __getstate__(self):
        return {name: one for name, one in super().__getstate__().items() if name != "_made"}

    def _is_begun(self):
        """Whether there is a model."""
        return self._in_states or "coef_" in vars(self)

    def _model_of_states(self):
        """`coef_` and `intercept_` after the last call that has ended, whatever another thread
        does.
        """
        while True:
            states, (known, model) = self._states, self._made
            if known is not states:
                coef, intercept = self._shaped(_models_of(states))
                model = {"coef_": self._dense_shape(coef), "intercept_": intercept}
            if self._states is states:
                self._made = states, model
                return model

    def _linear_of(self, X):
        """X @ coef + intercept, (n_samples, n_outputs), of checked data."""
        found = self._linear_of_few(X)
        return super()._linear_of(X) if found is None else found

    def _linear_of_few(self, X):
        """The same by the columns that X touches, where these are few and nobody has asked for
        `coef_`; else None.
        """
        states: Any = self._states
        made = self._made[0] is states or not vars(self).keys().isdisjoint(MODEL)
        narrowed = None
        if self._in_states and not made and sp.issparse(X):
            narrowed = as_rows(X, checked=True).narrowed()
        if narrowed is None:
            return None
        columns, rows = narrowed
        coef, intercept = self._shaped(_models_of(states, columns))
        moving = any(state.memory.journal is not None for state in states)
        if moving or self._states is not states:
            return None
        return predictions.scores(rows.matrix(), np.atleast_2d(coef), intercept, self.n_jobs)

    def _refuse_in_partial_fit(self):
        """Raise ValueError for parameters that need all rows at once."""
        if self.early_stopping:
            raise ValueError(
                "early_stopping must be False with partial_fit, which sees each row once; give "
                "X_val and y_val"
            )
        if self.record is not None:
            raise ValueError(
                f"record must be None with partial_fit, got {self.record!r}: coef_ after each call "
                "is there to be kept"
            )

    def _task_of_chunks(self):
        """Task without rows, its parameters checked; made anew when a parameter is another number,
        word or object than before, or an array of other numbers.
        """
        cls: Any = type(self)
        given = [getattr(self, name) for name in _parameter_names(cls)]
        kept, numbers, task = self._last_task
        same = len(kept) == len(given) and all(map(_is_same, kept, given))
        if not same or numbers != self._numbers_given():
            check_parameters(vars(self))
            self._refuse_in_partial_fit()
            loss, penalty = self._components()
            task = self._task(loss, penalty, None, 1)
            self._last_task = given, self._numbers_given(), task
        return copy.copy(task)

    def _numbers_given(self):
        """What tells the numbers of parameters that may be changed in place from others."""
        low, high = (None, None) if self.bounds is None else self.bounds
        arrays = low, high, self.penalty_weights, self.P2
        return [None if one is None else digest(one) for one in arrays]

    def _share_kept(self, weights, n_samples):
        """What earlier chunks still count where this one comes: half after `forget` rows."""
        if self.forget is None:
            return 1.0
        n_active = n_samples if weights is None else np.count_nonzero(weights)
        return float(0.5 ** (n_active / self.forget))

    def _score_before(self, X, y, sample_weight, offset):
        """Score of the model on a chunk that it has not learnt from; NaN where there is none."""
        one_row = len(y) < 2 and not is_classifier(self)
        if self.forget is None or not self._is_begun() or one_row:
            return np.nan
        given = only_given(sample_weight=sample_weight, offset=offset)
        return float(self.score(X, y, **given))

    @one_blas_thread()
    def _advance(self, task, X, targets, weights, validation, offset=None, score_before=None):
        """One epoch of each target over a chunk; `score_before` is called once all was checked.

        Sums of 10,000 numbers and more would have BLAS wake its threads: on a busy machine 20 ms.
        """
        began = clock.now()
        samples, seeds, starts, states = self._prepared_chunk(task, X, targets, weights, offset)
        before = score_before()
        parts = advance_targets(task, samples, seeds, starts, states, X)
        self._store_chunk(parts)
        score = np.nan if validation is None else self._validate(*validation)
        self._note_chunk(parts, score, before, clock.now() - began)
        if validation is not None:
            scores = self.history_["score"]
            rule = Validation(self.tol or 0.0, self.n_iter_no_change)
            self.stop_reason_ = rule.check({"score": scores[np.isfinite(scores)]})

    def _prepared_chunk(self, task, X, targets, weights, offset):
        """Samples, seed, point to start from and state so far of each target, (n_targets,) each;
        `task` gets what it lacks.
        """
        loss, n_targets = task.loss, len(targets)
        task.rows = self._rows_of(X)
        task.n_threads = count_threads(self.n_jobs) if n_targets > 1 else 1
        task.in_place = self._chunks is not None
        kept = self._states
        states = kept if kept is not None and len(kept) == n_targets else [None] * n_targets
        starts: list = [None] * n_targets
        if self._is_begun():
            last = functools.cache(lambda: self._last_models(X.shape[1], n_targets, loss))
            starts = [lambda k=k: last()[k] for k in range(n_targets)]
        plain = loss.classification and not isinstance(loss, VectorLoss)
        if weights is None and offset is None and plain:
            # Made of checked labels; 8 us less.
            first = WeightedSamples(targets[0], np.ones(1), np.zeros(1))
        else:
            name = name_of_target(0, len(targets))
            first = as_samples(loss, targets[0], X.shape[0], weights, offset, name)
            refuse_shift(loss, first.offsets)
        # Once for parameters that stay the same objects.
        if self._tried is not task.settings:
            self._try_components(task, first)
            self._tried = task.settings
        self._shift(task, first, states)
        samples = [self._chunk_samples(first, weights, task.keep)]
        samples += [samples[0].with_targets(targets[k]) for k in range(1, n_targets)]
        rng = (
            generator(self.random_state, task.settings, loss, streaming=True)
            if None in states
            else None
        )
        return samples, self._seeds(rng, states), starts, states

    def _store_chunk(self, parts):
        """Set what an estimator knows after the epoch of each target over a chunk."""
        self._states = [part.state for part in parts]
        self._in_states = all(part.coef is None for part in parts)
        if self._in_states:
            for name in (*MODEL, "_made"):
                self.__dict__.pop(name, None)
        else:
            self._set_latest(*self._shaped(parts))
        self.n_iter_ = max(part.state.iteration for part in parts)
        self.t_ = 1.0 + max(part.state.updates for part in parts)
        plans, names = [part.plan for part in parts], target_names(self, len(parts))
        self.plan_ = plans[0] if len(parts) == 1 else Plans(plans, names, kind_of_models(self))
        for name in OF_A_FIT:
            # Of an earlier fit: nothing is known about the rows of all chunks.
            self.__dict__.pop(name, None)
        if self._best is None:
            self.__dict__.pop("best_validation_score_", None)

    def _shift(self, task, samples, states):
        """Let automatic rates read columns that are far from 0 in the first chunk as distances
        from their means there, the same in all chunks.
        """
        if not (task.fit_intercept and steps_are_automatic(task.settings, task.loss)):
            return
        if None in states or not self._centered:
            self._centers = getattr(read_shifted(task.rows, samples), "centers", None)
            self._centered = True
        if self._centers is not None:
            task.rows = read_from(task.rows, self._centers)

    def _chunk_samples(self, samples, weights, keep):
        """The samples with weights of mean 1 over all chunks so far, of which the earlier ones
        count `keep`: between chunks they count too.
        """
        n_active = samples.n_active()
        total = n_active if weights is None else float(weights.sum())
        seen, weighed = self._weighed
        self._weighed = seen, weighed = keep * seen + n_active, keep * weighed + total
        share = (total / n_active) / (weighed / seen)
        if abs(share - 1.0) <= SAME:
            return samples
        return WeightedSamples(samples.targets, share * samples.weights, samples.offsets)

    def _set_latest(self, coef, intercept):
        self.coef_, self.intercept_ = self._dense_shape(coef), np.array(intercept, dtype=np.float64)

    def _shape_of_target(self):
        """Shape of the target of one row: (), or (n_columns,) for a table of targets."""
        return () if self._columns_of_y is None else (self._columns_of_y,)

    def _held_out(self, X_val, y_val, sample_weight_val, offset_val):
        """The rows to watch, checked."""
        validation = X_val, y_val, sample_weight_val, offset_val
        return Holdout.given(self, self._shape_of_target(), *validation)

    def _validate(self, X_val, y_val, sample_weight_val, offset_val):
        """Score on the validation rows; the best model on them so far becomes the one that
        predicts.
        """
        holdout = self._held_out(X_val, y_val, sample_weight_val, offset_val)
        weights = None if sample_weight_val is None else holdout.weights
        given = only_given(sample_weight=weights, offset=offset_val)
        score = float(self.score(X_val, y_val, **given))
        best = self._best
        # NaN is better than nothing, and worse than any number.
        if best is None or np.isnan(known := self.best_validation_score_) or score > known:
            best = self.coef_, self.intercept_
            self.best_validation_score_, self._best = score, best
        self.coef_, self.intercept_ = (part.copy() for part in best)
        return score

    def _note_chunk(self, parts, score, score_before, seconds):
        """One more entry of `history_`, and a line for it."""
        before = self._chunks or ChunkHistory()
        if self.forget is not None:
            before = before.with_column("prequential")
        earlier = before.table[before.size - 1, 1] if before.size else 0.0
        state, objective = parts[0].state, sum(part.objective for part in parts)
        entry = [self.n_iter_, earlier + seconds, objective, np.inf, state.rate, state.batch, score]
        self._chunks = before.plus([*entry, score_before][: len(before.keys)])
        self.history_ = self._chunks.columns()
        if self.verbose and self._chunks.size % int(self.verbose) == 0:
            scored = f"  {score:.6g}" if np.isfinite(score) else ""
            scored += f"  before {score_before:.6g}" if np.isfinite(score_before) else ""
            if self._chunks.size == int(self.verbose):
                print(f"{header('chunk', bool(scored))}  (objective on the chunk)")
            seen = self._chunks.size, self.n_iter_, objective, np.inf, earlier + seconds
            print(row(*seen, scored), flush=True)

    def _set_fitted(self, runs):
        # What was kept between chunks is of other rows.
        of_chunks = ("_chunks", "_weighed", "_best", "_centers", "_centered", "class_count_")
        for name in (*of_chunks, "_in_states", "_made", "best_validation_score_"):
            self.__dict__.pop(name, None)
        super()._set_fitted(runs)
