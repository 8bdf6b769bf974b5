"""What README promises: its code runs in the order in which it stands, its links lead somewhere."""

import re
import sys
import tomllib
from pathlib import Path

import numba
import numpy as np
import pytest

from fastgd.fitting.choose_solver import batch_sizes
from fastgd.losses.base import Loss, VectorLoss
from fastgd.penalties.base import Penalty
from fastgd.rules.base import Rule
from support.pages import dead_links, run_blocks
from support.penalties import kinds
from support.twins import members

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
pytestmark = pytest.mark.skipif(not README.is_file(), reason="tests of the source tree")


def write_customers(path):
    """A table with numbers, text and a target that both tell something about."""
    import pandas as pd

    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 80, 300),
            "income": rng.lognormal(10.0, 0.5, 300).round(2),
            "plan": rng.choice(["basic", "family", "premium"], 300),
        }
    )
    says_no = table["age"] + 30 * (table["plan"] == "basic") + rng.normal(0, 10, 300)
    table["churned"] = np.where(says_no > 60, "yes", "no")
    table.to_csv(path, index=False)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the same in plain Python, slowly")
def test_the_code_blocks_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    write_customers(tmp_path / "customers.csv")
    run_blocks(README, tmp_path)
    printed = capsys.readouterr().out
    assert float(printed.split()[0]) > 0.8  # the pipeline's accuracy
    assert "\nnewton on all rows per update, learning rate auto: " in printed
    assert re.search(r"all \d+ checks passed", printed)


# As README calls them.
LOSSES = {
    "log_loss": "log",
    "hinge": "hinge",
    "squared_hinge": "squared hinge",
    "modified_huber": "modified Huber",
    "perceptron": "perceptron",
    "multinomial": "multinomial",
    "squared_error": "squared error",
    "huber": "Huber",
    "epsilon_insensitive": "epsilon-insensitive",
    "squared_epsilon_insensitive": "(also squared)",
    "quantile": "quantile",
    "poisson": "Poisson",
    "gamma": "Gamma",
    "tweedie": "Tweedie",
    "inverse_gaussian": "inverse Gaussian",
    "negative_binomial": "negative binomial",
    "binomial": "binomial",
}
PENALTIES = {
    "L1": "L1",
    "L2": "L2",
    "ElasticNet": "elastic net",
    "NoPenalty": "",
    "GroupLasso": "groups",
    "SparseGroupLasso": "groups",
    "MultiTask": "several targets",
    "MCP": "MCP",
    "SCAD": "SCAD",
    "Quadratic": "a quadratic form",
    "WeightedGroups": "weights",
    "WeightedRows": "weights",
}
NUMBERS = {10: "Ten", 11: "Eleven", 12: "Twelve", 13: "Thirteen", 14: "Fourteen"}


def test_it_names_every_loss_and_penalty_and_counts_the_solvers():
    text = " ".join(README.read_text(encoding="utf-8").split())
    listed = text.split("Losses: ")[1].split("## ")[0]
    assert LOSSES.keys() == {loss.name for loss in [*members(Loss), *members(VectorLoss)]}
    assert PENALTIES.keys() == {penalty.__name__ for penalty in kinds(Penalty)}
    for word in (*LOSSES.values(), *PENALTIES.values()):
        assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", listed), word
    solvers = {*batch_sizes(), *(rule.name for rule in members(Rule))}
    assert f"{NUMBERS[len(solvers)]} solvers can be [named]" in text


def test_nothing_is_advised_that_only_an_index_could_give():
    """The package is on none so far; extras are installed from the checkout."""
    folders = ("fastgd", "bench", "examples", ".github")
    pages = [path for one in folders for path in (ROOT / one).rglob("*") if path.is_file()]
    pages = [README, *(path for path in pages if path.suffix in (".py", ".md", ".yml"))]
    assert len(pages) > 300
    asked = re.compile(r"pip install\s+(?!-e)\S?fastgd\b")
    assert [path for path in pages if asked.search(path.read_text("utf-8"))] == []


def test_one_version_is_told():
    import fastgd

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    changes = (ROOT / ".github/CHANGES.md").read_text(encoding="utf-8")
    told = {
        "pyproject.toml": settings["project"]["version"],
        "CHANGES.md": re.search(r"^## (\S+)", changes, re.MULTILINE)[1],
        "README.md": re.search(r"This is version (\S+)\. ", README.read_text("utf-8"))[1],
    }
    assert told == dict.fromkeys(told, fastgd.__version__)


def test_it_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 135


@pytest.mark.parametrize("page", ["README.md", "fastgd/README.md", "bench/README.md"])
def test_links_lead_somewhere(page):
    assert dead_links(ROOT / page) == []


def test_the_picture_can_be_drawn_from_the_table():
    sys.path.insert(0, str(ROOT))
    from bench import overview

    drawn = overview.seconds((ROOT / "bench" / "README.md").read_text(encoding="utf-8"))
    assert drawn.keys() >= overview.SHOWN.keys()
    assert all(min(own, other) > 0.0 and name for own, other, name, _ in drawn.values())
