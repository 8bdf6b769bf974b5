"""The guides beside the examples: their code runs, and their links lead somewhere."""

import re
from pathlib import Path

import numba
import pytest
import sklearn

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "examples" / "guide").glob("*.md"))
PAGES = [ROOT / "examples" / "README.md", *GUIDES] if GUIDES else []
NEWER = {"watching": (1, 9)}  # scikit-learn's callbacks


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the same in plain Python, slowly")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_code_blocks_run_one_after_the_other(page, tmp_path, monkeypatch):
    if tuple(map(int, sklearn.__version__.split(".")[:2])) < NEWER.get(page.stem, (0, 0)):
        pytest.skip("needs a newer scikit-learn")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    # With a file behind it, what the compiler and the loss report say of a line can be read.
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), {"__name__": page.stem})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
