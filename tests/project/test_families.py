"""Members are asked for what they declare: outside the package of its family nobody tests the class
or the name of one.
"""

import ast
from pathlib import Path

import pytest

import fastgd.estimators  # noqa: F401  # and all members with them
from fastgd.data.rows import Rows
from fastgd.losses.base import Loss, VectorLoss
from fastgd.penalties.base import Penalty
from fastgd.penalties.term import Term
from fastgd.rules.base import Rule
from fastgd.rules.one_sample import StepLength
from fastgd.runtime.fingerprint import is_ours

PACKAGE = Path(__file__).resolve().parents[2] / "fastgd"
pytestmark = pytest.mark.skipif(
    not (PACKAGE / "README.md").is_file(), reason="tests of the source tree"
)
PACKAGES = {
    Loss: "losses",
    VectorLoss: "losses",
    Penalty: "penalties",
    Term: "penalties",
    Rule: "rules",
    StepLength: "rules",
    Rows: "data",
}


def below(family):
    """Classes of a family."""
    for member in family.__subclasses__():
        yield member
        yield from below(member)


def words():
    """{class or name of a member: the package of its family}."""
    found = {}
    for family, package in PACKAGES.items():
        for member in filter(is_ours, below(family)):
            found[member.__name__] = package
            if isinstance(vars(member).get("name"), str):
                found[member.name] = package
    return found


def compared(text):
    """(line, word) of what types, or attributes `name`, are compared with."""
    for node in ast.walk(ast.parse(text)):
        against = []
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            against = [node.args[1]]
        elif isinstance(node, ast.Compare):
            left = ast.unparse(node.left)
            if left.endswith(".name") or left.startswith("type("):
                against = node.comparators
        for one in against:
            for part in ast.walk(one):
                word = getattr(part, "id", getattr(part, "value", None))
                if isinstance(word, str):
                    yield node.lineno, word


def test_such_tests_are_found():
    text = 'isinstance(x, Gd | Huber)\nloss.name in ("hinge", "huber")\ntype(x) is MCP\nx == "gd"'
    assert {word for _, word in compared(text)} == {"Gd", "Huber", "hinge", "huber", "MCP"}
    assert words().items() >= {"Huber": "losses", "huber": "losses", "MCP": "penalties"}.items()


def test_no_member_is_tested_outside_the_package_of_its_family():
    known, found = words(), []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for line, word in compared(path.read_text(encoding="utf-8")):
            if word in known and not name.startswith(f"{known[word]}/"):
                found.append(f"{name}:{line} {word}")
    assert found == []
