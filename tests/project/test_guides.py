"""The guides beside the examples: their code prints what they say, their links lead somewhere."""

from pathlib import Path

import numba
import pytest
import sklearn

from support.pages import dead_links, run_blocks

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "examples" / "guide").glob("*.md"))
PAGES = [ROOT / "examples" / "README.md", *GUIDES] if GUIDES else []
NEWER = {"watching": (1, 9)}  # scikit-learn's callbacks


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the same in plain Python, slowly")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_code_blocks_run_one_after_the_other(page, tmp_path, monkeypatch):
    if tuple(map(int, sklearn.__version__.split(".")[:2])) < NEWER.get(page.stem, (0, 0)):
        pytest.skip("needs a newer scikit-learn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    run_blocks(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_links_lead_somewhere(page):
    assert dead_links(page) == []
