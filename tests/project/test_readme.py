"""What README promises: its code runs in the order in which it stands, its links lead somewhere."""

import re
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

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
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    names = {"__name__": "readme"}
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), names)
    printed = capsys.readouterr().out
    assert float(printed.split()[0]) > 0.8  # the pipeline's accuracy
    assert "proof" in printed
    assert re.search(r"all \d+ checks passed", printed)


def test_it_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 135


@pytest.mark.parametrize("page", ["README.md", "fastgd/README.md", "bench/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target


def test_the_picture_can_be_drawn_from_the_table():
    sys.path.insert(0, str(ROOT))
    from bench import overview

    drawn = overview.seconds((ROOT / "bench" / "README.md").read_text(encoding="utf-8"))
    assert drawn.keys() >= overview.SHOWN.keys()
    assert all(min(own, other) > 0.0 and name for own, other, name, _ in drawn.values())
