"""Costs of the machine, measured beside those that are shipped."""

import numpy as np
import pytest

from bench import calibrate
from fastgd.objective import cost_model
from fastgd.objective.cost_model import Cost, declared_in


@pytest.mark.plain
def test_calibrate_measures_every_shipped_cost(capsys):
    figures = calibrate.run(1, 0.002)
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    for name, cost in declared_in(cost_model).items():
        assert name in lines
        found = figures["costs"][name]
        assert (found["shipped"], found["unit"]) == (cost, cost.unit)
        assert np.isfinite(found["measured"]), name
    assert set(calibrate.samples(figures)) >= {"calibrate fastgd ROW a row, ns"}
    own = figures["costs"].keys() - declared_in(cost_model).keys()
    assert {"newton.cholesky.MATRICES", "l1.working_set.TYPICAL_PASSES"} <= own <= set(lines)
    assert all(figures["costs"][name]["measured"] is None for name in own)


def test_what_solvers_take_is_found_in_their_files_once():
    costs = calibrate.shipped()
    assert len({id(cost) for cost in costs.values()}) == len(costs)
    assert all(cost > 0.0 and cost.unit and cost.measured.endswith(".") for cost in costs.values())
    # What is in ns describes a machine, and stands in the cost model.
    machine = [name for name, cost in costs.items() if cost.unit.startswith("ns ")]
    assert set(machine) <= declared_in(cost_model).keys()


def test_what_calibrate_cannot_measure_stands_there_as_it_is_shipped():
    costs = {"PASSES": Cost(12.0, "passes", "To 1e-4.")}
    figures = calibrate.measured(costs, rounds=1)
    assert figures == {"PASSES": {"unit": "passes", "shipped": 12.0, "measured": None}}
    assert calibrate.text(figures).splitlines()[-1].split() == ["PASSES", "passes", "12", "-", "-"]
