"""Settings: what `auto` makes of them, and pairs that are refused."""

import numpy as np
import pytest

from fastgd.fitting.plan import Plan, Settings, make_plan
from fastgd.rules.adaptive import Adam
from fastgd.rules.classic import Momentum
from support.components import ToyWeightedL1
from support.problems import small


@pytest.mark.parametrize(
    ("settings", "loss", "expected"),
    [
        (Settings(), "log_loss", ("newton", "full", "auto")),
        (Settings(solver="newton"), "log_loss", ("newton", "full", "auto")),
        (Settings(solver="lbfgs", batch_size="growing"), "log_loss", ("lbfgs", "growing", "auto")),
        (Settings(), "hinge", ("sdca", 1, "auto")),
        (Settings(), "perceptron", ("gd", 1, "constant")),
        (Settings(solver="adam"), "log_loss", ("adam", "full", "auto")),
        (Settings(solver="adam"), "hinge", ("adam", 1, "auto")),
        (Settings(batch_size=5), "log_loss", ("gd", 5, "auto")),
        (Settings(batch_size="full"), "hinge", ("newton", "full", "auto")),
        (Settings(batch_size=0.5), "log_loss", ("gd", 12, "auto")),
        (Settings(learning_rate="line_search"), "log_loss", ("nesterov", "full", "line_search")),
        (Settings(learning_rate="pa1"), "hinge", ("gd", 1, "pa1")),
        (Settings(solver=Adam(0.5, 0.9, 1e-3), batch_size=2), "log_loss", ("adam", 2, "auto")),
    ],
)
def test_what_auto_means(settings, loss, expected):
    plan, rule = make_plan(settings, small(loss))
    assert (plan.solver, plan.batch_size, plan.learning_rate) == expected
    assert rule is None or rule.name == plan.solver
    assert str(plan).endswith(".")
    assert all(reason in str(plan) for reason in plan.reasons)
    if settings.solver == "auto":
        assert plan.reasons


def test_rows_in_chunks_are_met_one_by_one():
    for loss in ("log_loss", "hinge"):
        plan, _ = make_plan(Settings(), small(loss), streaming=True)
        assert (plan.solver, plan.batch_size) == ("adagrad", 1)


def test_the_momentum_parameter_goes_to_rules_that_have_one():
    for name in ("momentum", "nesterov"):
        assert make_plan(Settings(solver=name, momentum=0.3), small())[1].momentum == 0.3
    assert make_plan(Settings(solver=Momentum(0.7), momentum=0.3), small())[1].momentum == 0.7


@pytest.mark.parametrize(
    ("settings", "loss", "penalty", "message"),
    [
        (Settings(solver="sgd"), "log_loss", "l2", "unknown solver 'sgd'; write .*adagrad, adam"),
        (Settings(solver=3), "log_loss", "l2", "solver must be a string or a Rule"),
        (Settings(learning_rate="fast"), "log_loss", "l2", "learning_rate must be one of 'auto'"),
        (
            Settings(batch_size=3, learning_rate="line_search"),
            "log_loss",
            "l2",
            "needs batch_size='full'",
        ),
        (
            Settings(solver="adam", batch_size=1, learning_rate="pa1"),
            "hinge",
            "l2",
            "needs solver='gd' and batch_size=1",
        ),
        (
            Settings(batch_size=2, learning_rate="pa2"),
            "hinge",
            "l2",
            "needs solver='gd' and batch_size=1",
        ),
        (
            Settings(learning_rate="pa1"),
            "log_loss",
            "l2",
            "needs loss 'hinge' or 'epsilon_insensitive'",
        ),
        (
            Settings(learning_rate="pa1"),
            "hinge",
            ToyWeightedL1(np.ones(6)),
            "an elastic-net penalty",
        ),
    ],
)
def test_pairs_that_are_not_legal_are_refused(settings, loss, penalty, message):
    with pytest.raises(ValueError, match=message):
        make_plan(settings, small(loss, penalty))


def test_a_plan_is_text():
    assert str(Plan("gd", 1, "auto")) == "gd on 1 row per update, learning rate auto."
    assert (
        str(Plan("adam", 8, "constant", ("why", "and why")))
        == "adam on 8 rows per update, learning rate constant: why; and why."
    )
