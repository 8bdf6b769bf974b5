"""What `pytest` leaves to its long form: no whole value of a parameter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from support.thinning import THINNED, most_different

ROOT = Path(__file__).resolve().parents[2]
# Where a value is left to the long form on purpose: {test: (values, where they run)}.
EXCUSED = {
    "tests/behaviour/test_real_data.py::test_california_as_it_comes": (
        {"solver='gd'", "solver='adagrad'", "batch_size=1"},
        "test_covtype_as_it_comes, which has every setting",
    )
}


def test_cases_that_are_chosen_are_as_different_as_can_be():
    pairs = [(f"a{i}", f"b{j}") for i in range(6) for j in range(4)]
    chosen = most_different(pairs, 4)
    assert len(chosen) == 6
    assert {value for number in chosen for value in pairs[number]} == {
        value for pair in pairs for value in pair
    }
    assert most_different(pairs, 1) == set(range(24))


@pytest.mark.plain  # seven seconds to collect what runs compiled
def test_every_value_of_a_thinned_parameter_runs(request, tmp_path):
    here, found = request.config.stash[THINNED], tmp_path / "thinned.json"
    files = sorted({name.split("::")[0] for name in here})
    if not files:
        pytest.skip("no thinned test was collected beside this one")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    subprocess.run(
        [*command, *files],
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "0", "FASTGD_THINNED": str(found)},
        capture_output=True,
        check=True,
    )
    assert numba.config.DISABLE_JIT
    compiled = json.loads(found.read_text())
    assert here.keys() == compiled.keys()
    never = {
        name: {
            value
            for value in {**here[name], **compiled[name]}
            if not (here[name].get(value) or compiled[name].get(value))
        }
        for name in here
    }
    never = {name: values for name, values in never.items() if values}
    assert never == {name: values for name, (values, _) in EXCUSED.items() if name in here}
