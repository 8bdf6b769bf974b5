"""The plan: which solver, which batch, which steps and which end, with the reasons in words.

`auto` follows measured constants: rows n, columns d, nonzeros of a row, what loss and penalty are
like, and what a pass, a curvature matrix and an update cost in terms of each other.  It never looks
at a clock.
"""

import difflib
import html
import numbers
from dataclasses import dataclass, field, replace

import numpy as np

from fastgd.fitting.choose_solver import (
    batch_sizes,
    cheapest,
    compared,
    is_open,
    of_name,
    random_names,
)
from fastgd.losses.base import has_mean
from fastgd.objective.cost_model import reading_share
from fastgd.rules.base import Rule, find_rule
from fastgd.rules.batches import rows_per_update
from fastgd.rules.schedules import LEARNING_RATES
from fastgd.runtime.component import shown
from fastgd.solvers.growing_batch import Growing, growth_pays
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.row_generation import RowGeneration
from fastgd.solvers.stochastic.laplace import Laplace

# With no more iterations than these a look at each row brings more than Newton's method: by the
# interior point method, and elsewhere from so many rows on.
FEW_PATH_ITERATIONS = 5
FEW_ITERATIONS = 3
ENOUGH_ROWS = 1000
# From so many columns and from l2 / R^2 of so much on (R^2 is the mean |x|^2) rates fall as
# 1 / (alpha t), where the number of classes times what rows have in common, |mean x|^2 / R^2, is no
# more than this. One row does not tell what rows have in common; of posts as counts of words it is
# 0.26, as tf-idf 0.03.
MANY_COLUMNS = 1024
STRONG_PENALTY = 3e-5
LITTLE_IN_COMMON = 1.0
UNKNOWN_IN_COMMON = 0.2


# Solvers of other libraries, and what they are here.
ELSEWHERE = {
    "sgd": "'gd' with batch_size=1",
    "bgd": "'gd' with batch_size='full'",
    "minibatch": "'gd' with a batch_size, such as 32",
    "adamw": "'adam'",
    "nag": "'nesterov'",
    "fista": "'nesterov'",
    "bfgs": "'lbfgs'",
    "l-bfgs-b": "'lbfgs'",
    "newton-cg": "'newton'",
    "newton-cholesky": "'newton'",
    "irls": "'newton'",
    "cholesky": "'newton'",
    "sag": "'saga'",
    "liblinear": "'auto'",
    "libsvm": "'auto'",
    "coordinate_descent": "'auto'",
    "svd": "'auto'",
}

# Of more classes with one plan only these are named.
MAX_NAMES = 10

# What plans call Newton steps for non-smooth losses, which no other has to be left for.
INTERIOR_POINT = CentralPath.form


@dataclass(frozen=True)
class Plan:
    """What a fit does, and why; it prints as a few sentences, at a prompt too.

    `forecasts` says what the solvers that `auto` chose among were expected to take, in passes'
    worth of time, the least first; of one that is above the chosen one it may be a rough number.
    `method` is the class of the solver where that was chosen with the plan: several share a name,
    and asking all of them again what they would take is a tenth of a fit to 200 rows.

    Examples
    --------
    >>> print(Plan("nesterov", "full", "auto", ("the loss has a derivative everywhere",)))
    nesterov on all rows per update, learning rate auto: the loss has a derivative everywhere.
    """

    solver: str
    batch_size: int | str
    learning_rate: str
    reasons: tuple[str, ...] = field(default=())
    form: str = ""
    forecasts: tuple[tuple[str, float], ...] = field(default=(), compare=False, repr=False)
    method: str = field(default="", compare=False, repr=False)

    def __str__(self):
        rows = {
            "full": "all rows",
            "growing": "a growing number of rows",
            "auto": "a few rows",
            "chunk": "the rows of a chunk",
            1: "1 row",
        }.get(self.batch_size, f"{self.batch_size} rows")
        solver = f"{self.solver} {self.form}" if self.form else self.solver
        text = f"{solver} on {rows} per update, learning rate {self.learning_rate}"
        return f"{text}: {'; '.join(self.reasons)}." if self.reasons else f"{text}."

    __repr__ = __str__


class Plans(list):
    """The plans of several models, one for each class or target; printed, each once, with those
    that it is of.

    Examples
    --------
    >>> gd, newton = Plan("gd", 1, "auto"), Plan("newton", "full", "auto")
    >>> print(Plans([gd, newton, gd], ["a", "b", "c"]))
    classes a, c: gd on 1 row per update, learning rate auto.
    class b: newton on all rows per update, learning rate auto.
    """

    def __init__(self, plans=(), names=(), what="class"):
        super().__init__(plans)
        self.names = [str(one) for one in names]
        self.what = what

    def by_text(self):
        """The names of the models of each plan, by what the plan says."""
        found: dict[str, list[str]] = {}
        for plan, name in zip(self, self.names, strict=True):
            found.setdefault(str(plan), []).append(name)
        return found

    def __str__(self):
        return "\n".join(f"{self._named(names)}: {text}" for text, names in self.by_text().items())

    __repr__ = __str__

    def _repr_html_(self):
        """A table, for notebooks."""
        rows = (
            f"<tr><td>{html.escape(self._named(names))}</td><td>{html.escape(text)}</td></tr>"
            for text, names in self.by_text().items()
        )
        return f"<table>{''.join(rows)}</table>"

    def _named(self, names):
        """Those that one plan is of, in words; of many the first and how many they are."""
        several = {"class": "classes"}.get(self.what, f"{self.what}s")
        if len(names) > MAX_NAMES:
            return f"{len(names)} {several} ({', '.join(names[:MAX_NAMES])}, ...)"
        return f"{several if len(names) > 1 else self.what} {', '.join(names)}"


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator that decide how it descends.

    `most_iterations` is `max_iter`, or infinite where a warm start may go on after it.
    """

    solver: object = "auto"
    batch_size: object = "auto"
    learning_rate: str = "auto"
    eta0: float = 0.01
    power_t: float = 0.5
    momentum: float = 0.9
    average: object = False
    shuffle: bool = True
    tol: float | None = 1e-4
    n_iter_no_change: int = 5
    most_iterations: float = np.inf


def make_plan(settings, objective, streaming=False, fresh=True, n_models=1):
    """Plan and rule for these settings and data; the rule is None for solvers that are not one.

    Parameters
    ----------
    settings : Settings
    objective : Objective
    streaming : bool
        Whether rows come in chunks (`partial_fit`): then `auto` takes one row at a time.
    fresh : bool
        Whether chunks are all that the model comes from: one that was fitted to all rows is moved
        with care.
    n_models : int
        How many models are fitted side by side, as one of each class against the rest.

    Returns
    -------
    plan : Plan
    rule : Rule or None

    Raises
    ------
    ValueError
        For pairs that are not legal; the message lists those that are.
    """
    rate, solver = settings.learning_rate, settings.solver
    if not isinstance(rate, str) or rate not in LEARNING_RATES:
        raise ValueError(
            f"learning_rate must be one of {', '.join(map(repr, LEARNING_RATES))}, got {rate!r}"
            f"{_instead_of_rate(rate)}"
        )
    if not isinstance(solver, str | Rule):
        raise ValueError(
            f"solver must be a string or a Rule component, got {shown(solver)}; legal: {_legal()}"
        )
    if isinstance(solver, str) and solver not in ("auto", *batch_sizes(), *Rule.members()):
        raise ValueError(
            f"unknown solver {solver!r}{_instead_of_solver(solver)}; legal: {_legal()}"
        )
    growing = isinstance(settings.batch_size, str) and settings.batch_size == "growing"
    n, given = objective.n_active, settings.batch_size
    batch = "growing" if growing else rows_per_update(given, n, streaming)
    reasons: list[str] = []
    if batch == n > 1 and not streaming:
        # SAGA and SVRG keep what they know of each row, and dual ascent refuses any number but 1.
        batch = (
            "full"
            if isinstance(solver, Rule) or "full" in batch_sizes().get(solver, ("full",))
            else batch
        )
        reasons.append(f"batch_size={_shown(given)} is all {n:,} rows")
    plan = None
    if solver == "auto":
        plan = _choose(objective, batch, rate, streaming, fresh, settings, n_models)
        solver, batch, rate = plan.solver, plan.batch_size, plan.learning_rate
        reasons += plan.reasons
        if batch == "chunk":
            return replace(plan, reasons=tuple(reasons)), None
    if (
        settings.average
        and rate in ("auto", "line_search")
        and (batch in ("full", "growing") or solver in batch_sizes())
    ):
        reasons.append("nothing is averaged, for these steps end at the optimum by themselves")
    if isinstance(solver, str) and solver in batch_sizes():
        if plan is None or not plan.method:
            named = Plan(solver, batch, rate)
            plan = _with_solver_of_name(named, _shown(given), objective, settings.tol)
        return replace(plan, reasons=tuple(reasons)), None
    if batch == "auto":
        batch = "full" if _all_rows_suit(rate, objective.loss_smooth, streaming) else 1
        reasons.append(
            f"{'all rows' if batch == 'full' else 'one row'} per update suits the loss and the "
            "learning rate"
        )
    rule = find_rule(solver, settings.momentum)
    _check_pair(rule, batch, rate, objective)
    return Plan(rule.name, batch, rate, tuple(reasons)), rule


def _choose(F, batch, rate, streaming, fresh, settings, n_models):
    """The plan where the solver is left open; `make_plan` decides on what is "auto" in it still,
    and on the form of a solver with steps of its own that was not chosen by forecasts.
    """
    if F.loss.online:
        return _online(batch, rate)
    if streaming or rate in ("pa1", "pa2"):
        return _row_by_row(F, batch, rate, streaming, fresh, n_models)
    if batch == "growing":
        best = cheapest(F, settings.tol)[0]
        name = best.name if "growing" in best.traits.batch_sizes else "lbfgs"
        return Plan(name, batch, rate, ("batch_size='growing' was given",))
    asked = _full_batch(F, batch, rate, settings) or _as_given(batch, rate, settings)
    return asked or _by_forecasts(F, batch, settings, n_models)


def _online(batch, rate):
    """The plan for the perceptron."""
    why = "the perceptron is an online rule: one row at a time, until an epoch brings no mistake"
    rate = "constant" if rate == "auto" else rate
    return Plan("gd", 1 if batch == "auto" else batch, rate, (why,))


def _row_by_row(F, batch, rate, streaming, fresh, n_models):
    """The plan for rows that come in chunks, and for one-row steps."""
    why = "rows come in chunks" if streaming else f"{rate} is a one-row step"
    if rate == "auto" and fresh and batch == "auto" and Laplace.suits(F):
        worth = (
            "with this link each chunk is worth a few Newton steps, beside the curvature of those "
            "before"
        )
        return Plan("newton", "chunk", "auto", (why, worth), Laplace.form)
    if rate == "auto" and fresh and batch in ("auto", 1):
        return _one_look(F, n_models, why)
    # Adagrad's first steps are as long as its last: after a fit, 60 more rows took accuracy from
    # 0.95 to 0.80.
    rule = "adagrad" if rate == "auto" and fresh else "gd"
    return Plan(rule, 1 if batch == "auto" and rate != "line_search" else batch, rate, (why,))


def _full_batch(F, batch, rate, settings):
    """The plan of all rows per update where no solver takes the kinks; else None."""
    joined = batch == "auto" and rate == "auto" and not F.penalty.single
    if not (batch == "full" or joined) or F.loss_smooth or _interior_point(F):
        return None
    given = f"batch_size={_shown(settings.batch_size)} was given"
    why = "the penalty needs all rows per update" if joined else given
    return Plan("nesterov", "full", rate, (why,))


def _as_given(batch, rate, settings):
    """The plan for an explicit schedule or batch size; else None.

    Explicit schedules are those of scikit-learn's SGD: one row at a time, as there, unless a batch
    is given.
    """
    if batch in ("auto", "full") and rate == "auto":
        return None
    given = (
        f"learning_rate={rate!r}" if rate != "auto" else f"batch_size={_shown(settings.batch_size)}"
    )
    why = (f"{given} was given",)
    if batch == "full" or (batch == "auto" and rate == "line_search"):
        return Plan("nesterov", "full", rate, why)
    return Plan("gd", 1 if batch == "auto" else batch, rate, why)


def _by_forecasts(F, batch, settings, n_models):
    """The plan of the cheapest of all solvers."""
    chosen, forecast, forecasts = compared(F, settings.tol, batch)
    first = forecast.reason or "nothing else takes this loss with sums over the rows alone"
    reasons = [f"{_size(F)}: {first}"]
    if reading_share(F) > 0.0:
        what = "round" if F.rows.location == "elsewhere" else "reading"
        reasons.append(
            f"what a {what} takes beside computing counts as {reading_share(F):.2g} passes"
        )
    if forecast.tells_early and forecast.passes > forecasts[0][1]:
        reasons.append("how it comes closer will soon tell whether another solver is there first")
    rows = _rows_for(chosen, F, batch)
    if rows == "growing":
        reasons.append("most of the way can be gone on a sample of the rows, so the batch grows")
    elif batch == "auto" and _too_few(F, chosen, settings.most_iterations):
        early = (
            f"max_iter={settings.most_iterations} would end that early, so each row is a step "
            "instead"
        )
        return _one_look(F, n_models, *reasons, early)
    why = tuple(reasons)
    if chosen.rule_name:
        return Plan(chosen.rule_name, rows, "auto", why)
    return Plan(chosen.name, rows, "auto", why, chosen.form, forecasts, chosen.__name__)


def _size(F):
    """Rows and columns in words; of sparse rows how many of their values are not 0."""
    size = f"{F.n_active:,} rows, {F.n_features:,} columns"
    share = F.rows.stored() / (F.n_samples * F.n_features)
    return size if share == 1.0 else f"{size}, {share * F.n_features:.3g} nonzeros a row"


def _rows_for(solver, F, batch):
    """The batch size of a solver where none, or all rows, were given."""
    grows = F.rows.location in solver.traits.begins_on_samples and growth_pays(F)
    if batch == "full" or not grows or Growing.refusal(F):
        return solver.traits.batch_sizes[0]
    return "growing"


def _interior_point(F):
    """Whether Newton's method takes a loss that is not smooth."""
    forms = INTERIOR_POINT, RowGeneration.form
    return not F.loss_smooth and any(is_open("newton", form, F) for form in forms)


def _one_look(F, n_models, *reasons):
    """The plan where for these `reasons` each row is seen once or a few times: a rate for each
    column, or one that falls.

    An exponential loss is steep beyond measure where one step went too far, which Adagrad never
    forgets: on 678,013 rows of claim counts, 1,000 at a time, its objective was 40 times worse than
    the null model's after two passes.  Shares of the optimum's gain after one and two, rows
    shuffled, of gd and RMSprop: counts with an offset 0.981, 0.988 and 0.866, 0.907; rates with
    exposures as weights 0.926, 0.957 and 0.839, 0.865; amounts of all policies (Tweedie) 0.417,
    0.769, and RMSprop overflows; amounts of 24,944 claims (Gamma) -1.71, 0.422 and 0.422, 0.596.
    """
    if _has_many_labelled_columns(F):
        strength = F.l2 / float(F.moments().mean_norm2 or np.inf)
        if strength >= STRONG_PENALTY:
            return _by_what_is_common(F, n_models, strength, reasons)
    if has_mean(F.loss) and F.loss.curvature_bound == np.inf:
        long = "steps are as long as the curvature about the null model allows"
        return Plan("gd", 1, "auto", (*reasons, long))
    return Plan("adagrad", 1, "auto", (*reasons, "each column finds its own rate"))


def _has_many_labelled_columns(F):
    """Whether there are labels, many columns and an L2 part that plain descent takes."""
    elastic = F.elastic and not (F.vector and F.l1 > 0.0)
    return F.n_features > MANY_COLUMNS and elastic and F.loss.classification and F.l2 > 0.0


def _by_what_is_common(F, n_models, strength, reasons):
    """The plan for many columns under a strong penalty: rates that fall as 1 / (alpha t), unless
    the classes are many for what rows have in common.

    A step for one row moves the predictions for all others along the mean row. The noise of that in
    the prediction for one of K classes goes as |mean x|^2 / K, and what its rows, a K-th of all,
    teach as 1 / K^2.

    Mean accuracy on the next of 5 to 12 chunks of 1,000 rows, rates that fall as 1 / (alpha t) less
    Adagrad's, hinge and log loss. With little in common, by alpha / R^2: 1e-3 0.024 to 0.071 on
    text and random features of images, 1e-4 0.003 to 0.022, 1e-5 -0.009 to 0.008, 1e-6 -0.018 to
    -0.003; up to 1,024 columns they are behind throughout (six data sets, 1e-3 to 1e-8, -0.095 to
    0.003). By K |mean x|^2 / R^2, alpha / R^2 of 1e-3 and 1e-4: 0.2 (20 topics of words of one
    frequency) 0.033 to 0.054; 0.5 (posts as counts, two classes) -0.019 to 0.005; 0.6 (as
    tf-idf, 20) 0.057 to 0.183; 1.3 (as counts, 5) -0.085 to -0.031; 1.3 and 3.2 (2 and 5 topics of
    words by Zipf's law) -0.023 to 0 and -0.119 to -0.001; 5.3 (posts as counts, 20) -0.115 to
    0.043; 13 (20 topics by Zipf's law) -0.59 to -0.44. Of data that the limit was not drawn on, at
    1e-4: 0.4 (two Dirichlet mixtures) 0; 0.7 (random features of images, two classes) 0.007 and
    0.015; 1 to 7 (5 to 50 mixtures) -0.037 to 0; 2.5 to 25 (5 to 50 topics of unequal frequency)
    -0.35 to -0.035.
    """
    classes = F.n_predictions if F.vector else max(n_models, 2)
    common = _share_in_common(F)
    if classes * common <= LITTLE_IN_COMMON:
        strong = (
            f"alpha is large for rows of this length (l2 / mean |x|^2 is {strength:.1g}, "
            f"{STRONG_PENALTY:.0e} or more), so rates fall as 1 / (alpha t)"
        )
        return Plan("gd", 1, "optimal", (*reasons, strong))
    alike = (
        f"rows are alike for {classes} classes (|mean x|^2 / mean |x|^2 is {common:.2g}), so each "
        "column finds its own rate"
    )
    return Plan("adagrad", 1, "auto", (*reasons, alike))


def _share_in_common(F):
    """|mean x|^2 / R^2 of the rows that these are drawn from: that of n rows is too large by about
    1 / n.
    """
    moments, n = F.moments(), F.n_active
    if n < 2:
        return UNKNOWN_IN_COMMON
    own = float(moments.means @ moments.means) / float(moments.mean_norm2)
    return max((n * own - 1.0) / (n - 1.0), 0.0)


def _too_few(F, solver, most_iterations):
    """Whether the solver would be cut off where epochs of one-row steps are known to be ahead.

    Accuracy on held-out rows after 1, 2, 3, 5 iterations: hinge, by the interior point method,
    0.506, 0.636, 0.865, 0.900 on images of 784 pixels and 0.758, 0.783, 0.819, 0.840 on one-hot
    rows of 14 values; Adagrad 0.900, 0.904, 0.905, 0.903 and 0.845 throughout.  Log loss on the
    images 0.804, 0.862, 0.874, 0.894; Adagrad 0.899, 0.903, 0.902, 0.901.  A squared loss needs
    one iteration. Dual ascent on the one-hot rows and on 54 standardised columns 0.765, 0.808,
    0.844, 0.851 and 0.658, 0.681, 0.716, 0.749, Adagrad 0.855 and 0.753 at once; on text dual
    ascent is ahead, 0.972 to 0.958.
    """
    if F.rows.location == "elsewhere":
        return False
    if not F.loss_smooth:
        own = not solver.rule_name
        return most_iterations <= FEW_PATH_ITERATIONS and own and _interior_point(F)
    return (
        solver.traits.second_order
        and most_iterations <= FEW_ITERATIONS
        and F.n_active >= ENOUGH_ROWS
        and F.loss.self_concordance != 0.0
    )


def _with_solver_of_name(plan, given, F, tol):
    """The plan with the one of the solvers of its name, which find their own steps, that takes the
    objective; `given` is the batch size in the user's words.
    """
    name, batch, rate = plan.solver, plan.batch_size, plan.learning_rate
    allowed = batch_sizes()[name]
    legal = batch in ("auto", *allowed) or (allowed[0] == "auto" and isinstance(batch, int))
    if not legal:
        raise ValueError(f"solver={name!r} does not go with batch_size={given}; legal: {_legal()}")
    if batch == "growing" and Growing.refusal(F):
        raise ValueError(f"solver={name!r} {Growing.refusal(F)}")
    solver = of_name(name, F, tol)
    if batch == "auto":
        batch = _rows_for(solver, F, batch)
    if rate != "auto":
        raise ValueError(
            f"solver={name!r} finds its own steps: learning_rate must be 'auto', got {rate!r}"
        )
    return replace(plan, batch_size=batch, form=solver.form, method=solver.__name__)


def _all_rows_suit(rate, smooth, streaming):
    """Whether a rule without a batch size takes all rows, else one row."""
    return rate == "line_search" or (rate == "auto" and smooth and not streaming)


def random_by_name(settings, loss, streaming=False):
    """Whether the user, not `auto`, chose steps on some of the rows: random by nature."""
    solver, batch, rate = settings.solver, settings.batch_size, settings.learning_rate
    if isinstance(solver, str) and solver in batch_sizes():
        return solver in random_names()
    if not isinstance(batch, str):
        return isinstance(batch, numbers.Integral) or batch != 1.0
    if batch != "auto" or (isinstance(solver, str) and solver == "auto" and rate == "auto"):
        return False
    return not _all_rows_suit(rate, loss.smooth, streaming)


def steps_are_automatic(settings, loss):
    """Whether steps are left to the solver: an explicit schedule, and the perceptron, read the
    columns as given.
    """
    return settings.learning_rate == "auto" and not loss.online


def takes_chunks(estimator):
    """Whether rows may come in chunks (`partial_fit`): an update rule does not need to see them
    again.

    Raises
    ------
    AttributeError
        If not, saying what does.
    """
    if isinstance(estimator.solver, str) and estimator.solver in batch_sizes():
        raise AttributeError(
            f"partial_fit takes a solver that sees each row once: {_rules()} or 'auto', got "
            f"{estimator.solver!r}"
        )
    return True


def _shown(batch_size):
    """A batch size as the user wrote it."""
    return repr(batch_size) if isinstance(batch_size, str) else str(batch_size)


def _rules():
    return ", ".join(sorted(Rule.members()))


def _instead_of_rate(rate):
    """What to write instead of a learning rate that is a number, or the name of a solver."""
    if isinstance(rate, numbers.Real):
        return f"; a number is written learning_rate='constant', eta0={rate}"
    known = rate in (*batch_sizes(), *Rule.members()) if isinstance(rate, str) else False
    return f"; that is a solver: write solver={rate!r}" if known else ""


def _instead_of_solver(name):
    """What to write instead of a solver that other libraries know by this name."""
    known = {one: repr(one) for one in (*batch_sizes(), *Rule.members())} | ELSEWHERE
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    return f"; write solver={known[near[0]]}" if near else ""


def _legal():
    return (
        f"solver 'auto' or one of {_rules()} (or a Rule) with batch_size 'full', a number of rows, "
        f"a fraction, 'auto'; {_own_batches()}"
    )


def _own_batches():
    """What solvers with steps of their own take as batch size, in words."""
    by_batches: dict[tuple[int | str, ...], list[str]] = {}
    for name, sizes in sorted(batch_sizes().items()):
        by_batches.setdefault(sizes, []).append(name)
    words: dict[int | str, str] = {"auto": "a number of rows"}
    return "; ".join(
        f"{', '.join(names)} with {' or '.join(words.get(one, repr(one)) for one in sizes)}"
        for sizes, names in by_batches.items()
    )


def _check_pair(rule, batch, rate, objective):
    if batch == "growing":
        raise ValueError(
            f"solver={rule.name!r} does not go with batch_size='growing'; legal: {_legal()}"
        )
    if rate == "line_search" and batch != "full":
        raise ValueError(f"learning_rate='line_search' needs batch_size='full', got {batch!r}")
    if rate in ("pa1", "pa2"):
        if batch != 1 or not rule.plain:
            raise ValueError(
                f"learning_rate={rate!r} needs solver='gd' and batch_size=1, got {rule.name!r} and "
                f"{batch!r}"
            )
        if not (objective.loss.passive_aggressive and objective.elastic):
            raise ValueError(
                f"learning_rate={rate!r} needs loss 'hinge' or 'epsilon_insensitive' and an "
                "elastic-net penalty, "
                f"got {objective.loss.name!r} and {objective.penalty!r}"
            )
    if batch != "full" and objective.rows.location == "elsewhere":
        raise ValueError(
            f"steps on some of the rows ({rule.name!r} with batch_size={batch!r}) need the rows "
            "here, not on the workers of a cluster; use batch_size='full', or solver='auto' with a "
            "loss that has a derivative everywhere"
        )
    if batch != "full" and not objective.penalty.single:
        raise ValueError(
            f"penalty {objective.penalty!r} is none of single coefficients and needs "
            f"batch_size='full', got {rule.name!r} with batch_size={batch!r}"
        )
