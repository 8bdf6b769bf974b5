"""What README promises: its code runs, its table of files is the package, and nothing imports what is below it."""

import ast
import re
from pathlib import Path

import numba
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the same in plain Python, slowly")
def test_the_code_blocks_run_one_after_the_other(tmp_path, capsys):
    script = tmp_path / "readme.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL)), encoding="utf-8")
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "proof" in printed
    assert "all 9 checks passed" in printed


def rooms():
    """Files and folders of each line of the table, from the ground up."""
    table = README[README.index("| file, from the ground up") :].split("\n\n")[0]
    return [re.findall(r"`([a-z_]+\.py|[a-z]+/)`", line) for line in table.splitlines()[2:]]


def test_the_table_of_files_is_the_package():
    named = {name for room in rooms() for name in room} | {"__init__.py"}
    package = ROOT / "fastgd"
    files = {path.name for path in package.glob("*.py")}
    folders = {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert named == files | folders


def test_no_room_imports_one_below_it():
    floor = {name: number for number, room in enumerate(rooms()) for name in room}
    package = ROOT / "fastgd"
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).parts
        if parts == ("__init__.py",):
            continue
        own = floor[parts[0] if len(parts) == 1 else f"{parts[0]}/"]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastgd":
                inside = node.module.split(".")[1:2] or [alias.name for alias in node.names]
                for name in inside:
                    other = floor.get(f"{name}.py", floor.get(f"{name}/", 0))
                    assert other <= own, f"{'/'.join(parts)} imports {name}, which README puts below it"
