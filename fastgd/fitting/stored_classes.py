"""The classes whose instances a checkpoint may hold: a closed list, by names of its own."""

from fastgd.certificates.bound import Bound, Check
from fastgd.fitting.history import History
from fastgd.fitting.loop import LoopRecord, LoopState
from fastgd.fitting.plain_values import Registry
from fastgd.fitting.plan import Plan
from fastgd.fitting.replan import PlanRecord
from fastgd.fitting.result import Result
from fastgd.fitting.stopping import StopReason
from fastgd.fitting.task import Run, SavedRun
from fastgd.linalg.bordered import Bordered, BorderedFactor, Complement
from fastgd.linalg.cholesky import Factor
from fastgd.objective.collinear import Redundant
from fastgd.objective.exclusive.columns import Exclusive
from fastgd.objective.moment_sums import Moments
from fastgd.objective.moments import Freedom
from fastgd.objective.objective import Measured
from fastgd.objective.refined_factor import RefinedFactor
from fastgd.solvers import REGISTRY
from fastgd.solvers.base import Curvature, Progress, RunRecord, Solver, State
from fastgd.solvers.gradient.armijo import Armijo
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.distance_over_gradients import DistanceOverGradients
from fastgd.solvers.gradient.rate_backoff import RateBackoff
from fastgd.solvers.gradient.scheduled import AveragedFullBatch, ScheduledFullBatch
from fastgd.solvers.growing_batch import Growing
from fastgd.solvers.l1.proximal_newton import RowValues
from fastgd.solvers.l1.vector_matrix_model import Blocks
from fastgd.solvers.l1.vector_working_set import VectorRowValues
from fastgd.solvers.newton.subspace import RowSubspace, SubspaceState
from fastgd.solvers.newton.vector_subspace import VectorRowSubspace
from fastgd.solvers.stochastic.automatic_rates import RateTuning
from fastgd.solvers.stochastic.bottou_rates import BottouRates
from fastgd.solvers.stochastic.laplace import Laplace
from fastgd.solvers.stochastic.scheduled import Stochastic
from fastgd.solvers.variance_reduced.base import StepTuning

# Those that only other solvers use, or plans make for an update rule.
OTHERS = (
    AveragedFullBatch,
    RateBackoff,
    BarzilaiBorwein,
    BottouRates,
    Growing,
    Laplace,
    Armijo,
    RowSubspace,
    ScheduledFullBatch,
    Stochastic,
    DistanceOverGradients,
    VectorRowSubspace,
)
SOLVERS: tuple[type[Solver], ...] = (*REGISTRY, *OTHERS)
MEMORIES = {solver.Memory for solver in SOLVERS}
PARTS = (
    *(State, SubspaceState, RunRecord, Progress, Curvature),
    *(Factor, RefinedFactor, Bordered, BorderedFactor, Complement, Redundant, Exclusive),
    *(RowValues, VectorRowValues, Blocks, Measured, Moments, Freedom),
    *(Bound, Check, History, Plan, Result, StopReason),
    *(Run, SavedRun, PlanRecord, LoopState, LoopRecord, RateTuning, StepTuning),
)
REGISTERED = Registry(
    {one.__name__: one for one in (*PARTS, *MEMORIES)},
    # The solver is set where the state is restored; how chunks are taken is no part of a fit.
    {SubspaceState: {"solver"}, RunRecord: {"stream"}},
)
