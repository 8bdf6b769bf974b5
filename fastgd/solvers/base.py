"""The contract of all solvers: how a state moves by one iteration, and what is known of it.

An iteration of a full-batch solver is one step, that of a stochastic one an epoch.  What a run
depends on is in a `State`, which can be pickled and resumed: k iterations and then m more are
k + m iterations, bit for bit.  Beside what it was made from a solver keeps what follows from a
state, such as rates or matrices, and what it has counted or proved in a run.  What of this would
take passes, have rounding of its own or be missed is in its `workspace`, with which a run is
restored between two iterations as if nothing had been.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from fastgd.objective.cost_model import curvature_cost, solving_cost
from fastgd.runtime.array_shapes import WrongArray, check_arrays, shaped, shapes_of

# The forecast of a solver whose need nobody can tell from the data, in passes.
LAST_RESORT = 1000.0
# Runs that get there do so within a dozen iterations or two; on a working set sooner.
MAX_CHECKS = 50
MAX_CHECKS_WITH_L1 = 20


@shaped(anchor="u")
class Curvature(NamedTuple):
    """What a solver keeps of the curvature of F.

    Attributes
    ----------
    factor : Factor or None
        Of a curvature matrix of F; None where the one at hand is not of F itself.
    anchor : ndarray or None
        The point where it is exact; None if it is a matrix from near by.
    """

    factor: Any = None
    anchor: np.ndarray | None = None


@shaped(inverse_root="u *")
class Progress(NamedTuple):
    """What a solver knows of its state without a look at the rows.

    Attributes
    ----------
    value : float or None
        F at the answer, where that is known although the answer would cost a pass.
    gap_estimate : float
        An estimate of F - F*; no proof.
    lower : float
        F is nowhere below this: a proof.
    rounded : float
        What `lower` would be higher by if nothing rounded, where the solver knows.
    curvature : Curvature or None
        For proofs, where the solver keeps a curvature matrix most of the time: none is made for a
        proof before the run ends.
    inverse_root : ndarray or None
        T with T T' about the inverse of the curvature: tells when a proof is worth trying.
    doubt : float or None
        A bound on the error of F at the answer if F was not computed from X; None if it was.
    on_all_rows : bool
        Whether the state belongs to all rows; if not, nothing else is told.
    by_gap : bool
        Whether iterations go to where the duality gap proves tol: no other proof is tried on the
        way.
    dearer : bool
        Whether iterations are about to take more than they did: a check is due, for the plan
        may be left for another one now.
    done : bool
        Whether the solver has nothing left to do.
    """

    value: float | None = None
    gap_estimate: float = np.inf
    lower: float = -np.inf
    rounded: float = 0.0
    curvature: Curvature | None = None
    inverse_root: np.ndarray | None = None
    doubt: float | None = None
    on_all_rows: bool = True
    by_gap: bool = False
    dearer: bool = False
    done: bool = False


class TooLarge(str):
    """A refusal for the size of what would be kept alone: of several forms of a solver it is the
    one to tell.
    """


class OtherPredictions(str):
    """A refusal for the number of predictions alone: of several forms of a solver it is the last to
    tell.
    """


class Forecast(NamedTuple):
    """What a solver is expected to take, as far as the data can tell.

    Attributes
    ----------
    passes : float
        Passes' worth of time until tol holds; inf for a solver that only its name chooses.
    reason : str
        Why that is little, in the words of a plan.
    last : bool
        Whether it ranks after all others whatever `passes` is: used only where they were left.
    sure : bool
        Whether it is mostly the cost of matrices, which are few whatever the data are; a sure one
        is preferred within a margin of the best.
    tells_early : bool
        Whether the first iterations of a run tell what it will take, better than this does: then it
        is tried first within a wider margin, and left where another one is expected to be sooner.
    """

    passes: float
    reason: str = ""
    last: bool = False
    sure: bool = False
    tells_early: bool = False


class SolverOptions(NamedTuple):
    """What a solver may be made with, beside the objective.

    Attributes
    ----------
    tol : float
        Relative suboptimality that the run is for.
    seed : int
        Of whatever is random.
    shuffle : bool
        Whether rows are visited in random order.
    batch : int or str
        Rows per update, one of `Traits.batch_sizes`.
    """

    tol: float = 0.0
    seed: int = 0
    shuffle: bool = True
    batch: int | str = "auto"


class Answer(NamedTuple):
    """The unknowns that a state stands for, with the smooth part of F there and its gradient, or
    None for a gradient that would cost a pass of its own.
    """

    point: np.ndarray
    smooth_value: float
    gradient: np.ndarray | None


@dataclass
@shaped(best="u")
class RunRecord:
    """What a run remembers beside its solver.

    Attributes
    ----------
    signature : tuple or None
        What two runs must have in common for one to go on with the state of the other.
    problem : tuple or None
        What tells data and penalty from others; None for chunks of rows, each of which has others.
    seed : int or None
    best : (float, ndarray) or None
        The lowest F of all checks, and where.
    stream : Stream or None
        How chunks of rows are taken (`partial_fit`).
    reference : float
        Size of the mean loss of the zero model on an earlier chunk.
    model_is_earlier : bool
        Whether the model of the run is an earlier one: that of the best score on held-out rows.
    """

    signature: tuple | None = None
    problem: tuple | None = None
    seed: int | None = None
    best: tuple[float, np.ndarray] | None = None
    stream: Any = None
    reference: float = 0.0
    model_is_earlier: bool = False


@dataclass
class NoMemory:
    """What a solver remembers that needs nothing but its state."""


@dataclass
@shaped(point="u", gradient="u")
class State:
    """Where a run is.

    Attributes
    ----------
    point : ndarray, (size,)
        Unknowns in the user's units.
    batch : int
        Rows per update.
    iteration, updates : int
        Iterations of the loop, and updates of the unknowns, done so far.
    rate : float
        Rate of the last update.
    value, gradient : float and ndarray or None
        Smooth part of F and its gradient at `point`, where the solver knows them; while the state
        is of a sample of the rows (`Progress.on_all_rows`) the value is all of F of the sample.
    done : bool
        Whether the solver has nothing left to do.
    memory : object
        What else the solver remembers: an instance of its `Memory`, which can be pickled.
    run : RunRecord
        What the run remembers beside its solver.
    """

    point: np.ndarray
    batch: int
    iteration: int = 0
    updates: int = 0
    rate: float = np.nan
    value: float | None = None
    gradient: np.ndarray | None = None
    done: bool = False
    memory: Any = field(default_factory=NoMemory)
    run: RunRecord = field(default_factory=RunRecord)

    def take_back(self):
        """Be as before a later state moved arrays of this one in place."""
        journal = getattr(self.memory, "journal", None)
        if journal is not None:
            journal.take_back()
            self.memory.journal = None

    def forget(self):
        """Forget what was of other data or another objective; whose run this is stays."""
        self.memory = type(self.memory)()
        self.done = False


EVERYWHERE = "memory", "blocks", "elsewhere"


@dataclass(frozen=True)
class Traits:
    """What a class of solvers declares of itself, for those who choose a solver and run it.

    Attributes
    ----------
    reads : {"rows", "blocks", "sums"}
        What it asks of X: rows in any order, which have to be in memory; blocks, one after the
        other, beside arrays as long as there are rows; or nothing but sums over the rows, which may
        be anywhere.
    batch_sizes : tuple
        What it takes as `batch_size`, the first where none is given; "auto" is any number.
    begins_on_samples : tuple of str
        Locations of X (`Rows.location`) at which its batch grows by itself where there are enough
        rows.
    random : bool
        Whether its steps look at some of the rows, in random order.
    second_order : bool
        Whether steps come from the curvature of F: where that of the loss jumps they tell nothing
        of the next ones.
    steps : str
        What its steps are called where other solvers take the same ones, however they compute them:
        as many iterations, then, wherever one goes on for the other.
    judged_by : {"", "falls", "bound", "forecast"}
        By what `auto` judges how much is left, and leaves a plan for one that is expected to be
        there first: falls of F, once what was forecast is spent, how its bound comes closer, or
        `passes_left`, what the solver forecasts anew.  "" where the forecast is the cost of
        matrices, which takes two or three times that at most; others may take a hundred times
        theirs.
    chooses_steps : bool
        Whether the solver chooses its own steps; if so the best point seen is the answer, and a
        diverging step is retreated from.
    free_answers : bool
        Whether each iteration leaves value and gradient at the point, so that a check costs no
        pass.
    proves_itself : bool
        Whether `Progress.lower` goes to F* as F does.
    ends_itself : bool
        Whether a run ends when the solver is done and not before, as explicit schedules on single
        rows do.
    scheduled : bool
        Whether a scheduled rate is how long steps are, so that too large a one makes F grow.
    writes_points : bool
        Whether the point of a state may be written over: a run keeps a copy of its first one then.
    calls_on_update : bool
        Whether the solver calls `Solver.on_update` itself, for updates within an iteration; if not,
        the loop does so after each iteration.
    outlives_rows : bool
        Whether its memory, apart from value and gradient, stays valid for other rows, such as the
        velocity of an update rule.
    memory_needs_same_objective : bool
        Whether a run that resumes a state forgets what it remembers where F at its point is not
        what it was, for that is another F.
    """

    reads: Literal["rows", "blocks", "sums"] = "rows"
    batch_sizes: tuple[int | str, ...] = ("full",)
    begins_on_samples: tuple[str, ...] = ()
    random: bool = False
    second_order: bool = False
    steps: str = ""
    judged_by: Literal["", "falls", "bound", "forecast"] = ""
    chooses_steps: bool = True
    free_answers: bool = True
    proves_itself: bool = False
    ends_itself: bool = False
    scheduled: bool = True
    writes_points: bool = True
    calls_on_update: bool = False
    outlives_rows: bool = False
    memory_needs_same_objective: bool = False


class Solver:
    """Contract of all solvers.

    `advance` is the only method that every solver has to write; one that `solver=` and `auto` are
    to find also has a `name`, `refusal` and `forecast`, and a line in `fastgd.solvers.REGISTRY`.

    Attributes
    ----------
    name : str
        What `solver=` calls it, "" for one that only other solvers use. Several may share a name:
        the cheapest that does not refuse an objective is taken.
    form : str
        What plans call it beside the name, where it is a method of its own.
    rule_name : str
        The update rule that it carries out, "" for a method of its own.
    traits : Traits
        What else a class declares; a single solver may have others where they depend on what it was
        made from.
    made_with : tuple of str
        Which of the `SolverOptions` it is made with.
    Memory : type
        What a state's `memory` is: a dataclass whose defaults mean that nothing is known yet.
    workspace_names : tuple of str
        Attributes that hold more than what the solver was made from, for `workspace` and `restore`.
        What its arrays are, `fastgd.runtime.array_shapes.shaped` says.
    objective : Objective
    overhead_so_far : float or None
        Passes' worth of time that a run has taken beside its passes, where the solver counts it;
        None where `overhead_passes` tells it for each iteration.
    on_update : callable or None
        Hears the point after each update (`record="coef"`).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd import Objective
    >>> class Loop(Solver):
    ...     def advance(self, state):
    ...         state.point = state.point - 0.5 * state.gradient
    ...         state.value, state.gradient = self.objective.smooth_and_gradient(state.point)
    ...         state.iteration += 1
    ...         state.updates += 1
    >>> F = Objective("squared_error", np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))
    >>> solver = Loop(F)
    >>> state = solver.start(np.zeros(2))
    >>> for _ in range(100):
    ...     solver.advance(state)
    >>> abs(state.point).round(3), solver.progress(state).done
    (array([1., 0.]), False)
    """

    name = ""
    form = ""
    rule_name = ""
    traits = Traits()
    made_with: tuple[str, ...] = ()
    Memory: type = NoMemory
    workspace_names: tuple[str, ...] = ()
    overhead_so_far: float | None = None
    on_update: Callable[[np.ndarray], None] | None = None

    def __init__(self, objective):
        self.objective = objective

    @classmethod
    def refusal(cls, objective):
        """Why it cannot minimise this objective, in words that follow its name; None where it
        can.
        """
        return None

    @classmethod
    def refuse_unsuitable(cls, objective):
        """Raise ValueError for an objective that it cannot minimise."""
        reason = cls.refusal(objective)
        if reason:
            raise ValueError(f"solver={cls.name!r} {reason}")

    @classmethod
    def takes_several(cls, term):
        """Whether it takes a loss of several predictions, beside this `Term` of a penalty."""
        return False

    @classmethod
    def forecast(cls, objective, tol, cutoff=np.inf):
        """What it takes to tol: a `Forecast`, by counts of operations and never by a clock.

        `cutoff` is what another solver takes: where it is above that anyway, any number above it
        will do, and needs no look at rows.
        """
        return Forecast(np.inf)

    @classmethod
    def overhead_passes(cls, objective):
        """What an iteration takes beside its passes, in passes' worth of time: for steps by
        curvature a matrix and its factor, where columns are no more than rows.
        """
        F = objective
        one_matrix = cls.traits.second_order and not F.vector and F.l1 == 0.0
        if not (one_matrix and F.n_features <= F.n_active):
            return 0.0
        return curvature_cost(F) + solving_cost(F, F.n_features)

    @classmethod
    def most_checks(cls, objective):
        """Checks after which `auto` goes on by the interior point method where that is open."""
        return MAX_CHECKS_WITH_L1 if objective.l1 > 0.0 else MAX_CHECKS

    @classmethod
    def make(cls, objective, options):
        """A solver for this objective."""
        return cls(objective, **{name: getattr(options, name) for name in cls.made_with})

    @property
    def memory_tag(self):
        """What this solver's memory is called: only a solver with the same tag goes on with it."""
        return type(self).__name__

    def start(self, point):
        """State before the first iteration.

        Parameters
        ----------
        point : ndarray, (size,)

        Returns
        -------
        State
        """
        state = self._fresh(point)
        self.resume(state)
        return state

    def _fresh(self, point):
        """A state that nothing was computed for."""
        make = np.array if self.traits.writes_points else np.asarray
        point = make(point, dtype=np.float64)
        return State(point, self.objective.n_active, memory=self.Memory())

    def resume(self, state):
        """Go on with a state, of an earlier run or new: compute what an iteration needs, and forget
        what is not of this objective.
        """
        known = state.value
        self._evaluate_point(state)
        if self.traits.memory_needs_same_objective and known is not None and known != state.value:
            state.forget()

    def _evaluate_point(self, state):
        """Know value and gradient at the point, and what else an iteration needs of the rows."""
        if self.traits.free_answers:
            state.value, state.gradient = self.objective.smooth_and_gradient(state.point)

    def _begin_anew(self, state, point):
        """Be at a point of which nothing is known."""
        state.forget()
        state.point = np.array(point, dtype=np.float64)
        self._evaluate_point(state)

    def advance(self, state):
        """Move the state by one iteration."""
        raise NotImplementedError

    def progress(self, state):
        """What is known of the state without a look at the rows: a `Progress`."""
        return Progress(done=state.done)

    def passes_left(self, tol):
        """What is left to tol by what the run has found out, in passes' worth of time: asked of
        solvers that are judged by it.
        """
        raise NotImplementedError

    def answer(self, state):
        """Unknowns to report, for example an average of iterates."""
        return state.point

    def evaluate(self, state):
        """The answer with the smooth part of F and its gradient, an `Answer`: no pass where
        answers are free, else at most one.
        """
        if self.traits.free_answers:
            return Answer(state.point, state.value, state.gradient)
        v = self.answer(state)
        return Answer(v, *self.objective.smooth_and_gradient(v))

    def hand_over(self, memory):
        """Memory for a state of this solver, from that of one with fewer of the rows."""
        return self.Memory()

    def workspace(self, state):
        """What the solver holds that follows from a state, between two iterations, by name, for
        `restore`: of the classes that `fastgd.fitting.stored_classes` names.
        """
        return {name: getattr(self, name) for name in self.workspace_names}

    def restore(self, state, workspace):
        """Be as the solver was that had this state and workspace, which are of a file.

        Raises
        ------
        WrongArray
            Where arrays are not what they are in a run of this solver.
        """
        lengths = self.lengths(state)
        if type(state.memory) is not self.Memory:
            raise WrongArray(f"a {type(state.memory).__name__} is none of {self.memory_tag}")
        check_arrays(state, lengths)
        check_arrays(workspace, lengths, shapes_of(type(self)), "workspace")
        self._restore(state, workspace)

    def lengths(self, state):
        """How long arrays of a state are, and of what is beside it, by the names that `shapes`
        has.
        """
        rule = getattr(self, "rule", None)
        return {**self.objective.lengths(), **({"slots": max(rule.slots, 1)} if rule else {})}

    def _restore(self, state, workspace):
        """`restore`, once arrays are known to be right.

        Passes need not be counted.
        """
        for name in self.workspace_names:
            setattr(self, name, workspace[name])

    def begin_chunk(self, state):
        """Other rows follow, whose F is another: forget how far it had fallen."""

    def fade(self, state, share):
        """Let what was learnt of the rows so far count `share` of what it did (`forget`): nothing
        to do where nothing is kept between chunks.
        """

    def renew(self, state):
        """The last iterate predicts better than the average, for the data have drifted: forget
        the average, and most of all else that rests on earlier rows.
        """

    def retreat(self, state, safe_point):
        """Take smaller steps from `safe_point` on; whether that is possible."""
        return False


def no_derivatives(objective):
    """Why a solver that needs derivatives refuses an objective, in words, or None."""
    F = objective
    if F.loss_smooth and (F.elastic or F.penalty.smooth):
        return None
    return f"needs a loss and a penalty with derivatives, got {F.loss!r} and {F.penalty!r}"


def several_strengths(objective):
    """Why a solver for one strength of the penalty refuses an objective, in words, or None."""
    own = objective.term.certified and not objective.elastic
    return (
        f"takes one penalty strength for all features, got {objective.penalty!r}" if own else None
    )


def one_prediction(objective):
    """Why a solver for several predictions refuses an objective, in words, or None."""
    F = objective
    needs = f"for several predictions needs a loss of several predictions, got {F.loss!r}"
    return None if F.vector else OtherPredictions(needs)


def several_predictions(objective):
    """Why a solver for one prediction refuses an objective, in words, or None.

    Others of its name may take several, with another penalty or fewer columns.
    """
    F = objective
    if not F.vector:
        return None
    return OtherPredictions(
        f"takes losses of one prediction with penalty {F.penalty!r} and {F.n_features:,} columns, "
        f"got {F.loss!r}"
    )
