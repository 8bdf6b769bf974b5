"""No data set is named in the package: a rule holds for a kind of data, which is described."""

import re
import sys
from pathlib import Path

import pytest
import sklearn.datasets

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fastgd"
pytestmark = pytest.mark.skipif(
    not (ROOT / "bench/cases.py").is_file(), reason="tests of the source tree"
)


# Functions of scikit-learn that load what has no name, or one that is an ordinary word.
OTHERS = {"digits", "files", "file", "sample_image", "sample_images", "openml"}


def names():
    """Data sets of the suite and of scikit-learn, as words that a comment may have for them."""
    sys.path.insert(0, str(ROOT))
    from bench.cases import CASES, SMOKE

    sets = {case.data.removeprefix("sklearn:") for case in (*CASES, *SMOKE)}
    loaded = re.findall(r"\b(?:load|fetch)_(\w+)", " ".join(sklearn.datasets.__all__))
    sets |= {name for name in loaded if "svmlight" not in name} - OTHERS
    return {"newsgroup"} | {one for name in sets for one in (name, name.removesuffix("_binary"))}


def found_in(text):
    """Names in a text, its doctests left out, which may load scikit-learn's data."""
    plain = re.sub(r"^\s*(>>>|\.\.\.).*$", "", text, flags=re.MULTILINE)
    spelt = "|".join(name.replace("_", "[ _]") for name in sorted(names()))
    return sorted({found.lower() for found in re.findall(rf"(?i)(?<![a-z])({spelt})", plain)})


def test_names_are_found():
    assert found_in("24 passes on `News20_binary`, raw\nbreast cancer columns") == [
        "breast cancer",
        "news20",
    ]
    assert found_in("a fit to iris, newsgroups as counts") == ["iris", "newsgroup"]
    assert found_in("    >>> from sklearn.datasets import load_breast_cancer\n    0.97") == []


def test_no_data_set_is_named_in_the_package():
    files = sorted(PACKAGE.rglob("*.py")) + sorted(PACKAGE.rglob("*.md"))
    named = {
        path.relative_to(PACKAGE).as_posix(): found_in(path.read_text("utf-8")) for path in files
    }
    assert len(files) > 100
    assert {path: sets for path, sets in named.items() if sets} == {}
