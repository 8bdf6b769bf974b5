"""Which bound on F - F* is worth its passes: asked at each check of a run.

The bounds that cost no pass beside that of the gradient, which some answers come without, are taken
in this order, the latter two while `tol` is not proved, and the smallest is told:

- what the solver itself has proved, and what was proved at earlier points: F* is no smaller;
- the duality gap (`fastgd.certificates.duality_gap`);
- the Newton decrement by a curvature matrix that the solver keeps; of a quadratic it comes first.

One that costs passes is computed where an estimate says that it will prove `tol`, where enough
passes went by since the last try, or where the run ends and it costs at most twice the passes that
the run has taken: the gap with a better intercept, then the Newton decrement by a curvature matrix
of its own (`fastgd.certificates.newton_proof`).
"""

from typing import NamedTuple

import numpy as np

from fastgd.certificates import estimates
from fastgd.certificates.bound import Bound, Check, relative_gap_at
from fastgd.certificates.duality_gap import NEGLIGIBLE, DualityGap
from fastgd.certificates.newton_proof import NewtonProof
from fastgd.certificates.rounding import value_rounding
from fastgd.certificates.vector_newton_proof import VectorNewtonProof
from fastgd.linalg.precision import EPS
from fastgd.objective.cost_model import VALUE
from fastgd.objective.distances import gap_scale_at, largest_gap_at
from fastgd.runtime.array_shapes import check_arrays

# A certificate at the end may take twice the run's passes where a tolerance asks for it: without
# one the run has not shown what it was for. Where none does, a tenth, which is not felt, or so many
# ns: nor are 20 ms.
ASKED_SHARE = 2.0
UNASKED_SHARE = 0.1
UNASKED_TIME = 2e7
# On the way, where answers cost passes of their own, a proof may take this share of those so far:
# one in vain makes the run longer by a fifth at most.
SHARE_ON_THE_WAY = 0.2
# At the end a better intercept is worth two passes where it halves the bound.
WORTH_CENTERING = 0.5

# A bound that overflows is none, and no comparison takes it for one.
_quiet = np.errstate(all="ignore")


def provable(objective):
    """Whether some bound goes to 0 as the gradient does, so that a run can go on until it is
    proved to be close.
    """
    F = objective
    vanishes = F.term.gap_vanishes(F.loss.infimum > -np.inf)
    balanced = not F.fit_intercept or DualityGap(F).centering_helps
    gap = vanishes and balanced
    # With kinks or bounds the decrement says nothing where columns make up each other.
    newton = newton_proof(F).applies and F.term.smooth
    return F.loss_smooth and F.convex and (newton or gap)


def newton_proof(objective):
    """Proofs by the Newton decrement for one prediction, or for K."""
    return VectorNewtonProof(objective) if objective.vector else NewtonProof(objective)


class Estimate(NamedTuple):
    """What an estimate makes of a run whose falls say that it is done.

    Attributes
    ----------
    ends : bool
        Whether the run may end.
    gap : float
        What F - F* is then estimated to be; inf where nothing is told of it.
    """

    ends: bool
    gap: float = np.inf


GO_ON = Estimate(False)


class Certifier:
    """Judges the checks of one run.

    Parameters
    ----------
    objective : Objective
        Whose `null_value` is known.
    tol : float or None
        Suboptimality that is asked for; None: whatever is cheap is told.
    chooses_steps, free_answers : bool
        As the solver's (`fastgd.solvers.base.Solver`).

    Attributes
    ----------
    may_center : bool
        Whether better intercepts are looked for.
    """

    may_center = True

    def __init__(self, objective, tol=None, *, chooses_steps=True, free_answers=True):
        self.objective = objective
        self.tol = tol
        self.chooses_steps = chooses_steps
        self.free_answers = free_answers
        self.gap = DualityGap(objective, NEGLIGIBLE * (tol or 0.0))
        self.newton = newton_proof(objective)
        self.begin()

    def begin(self):
        """Forget what was proved of F*: a run begins."""
        self._lower = -np.inf
        self._hoped = np.inf
        self._last_estimate_at = 0.0

    def snapshot(self):
        """What is known of F* and of proofs, for `restore`."""
        return {
            "of_run": (self._lower, self._hoped, self._last_estimate_at),
            "newton": self.newton.snapshot(),
        }

    def restore(self, snapshot):
        """Know what a certifier of the same run did; `WrongArray` where arrays are not its own."""
        check_arrays(snapshot, self.objective.lengths(), {"newton": {"factor": "u *"}}, "certifier")
        self._lower, self._hoped, self._last_estimate_at = snapshot["of_run"]
        self.newton.restore(snapshot["newton"])

    def check(self, v, smooth_value, gradient, doubt=None):
        """A `Check` of `v`, where the smooth part of F is known; `doubt` as in `Progress`."""
        F = self.objective
        value = smooth_value + F.rest_value(v)
        if doubt is None:
            allowed = NEGLIGIBLE * largest_gap_at(F, self.tol or 1e-4, value)
            with np.errstate(all="ignore"):
                doubt = value_rounding(F, v, value, allowed, gradient if F.loss.smooth else None)
        # A sum of 4,000 products is wrong by more than a few units of them: where F is next to
        # nothing beside F0, so are claims below a unit of rounding.
        doubt = max(doubt, EPS * gap_scale_at(F, value))
        return Check(v, value, smooth_value, gradient, doubt)

    def evaluated(self, v):
        """A `Check` of `v`: one pass."""
        return self.check(v, *self.objective.smooth_and_gradient(v))

    @_quiet
    def judge(self, check, progress, spent, final=False, keeps=False):
        """Give a check the smallest bound that is worth its passes.

        Parameters
        ----------
        check : Check
        progress : Progress
            What the solver knows.
        spent : float
            Passes of the run so far.
        final : bool
            Whether the run ends here.
        keeps : bool
            Whether the point stays as it is: it has a score of its own.

        Returns
        -------
        Check
            `check` itself, or one with a better intercept if the solver chooses its steps and
            `keeps` is False.
        """
        self._take_free(check, progress, final)
        if check.gradient is None:
            return check
        asked = self._open(check) and (final or self.tol is not None)
        if asked and self.may_center and self.gap.centering_helps:
            hope = self._gap_if_centered(check)
            if self._centering_pays(check, hope, final):
                check = self._centered(check, keeps or not self.chooses_steps)
                if not final:
                    self._hoped = hope
        if self._open(check) and self._proof_pays(check, progress, spent, final):
            self._prove(check)
        return check

    @_quiet
    def settle(self, check, progress, spent):
        """Prove a check on which an estimate would end the run, where that is affordable."""
        if self._proof_pays(check, progress, spent, final=True):
            self._prove(check)

    @_quiet
    def estimated(self, check, fallen, spent, best):
        """An `Estimate` of F - F* at a check where falls say that `fallen` is left.

        That F no longer falls says little: steps along it may be too short.  Where the curvature
        can be asked, its decrement is the estimate, looked at whenever the passes have doubled.
        `best` is the lowest F so far.
        """
        F = self.objective
        if F.term.stationary:
            return GO_ON  # how far a stationary point is, is known
        if F.convex and F.loss_smooth and F.term.certified:
            return self._ask(self._by_curvature, check, fallen, spent)
        if F.convex and F.term.certified and self.free_answers:
            return Estimate(True)  # subgradients of all rows: no falls tell how far the optimum is
        if best < check.objective - self.target_gap(check):
            return GO_ON  # what falls is the noise
        if F.vector:
            return Estimate(True, fallen)
        return self._ask(self._by_sure_fall, check, fallen, spent)

    @_quiet
    def gap_at_rest(self, check, progress, fallen):
        """An estimate of what a solver with nothing left to do has left, where no bound goes to 0;
        `fallen` is what falls so far say.
        """
        F, known = self.objective, _curvature_of_F(progress)
        if known is not None and F.convex and known.factor.full and check.gradient is not None:
            decrement = known.factor.norm_of(F.subgradient(check.point, check.gradient))
            return 0.5 * estimates.caution(F.loss) * decrement**2
        if F.convex and F.loss_smooth and F.term.certified:
            return estimates.estimated_gap(F, check.point, self._take_gradient(check))
        if (F.convex and F.term.certified) or F.term.stationary:
            return np.inf
        return fallen

    def _carry(self, check):
        """What was proved at an earlier point holds for all: F* >= F - bound there."""
        least = EPS * abs(check.objective)
        self._bound(check, Bound(max(check.objective - self._lower, least), "proof"))

    def _take_free(self, check, progress, final):
        """The bounds that cost no pass beside the gradient, for which one is taken where the answer
        came without it and the run ends or the solver has proved nothing.
        """
        F, least = self.objective, EPS * abs(check.objective)
        self._lower = max(self._lower, progress.lower)
        self.newton.expect(progress.inverse_root)
        known = _curvature_of_F(progress)
        if known is not None and F.loss.self_concordance == 0.0:  # exact, but for rounding
            exact = self._from_known(known, check)
            self._bound(check, Bound(max(exact.value, least), exact.kind))
        self._carry(check)
        # Above the null model curvatures may be anything: of exponentials that had reached 1e10
        # times its F, steps of a tenth were told where all could go.
        sane = check.objective <= F.null_value + check.doubt
        if F.term.stationary and F.loss_smooth and sane:
            fall = estimates.fall_along_columns(F, check.point, self._take_gradient(check))
            self._bound(check, Bound(fall, "stationarity"))
        # Beside a dual point of the solver's own that of the derivatives is not worth a pass.
        proved = check.gradient is None and progress.lower > -np.inf
        if self._open(check) and (final or not proved):
            gradient = self._take_gradient(check)
            self._bound(check, self.gap.bound(check.point, check.smooth_value, gradient))
        if known is not None and self._open(check):
            self._bound(check, self._from_known(known, check))

    def _centered(self, check, keeps):
        """The check with the best intercept and its gap, or where it `keeps` its own with what
        follows for that: two passes.
        """
        centered = self.evaluated(self.gap.centered(check.point))
        bound = self.gap.bound(centered.point, centered.smooth_value, centered.gradient)
        self._bound(centered, bound)
        self._carry(centered)
        if not keeps:
            check.gradient = None  # whoever has the check still: a proof that follows needs room
            return centered
        # What the rule and the schedule give is never altered, nor what was scored; how far it is
        # follows from the better point.
        above = check.objective - centered.objective + centered.bound.value
        self._bound(check, Bound(above, centered.bound.kind))
        return check

    def _gap_if_centered(self, check):
        """The gap that the best intercept is hoped to leave: no pass."""
        gradient = check.gradient
        return self.gap.bound(check.point, check.smooth_value, gradient, balanced=True).value

    def _centering_pays(self, check, hope, final):
        """Whether two passes for the best intercept would likely bring the gap below tol, or
        bring a gap at the end.
        """
        likely = (
            self.tol is not None
            and relative_gap_at(self.objective, hope, check.objective) <= self.tol
        )
        if final:
            worth = hope < WORTH_CENTERING * check.bound.value and not self.newton.applies
            return likely or worth
        # Where it did not do, it is tried again once the gap has halved.
        return likely and hope <= 0.5 * self._hoped

    def _proof_pays(self, check, progress, spent, final):
        """Whether the Newton decrement is worth its passes: the run goes on until it is proved,
        or ends here.
        """
        F, cost = self.objective, self.newton.passes
        if not self.newton.applies or (self.tol is None and not final):
            return False
        if final:
            if self.tol is None and self.newton.wide:
                return False
            share = UNASKED_SHARE if self.tol is None else ASKED_SHARE
            quick = VALUE * cost * F.row_length * F.n_samples <= UNASKED_TIME
            return cost <= max(share * spent, 2.0) or quick
        if progress.curvature is not None or progress.by_gap or not progress.on_all_rows:
            return False
        subgradient = F.subgradient(check.point, check.gradient)
        worth = self.newton.worth_trying(check.objective, subgradient, self.tol)
        return worth and (self.free_answers or cost <= SHARE_ON_THE_WAY * spent)

    def _prove(self, check):
        subgradient = self._subgradient(check)
        asked = self.target_gap(check)
        self._bound(check, self.newton.prove(check.point, check.objective, subgradient, asked))

    def _from_known(self, known, check):
        subgradient, asked = self._subgradient(check), self.target_gap(check)
        return self.newton.from_known(known, check.point, subgradient, asked, check.objective)

    def _by_curvature(self, check, fallen):
        """What the curvature at the check says of what is left."""
        F, gradient = self.objective, self._take_gradient(check)
        if self.free_answers:
            return estimates.estimated_gap(F, check.point, gradient)
        # Where noise ends the run the falls and the decrement have to agree: the lesser caution
        # does.
        return max(estimates.estimated_gap(F, check.point, gradient, estimates.LIKELY), fallen)

    def _by_sure_fall(self, check, fallen):
        """What falls so far say, but no less than what a step is sure to bring.

        Steps that heavy tails keep short hardly move F at all: one of a fit's own rows had gained
        3e-4 of the 2 % that the columns are good for.
        """
        gradient = self._take_gradient(check)
        return max(fallen, estimates.sure_fall(self.objective, check.point, gradient))

    def _ask(self, estimate, check, fallen, spent):
        """The `Estimate` where what is left is estimated to be within tol; asked only where the
        passes have doubled since one was asked for.
        """
        if spent < 2.0 * self._last_estimate_at:
            return GO_ON
        self._last_estimate_at = spent
        gap = estimate(check, fallen)
        within = relative_gap_at(self.objective, gap, check.objective) <= self.tol
        return Estimate(True, gap) if within else GO_ON

    def _open(self, check):
        """Whether a smaller bound is asked for."""
        return check.suboptimality > (self.tol or 0.0)

    def target_gap(self, check):
        """The bound that tol asks for; without one the first bound there is."""
        if self.tol is None:
            return np.inf
        asked = largest_gap_at(self.objective, self.tol, check.objective)
        return max(asked - check.doubt, 0.0)

    def _bound(self, check, bound):
        """Let a bound on F as it was computed, less F*, be that of the check where it is the
        smallest.
        """
        bound = Bound(bound.value + check.doubt, bound.kind)
        if bound.value < check.bound.value:
            check.bound = bound
            F = self.objective
            check.suboptimality = relative_gap_at(F, bound.value, check.objective)
            if bound.proved:
                self._lower = max(self._lower, check.objective - bound.value)

    def _subgradient(self, check):
        """The subgradient of least norm of F at a check."""
        return self.objective.subgradient(check.point, self._take_gradient(check))

    def _take_gradient(self, check):
        """The gradient at a check: a pass where the check has none, which gets it."""
        if check.gradient is None:
            check.gradient = self.objective.smooth_and_gradient(check.point)[1]
        return check.gradient


def _curvature_of_F(progress):
    """The curvature that a solver keeps, if it is of F."""
    kept = progress.curvature
    return None if kept is None or kept.factor is None else kept
