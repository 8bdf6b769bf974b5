"""Which solver carries a plan out."""

import pytest

from fastgd.fitting.build import make_solver
from fastgd.fitting.plan import Settings, make_plan
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.armijo import Armijo
from fastgd.solvers.gradient.barzilai_borwein import BarzilaiBorwein
from fastgd.solvers.gradient.distance_over_gradients import DistanceOverGradients
from fastgd.solvers.gradient.rate_backoff import RateBackoff
from fastgd.solvers.gradient.scheduled import ScheduledFullBatch
from fastgd.solvers.stochastic.automatic_rates import AutomaticRates
from fastgd.solvers.stochastic.scheduled import Stochastic
from support.problems import small


@pytest.mark.parametrize(
    ("settings", "loss", "kind"),
    [
        (Settings("gd", "full"), "log_loss", BarzilaiBorwein),
        (Settings("nesterov", "full"), "log_loss", Accelerated),
        (Settings("adam", "full"), "log_loss", RateBackoff),
        (Settings("gd", "full"), "hinge", DistanceOverGradients),
        (Settings("momentum", "full", "line_search"), "log_loss", Armijo),
        (Settings("adam", "full", "constant"), "log_loss", ScheduledFullBatch),
        (Settings("adam", 3, "constant"), "log_loss", Stochastic),
        (Settings("adam", 3), "log_loss", AutomaticRates),
        (Settings(), "perceptron", Stochastic),
    ],
)
def test_which_solver_carries_a_plan_out(settings, loss, kind):
    F = small(loss)
    plan, rule = make_plan(settings, F)
    solver = make_solver(plan, rule, settings, F, seed=0)
    assert type(solver) is kind
