"""The tree is what `fastgd/README.md` describes: files have their lines, no import goes upwards."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "fastgd"
PLAN = PACKAGE / "README.md"
pytestmark = pytest.mark.skipif(not PLAN.is_file(), reason="tests of the source tree")
FLOORS, FILES_AT_THE_TOP = 12, 10


def packages():
    """Packages in the order of the table, from the ground up: folders, and files at the top."""
    table = PLAN.read_text(encoding="utf-8").split("| package |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([a-z_]+(?:/|\.py))`", table, re.MULTILINE)


def described():
    """Files that have a line in the plan, as paths below the package."""
    files = {name for name in packages() if name.endswith(".py")}
    for section in PLAN.read_text(encoding="utf-8").split("\n### ")[1:]:
        folder = re.match(r"`([a-z0-9_/]+/)`", section)
        lines = section.split("\n## ")[0].splitlines()
        if folder:
            cells = " ".join(line.split("|")[1] for line in lines if line.startswith("| `"))
            files |= {folder[1] + name for name in re.findall(r"`([A-Za-z0-9_/]+\.py)`", cells)}
    return files


def modules():
    """{dotted name below the package: path}."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports():
    """{module: modules that it imports anywhere in its text}.

    The package itself is left out: it imports public names on demand.
    """
    known = modules()
    arrows = {}
    for module, path in known.items():
        if not module:
            continue
        arrows[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            package, _, base = (node.module or "").partition(".")
            if package != "fastgd":
                continue
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                arrows[module].add(inner if inner in known else base)
        arrows[module] -= {"", module}
    return arrows


def package_of(module):
    return module.split(".")[0]


def package_imports():
    """{package: packages that its files import}."""
    arrows = {}
    for module, others in imports().items():
        arrows.setdefault(package_of(module), set()).update(map(package_of, others))
    return {package: others - {package} for package, others in arrows.items()}


def longest_chains(arrows):
    """{node: how many nodes the longest chain of imports from it has}; there may be no cycle."""
    length = {}

    def visit(node, above):
        assert node not in above, f"a cycle: {' > '.join((*above[above.index(node) :], node))}"
        if node not in length:
            below = [visit(other, (*above, node)) for other in sorted(arrows.get(node, ()))]
            length[node] = 1 + max(below, default=0)
        return length[node]

    for node in arrows:
        visit(node, ())
    return length


def test_every_file_has_its_line():
    paths = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    files = {path.relative_to(PACKAGE).as_posix() for path in paths}
    without_a_line = sorted(files - described())
    without_a_file = sorted(described() - files)
    assert without_a_line == []
    assert without_a_file == []


def test_every_package_has_its_line():
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    files = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert sorted(packages()) == sorted(folders | files)


def test_no_package_imports_one_that_stands_below_it_in_the_table():
    place = {re.sub(r"/|\.py", "", name): number for number, name in enumerate(packages())}
    for module, others in imports().items():
        for other in others:
            assert place[package_of(other)] <= place[package_of(module)], (
                f"{module} imports {other}"
            )


def test_no_module_imports_itself_by_way_of_others():
    longest_chains(imports())


def test_the_house_is_not_too_high():
    assert max(longest_chains(package_imports()).values()) <= FLOORS


def test_few_files_lie_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= FILES_AT_THE_TOP


def test_every_folder_says_what_it_is_for():
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
