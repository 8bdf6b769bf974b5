"""What `GDClassifierCV` and `GDRegressorCV` share: the scikit-learn contract around a search along
regularisation paths.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import numbers
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metadata_routing import (
    MetadataRequest,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastgd.data.block_rows import memory_of
from fastgd.data.check_parameters import (
    as_offset,
    as_weights,
    check_parameters,
    only_given,
    refuse_negative,
)
from fastgd.data.sources import BlockSource
from fastgd.estimators.base import MAX_SEED, GDEstimator
from fastgd.estimators.block_fits import as_first_read, first_reading, scored, source_of
from fastgd.estimators.deviance import is_deviance
from fastgd.estimators.rollback import restores_on_error
from fastgd.estimators.unknown_parameters import explains_unknown_arguments
from fastgd.fitting.plan import random_by_name
from fastgd.model_selection.alpha_grid import alpha_grid
from fastgd.model_selection.alpha_path import fit_path
from fastgd.model_selection.cross_validate import CheckedData, choose, score_paths
from fastgd.model_selection.end_of_grid import end_of_grid
from fastgd.model_selection.held_out import RowsElsewhere, predicting
from fastgd.model_selection.progress import SearchProgress
from fastgd.runtime.array_types import Labels, Matrix, Vector
from fastgd.runtime.call_warnings import warn_at_call
from fastgd.runtime.component import shown
from fastgd.runtime.threads import count_threads

# As `cv`: each row is scored by the model without it (`fastgd.inference.leave_one_out`).
LEAVE_ONE_OUT = "loo"
# What a refitted model brings along.
OF_THE_BEST = (
    "coef_",
    "intercept_",
    "n_iter_",
    "t_",
    "objective_",
    "suboptimality_",
    "bound_kind_",
    "converged_",
    "stop_reason_",
    "history_",
    "plan_",
)

NOT_REFITTED = "this search was fitted with refit=False and has no model; set refit=True"


def _sees_rows_once(search):
    raise AttributeError(
        f"{type(search).__name__} needs all rows at once; call partial_fit of best_estimator_"
    )


class PathSearch(GDEstimator):
    """What the two searches share, before `GDClassifier` or `GDRegressor` among the bases."""

    @explains_unknown_arguments
    @restores_on_error
    def fit(
        self,
        X: Matrix | BlockSource,
        y: Labels | None = None,
        sample_weight: Vector | None = None,
        *,
        offset: Vector | None = None,
        **params: Any,
    ) -> Self:
        """Score a regularisation path on each fold, choose, and fit the chosen model to all rows;
        callbacks see that.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
            A source brings its own targets, weights and offsets, and is read in each pass; its
            folds are those of arrays.
        y : array-like, (n_samples,)
        sample_weight : array-like, (n_samples,), optional
            Weight k means the row k times, in fits and in scores.  With metadata routing enabled
            they reach a scorer that asks for them, the default one does.
        offset : array-like, (n_samples,), optional
            Added to the predictions, in fits and in scores by whatever scorer.
        **params : dict
            `groups` for the splitter; with metadata routing enabled, what splitter and scorer ask
            for.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that are not allowed, and folds that cannot be fitted; the
            estimator is left as it was.
        """
        check_parameters(vars(self))
        source = source_of(X, y, sample_weight, offset, self.memory)
        if source is not None:
            return self._fit_surveyed(
                lambda memory: (first_reading(self, source, memory), source), **params
            )

        def read():
            nonlocal y
            checked, targets = self._checked(X, y, reset=True)
            if len(getattr(y, "shape", ())) == 2 and targets.ndim == 1:
                y = targets  # a column was warned of, which the refit would do again
            n_samples = checked.shape[0]
            weights = None if sample_weight is None else as_weights(sample_weight, n_samples)
            offsets = None if offset is None else as_offset(offset, n_samples)
            rows = self._rows_of(checked)
            return CheckedData(checked, rows, targets, weights, offsets)

        def refit(best, **start):
            best.fit(X, y, **only_given(sample_weight=sample_weight, offset=offset), **start)

        return self._search(read, refit, params, X if hasattr(X, "columns") else None)

    @restores_on_error
    def _fit_surveyed(self, read, **params):
        check_parameters(vars(self))
        if self._leaves_one_out():
            raise ValueError("cv='loo' needs X in memory; give a number of folds, or a splitter")
        memory = memory_of(self.memory)
        found: Any = None

        def table():
            nonlocal found
            found = read(memory)
            rows, y, weights, offset = as_first_read(self, *found)
            X = RowsElsewhere(*rows.shape())
            return CheckedData(X, rows, y, weights, offset, memory)

        def refit(best, **start):
            best._fit_surveyed(lambda memory: found, **start)

        return self._search(table, refit, params)

    def _search(self, read, refit, params, frame=None):
        """`fit` to the `CheckedData` that is `read`; the chosen model is fitted by `refit`, which
        takes where to start. `frame` is X where that has named columns.
        """
        alphas, l1_ratios = checked_alphas(self.alphas), self._checked_ratios()
        scorer, seed = self._scorer(), self._seed_of_paths()
        base = self._base(random_state=seed)
        n_threads = count_threads(self.n_jobs)
        table = read()
        X, y, weights = table.X, table.y, table.weights
        self._start_targets(y, base._components()[0])
        self._check_labels(y, weights)
        for_splits, for_scores = self._routed(scorer, weights, params)
        splits = self._splits(X if frame is None else frame, y, for_splits)
        _check_scored(splits, for_scores.get("sample_weight"))
        bases = [
            base if ratio is None else self._base(random_state=seed, l1_ratio=ratio)
            for ratio in l1_ratios
        ]
        grids = _grids(bases, alphas, table, n_threads)
        score = self._score_of_part(scorer, frame, y, for_scores)
        names = [_name_of_path(*pair) for pair in zip(l1_ratios, grids, strict=True)]
        progress = SearchProgress(self.verbose, grids.size * len(splits), names, len(splits))
        with progress:
            scores = score_paths(
                bases, grids, table, splits, score, n_threads, progress, self._leaves_one_out()
            )
        p, k = self._choose(grids, scores, isinstance(alphas, int))
        shares = bases[p]._base_penalty().shares
        self.l1_ratio_ = None if shares is None else float(shares[0])
        progress.chosen(self.alpha_, l1_ratios[p], float(scores[p, k].mean()))

        def begun(best):
            refit(best, **_start_of_refit(bases[p], grids[p, :k], table, n_threads))

        self._refit(begun, l1_ratios[p])
        return self

    def _score_of_part(self, scorer, frame, y, for_scores):
        """A function that scores a model on the rows `test`, of which it is given X and y; `frame`
        is X where that has named columns.
        """
        # scikit-learn's scorers ask for predictions alone, for which an array is enough.
        reads_frame = frame is not None and not hasattr(scorer, "_score_func")
        reads_frame = reads_frame and not isinstance(scorer, Explained)

        def score(model, X_test, y_test, test) -> float:
            if reads_frame:
                X_test = _safe_indexing(frame, test)
                model.feature_names_in_ = self.feature_names_in_
            more = {key: _part(v, test, y) for key, v in for_scores.items()}
            return _score(scorer, model, X_test, y_test, more)

        return score

    def _choose(self, grids, scores, made):
        """Keep grids and scores, and what was chosen: its path and its place there. A score that is
        no number, and an end of the grid, are told; the grid was given, or `made` by its size.
        """
        p, k = choose(scores, self.one_standard_error)
        if not np.isfinite(scores).all():
            warn_at_call(_not_finite(scores), UserWarning)
        end = end_of_grid(grids[p], scores[p].mean(axis=1), k, made)
        if end:
            warn_at_call(end, UserWarning)
        several = self.l1_ratios is not None
        self.alphas_: np.ndarray = grids if several else grids[0]
        self.scores_: np.ndarray = scores if several else scores[0]
        self.alpha_ = float(grids[p, k])
        return p, k

    @available_if(_sees_rows_once)
    def partial_fit(self, X, y):
        """Not there for a search, which needs all rows at once."""

    def score(self, X, y=None, sample_weight=None, offset=None, **params):
        """The score of the refitted model on these rows, by `scoring`.

        Parameters
        ----------
        X : array-like or sparse, (n_samples, n_features), or BlockSource
            A source brings its own y, weights and offsets.
        y : array-like, (n_samples,)
        sample_weight, offset : array-like, (n_samples,), optional
        **params : dict
            With metadata routing enabled, what the scorer asks for.

        Returns
        -------
        float
        """
        check_is_fitted(self, "alpha_")
        self._check_refitted()
        # Not the search itself: a scorer that calls `score` would come back here for ever.
        scorer, model = self._scorer(), self.best_estimator_
        source = source_of(X, y, sample_weight, offset, self.memory)
        if source is not None:
            linear, y, sample_weight, offset = scored(self, source)
            X = RowsElsewhere(linear.shape[0], self.n_features_in_)
            model = predicting(model, linear)
        if offset is not None:
            model = copy.copy(model)
            model._set_offset(offset)
        return _score(scorer, model, X, y, self._routed(scorer, sample_weight, params, "score")[1])

    def _score_of(self, linear, y, sample_weight, offset):
        if isinstance(self._scorer(), Explained):
            refuse_negative(sample_weight)
            return self._explained(linear, y, sample_weight, offset)
        return super()._score_of(linear, y, sample_weight, offset)

    def get_metadata_routing(self):
        """Who gets which metadata: this estimator, the splitter and the scorer; a
        `MetadataRouter`.
        """
        mapping = MethodMapping()
        splitter = None if isinstance(self.cv, str) else self.cv
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=splitter, method_mapping=mapping.add(caller="fit", callee="split"))
            .add(
                scorer=self._scorer(),
                method_mapping=MethodMapping()
                .add(caller="fit", callee="score")
                .add(caller="score", callee="score"),
            )
        )

    def _linear(self, X):
        self._check_refitted()
        return super()._linear(X)

    def _reported(self, *args, **kwargs):
        """Of the model that was chosen, with its alpha."""
        check_is_fitted(self, "alpha_")
        self._check_refitted()
        return self.best_estimator_._reported(*args, **kwargs)

    if not TYPE_CHECKING:  # for whom any name would be there

        def __getattr__(self, name):
            if name in (*OF_THE_BEST, "best_estimator_") and "alpha_" in self.__dict__:
                raise AttributeError(NOT_REFITTED)
            return super().__getattribute__(name)  # says what is missing, and why

    def _check_refitted(self):
        if hasattr(self, "alpha_") and not hasattr(self, "coef_"):
            raise AttributeError(NOT_REFITTED)

    def _base(self, **chosen):
        """The estimator that is fitted along the paths, with this search's parameters."""
        names = self._estimator_class().get_params(deep=False)
        given = {
            name: value for name, value in self.get_params(deep=False).items() if name in names
        }
        # Folds run on the threads that there are.
        return self._estimator_class(**{**given, "n_jobs": 1, **chosen})

    def _seed_of_paths(self):
        """A random_state that gives every path and fold the same draws; NumPy's generator where
        it is called for.
        """
        random_state, base = self.random_state, self._base()
        if isinstance(random_state, numbers.Integral):
            return random_state
        if random_state is None and not self.early_stopping:
            loss, penalty = base._components()
            if not random_by_name(base._task(loss, penalty, None, 1).settings, loss):
                return None
        return int(check_random_state(random_state).randint(MAX_SEED))

    def _refit(self, refit, l1_ratio):
        """Set, or remove, what a model fitted to all rows brings along."""
        for name in (*OF_THE_BEST, "best_estimator_"):
            self.__dict__.pop(name, None)
        if not self.refit:
            return
        ratio = {} if l1_ratio is None else {"l1_ratio": l1_ratio}
        best = self._base(alpha=self.alpha_, n_jobs=self.n_jobs, **ratio)
        callbacks = getattr(self, "_skl_callbacks", None)
        if callbacks:  # they look on while the chosen model is fitted
            best.set_callbacks(*callbacks)
        refit(best)
        if hasattr(self, "feature_names_in_"):
            best.feature_names_in_ = self.feature_names_in_
        self.best_estimator_ = best
        for name in OF_THE_BEST:
            setattr(self, name, getattr(best, name))
        self._joint = best._joint

    def _checked_ratios(self):
        """The shares of the L1 part to try; [None] where there is one that is given by the
        penalty.
        """
        for name in ("refit", "one_standard_error"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.l1_ratios is None:
            return [None]
        if self.penalty != "elasticnet":
            raise ValueError(f"l1_ratios needs penalty='elasticnet', got {self.penalty!r}")
        ratios = _numbers(self.l1_ratios)
        if ratios is None or not ratios.size or not ((ratios >= 0.0) & (ratios <= 1.0)).all():
            raise ValueError(
                f"l1_ratios must be None or numbers from 0 to 1, got {self.l1_ratios!r}"
            )
        return [float(ratio) for ratio in ratios]

    def _splits(self, X, y, params):
        """(train, test) of each fold as indices; all rows twice for `LEAVE_ONE_OUT`."""
        if self._leaves_one_out():
            return [(np.arange(len(y)),) * 2]
        cv = check_cv(self.cv, y, classifier=is_classifier(self))
        index = np.arange(len(y))
        splits: list[tuple[np.ndarray, np.ndarray]] = []
        for fold in _folds(cv, X, y, params):
            try:
                train, test = (index[rows] for rows in fold)
            except IndexError as error:
                raise ValueError(
                    f"fold {len(splits)} of cv names rows that there are not: {error}"
                ) from error
            splits.append((train, test))
        if not splits:
            raise ValueError(f"cv must give at least one fold, got none from {self.cv!r}")
        for f, (train, test) in enumerate(splits):
            if not train.size or not test.size:
                raise ValueError(
                    f"fold {f} of cv has {train.size} rows to fit and {test.size} to score; give "
                    "both some"
                )
        return splits

    def _leaves_one_out(self):
        if isinstance(self.cv, str) and self.cv != LEAVE_ONE_OUT:
            raise ValueError(
                f"cv must be a number of folds, {LEAVE_ONE_OUT!r}, a splitter or splits, got "
                f"{self.cv!r}"
            )
        return isinstance(self.cv, str)

    def _scorer(self):
        """The callable that scores a model; ours asks for the weights."""
        if self.scoring is None and not is_classifier(self):
            loss = self._components()[0]
            if _scored_by_loss(loss):
                return Explained()
        if self.scoring is None:
            scorer = get_scorer("accuracy" if is_classifier(self) else "r2")
            return scorer.set_score_request(sample_weight=True) if _routes() else scorer
        if not (isinstance(self.scoring, str) or callable(self.scoring)):
            raise ValueError(
                f"scoring must be None, the name of one score or a callable, got {self.scoring!r}"
            )
        if isinstance(self.scoring, str) and self.scoring not in get_scorer_names():
            near = difflib.get_close_matches(self.scoring, get_scorer_names(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise ValueError(
                f"scoring={self.scoring!r} is no score of scikit-learn{hint} "
                "sklearn.metrics.get_scorer_names() lists them"
            )
        return check_scoring(self._estimator_class(), scoring=self.scoring)

    def _routed(self, scorer, sample_weight, params, method="fit"):
        """Metadata for the splitter and for the scorer, two dicts."""
        if _routes():
            routed = process_routing(self, method, sample_weight=sample_weight, **params)
            return (routed.splitter.split if method == "fit" else {}), routed.scorer.score
        unknown = sorted(set(params) - ({"groups"} if method == "fit" else set()))
        if unknown:
            raise ValueError(
                f"{method} got {unknown}, which only metadata routing can pass on: "
                "sklearn.set_config(enable_metadata_routing=True)"
            )
        return params, {"sample_weight": sample_weight} if sample_weight is not None and _weighs(
            scorer
        ) else {}


def _not_finite(scores):
    """What is said of scores, (n_paths, n_alphas, n_folds), some of which are no numbers."""
    wrong = ~np.isfinite(scores)
    folds = np.flatnonzero(wrong.any(axis=(0, 1)))
    return (
        f"{wrong.sum()} of {scores.size} scores are not finite, in {folds.size} of "
        f"{scores.shape[2]} folds, first in fold {folds[0]}: {wrong.any(axis=2).sum()} of "
        f"{scores[..., 0].size} alphas have no mean over the folds and are not chosen; look at "
        "scores_, scoring and cv"
    )


def _check_scored(splits, weights):
    """ValueError for a fold whose held-out rows have no weight, where a scorer is given weights."""
    for f, (_, test) in enumerate(splits):
        if weights is not None and not np.asarray(weights)[test].any():
            raise ValueError(
                f"fold {f} of cv scores {test.size} rows that all have weight 0; give it rows with "
                "a positive weight, by a splitter that shuffles, or leave rows of weight 0 out"
            )


def _grids(bases, alphas, table, n_threads):
    """The alphas of each estimator, from the greatest, (n_estimators, n_alphas)."""
    if not isinstance(alphas, int):
        return np.array([np.sort(alphas)[::-1]] * len(bases))
    own = table.X, table.y, alphas, table.weights, n_threads
    return np.array([alpha_grid(one, *own, rows=table.rows, offset=table.offset) for one in bases])


def _name_of_path(ratio, path):
    before = "" if ratio is None else f"l1_ratio {ratio:g}, "
    return f"{before}alpha {path[0]:.3g} to {path[-1]:.3g}"


def _start_of_refit(base, alphas, table, n_threads):
    """Where a refit to all rows begins, after these alphas, as arguments of `fit`; none where F has
    one minimum.

    Of a penalty that is not convex a fit that begins elsewhere ends at another minimum than those
    that were scored: 12 % above it, with MCP on 80 rows of 40 columns that are alike.
    """
    if not alphas.size or base._components()[1].term(1.0).convex:
        return {}
    given = table.X, table.y, alphas, table.weights, n_threads
    *_, last = fit_path(base, *given, rows=table.rows, offset=table.offset)
    return {"coef_init": last.coef_, "intercept_init": last.intercept_}


def _scored_by_loss(loss):
    """Whether alpha is chosen by the loss itself where no score is asked for: under a link, and
    where a loss says so. R^2 rewards quantiles that a penalty pulls to the mean.
    """
    return is_deviance(loss) or loss.scored_by_value


class Explained:
    """The scorer of a loss by which alpha is chosen: the share of it that a model explains."""

    def __call__(self, model, X, y, sample_weight=None):
        """D^2 of a model on these rows."""
        return model._explained(model._linear(X), y, sample_weight, model._own_offset(None))

    def get_metadata_routing(self):
        """Weights are asked for."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=True)
        return request


def score_name(search):
    """What the `scores_` of a search are, in a word."""
    if callable(search.scoring):
        return getattr(search.scoring, "__name__", "score")
    if search.scoring is not None:
        return search.scoring
    if is_classifier(search):
        return "accuracy"
    loss = search._components()[0]
    if is_deviance(loss):
        return "share of the deviance"
    return "share of the loss" if _scored_by_loss(loss) else "r2"


def _folds(cv, X, y, params):
    try:
        return list(cv.split(X, y, **params))
    except ValueError as error:
        if params.get("groups") is not None or "groups" not in str(error):
            raise
        raise ValueError(f"cv={cv!r} needs groups=, a label of each row, in fit") from error


def _routes():
    return sklearn.get_config()["enable_metadata_routing"]


def _weighs(scorer):
    """Whether a scorer takes weights, as far as its signature tells."""
    parameters = inspect.signature(scorer).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def _score(scorer, model, X, y, params):
    try:
        found = scorer(model, X, y, **params)
    except TypeError as error:
        if "sample_weight" in params and "sample_weight" in str(error):
            raise ValueError(
                f"the score {scorer!r} takes no sample_weight; choose one that does"
            ) from error
        raise
    except AttributeError as error:
        if "predict_proba" not in str(error):
            raise
        what = f"scoring with {scorer!r} needs what loss={model.loss!r} does not give"
        raise ValueError(
            f"{what}: {error} Probabilities come with loss='log_loss' or 'modified_huber'"
        ) from error
    except ValueError as error:
        name = type(model).__name__
        raise ValueError(f"scoring {name} with {scorer!r} fails: {error}") from error
    if not isinstance(found, numbers.Real):
        raise ValueError(f"scoring must give a number, got {found!r}")
    return float(found)


def _part(value, index, y):
    """The rows of metadata that has one entry for each row, other metadata as it is."""
    if isinstance(value, str) or np.ndim(value) == 0 or len(value) != len(y):
        return value
    return np.asarray(value)[index]


def _numbers(values):
    """A float array with one dimension, or None."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim != 1:
        return None
    return array.astype(np.float64)


def checked_alphas(alphas):
    """Number of alphas, or an array of them."""
    if isinstance(alphas, numbers.Integral) and not isinstance(alphas, bool) and int(alphas) >= 1:
        return int(alphas)
    array = None if isinstance(alphas, numbers.Number) else _numbers(alphas)
    if array is None or not array.size or not (np.isfinite(array) & (array >= 0.0)).all():
        raise ValueError(
            "alphas must be how many there are to be, at least 1, or finite numbers of at least "
            f"0, got {shown(alphas)}"
        )
    return array
