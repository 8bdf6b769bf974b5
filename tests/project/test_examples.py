"""The examples: each is short, harmless to import, and has its picture; `.ci/run` runs them."""

import ast
import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
pytestmark = pytest.mark.skipif(not SCRIPTS, reason="tests of the source tree")
DRAWING = [path for path in SCRIPTS if "save(figure, __file__)" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_it_shows_and_does_nothing_when_imported(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= 120
    guarded = [node for node in tree.body if isinstance(node, ast.If)]
    assert [ast.unparse(node) for node in guarded] == [
        "if __name__ == '__main__':\n    main()" for _ in range(path.stem != "style")
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_docstrings_stand_first(path):
    """Behind an attribute one is a string that nobody reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for owner in (node for node in ast.walk(tree) if isinstance(node, owners)):
        for node in owner.body[1:]:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert not text, f"line {node.lineno}"


def test_running_an_example_leaves_the_pictures_of_the_page_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    plt = pytest.importorskip("matplotlib.pyplot")
    style = runpy.run_path(str(EXAMPLES / "style.py"))
    assert "examples/output/" in (EXAMPLES.parent / ".gitignore").read_text(encoding="utf-8")
    for options, folder in (([], "output"), (["--publish"], "pictures")):
        monkeypatch.setattr("sys.argv", ["own.py", *options])
        style["save"](plt.figure(figsize=(2, 1)), str(tmp_path / "own.py"))
        path = tmp_path / folder / "own.png"
        assert plt.imread(path).shape[:2] == (200, 400)


def test_each_picture_is_that_of_a_script_and_small():
    pictures = {path.stem: path.stat().st_size for path in (EXAMPLES / "pictures").glob("*.png")}
    assert pictures.keys() == {path.stem for path in DRAWING}
    assert len(pictures) >= 10
    assert max(pictures.values()) < 100_000


@pytest.mark.parametrize("path", DRAWING, ids=lambda path: path.stem)
def test_a_picture_of_the_page_has_200_dots_an_inch(path):
    """One had been drawn with 100, before all others, and nobody drew it anew."""
    (size,) = re.findall(r"figsize=\(([\d.]+), ([\d.]+)\)", path.read_text(encoding="utf-8"))
    header = (EXAMPLES / "pictures" / f"{path.stem}.png").read_bytes()[16:24]
    shown = int.from_bytes(header[:4]), int.from_bytes(header[4:])
    assert shown == tuple(round(200 * float(inches)) for inches in size)


@pytest.mark.jit
def test_the_tour_says_the_same_of_both_libraries_and_how_sure_it_is(capsys):
    runpy.run_path(str(EXAMPLES / "quickstart.py"))["main"]()
    printed = capsys.readouterr().out
    found = re.findall(r"^(fastgd, default|scikit-learn).*? ([\d.]+) +([\d.]+) ", printed, re.M)
    ours, theirs = found[::2], found[1::2]
    assert len(ours) == len(theirs) == 2
    for (_, score, objective), (_, their_score, their_objective) in zip(ours, theirs, strict=True):
        assert float(score) == pytest.approx(float(their_score), rel=1e-3)
        assert float(objective) == pytest.approx(float(their_objective), rel=1e-3)
    assert printed.count("(proved, rounding included)") == 2
