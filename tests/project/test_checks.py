"""What is checked before a merge: `.ci/run`, and the workflow that runs it and the wheels."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN, WORKFLOW = ROOT / ".ci/run", ROOT / ".github/workflows/ci.yml"
pytestmark = pytest.mark.skipif(not RUN.is_file(), reason="tests of the source tree")


@pytest.fixture
def tree(tmp_path):
    """A repository with nothing but the checks and a bench, and a function that runs them."""
    if os.name == "nt" or not (shutil.which("git") and shutil.which("bash")):
        pytest.skip("needs git and bash")
    for name in (".ci", "bench", "fastgd", "tests"):
        (tmp_path / name).mkdir()
    shutil.copy(RUN, tmp_path / ".ci/run")
    (tmp_path / "bench/__main__.py").touch()

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (command[0] == "git"), done.stderr
        return done.stderr

    run("git", "init", "-q")
    run("git", "add", ".")
    return tmp_path, run


def test_files_that_a_clone_would_not_have_are_refused_by_name(tree):
    """They were copied, and what needed them passed."""
    path, run = tree
    assert "README.md must have exactly one line" in run("bash", ".ci/run")  # so far it comes
    for name in ("fastgd/new.py", "tests/test_new.py"):
        (path / name).touch()
    told = run("bash", ".ci/run")
    assert "git add them" in told
    assert told.splitlines()[-2:] == ["fastgd/new.py", "tests/test_new.py"]
    run("git", "add", "fastgd", "tests")
    assert "README.md must have exactly one line" in run("bash", ".ci/run")


def test_claims_are_not_left_unchecked_in_silence(tree):
    path, run = tree
    (path / "bench/__main__.py").unlink()
    assert "certify, one of the checks, cannot run" in run("bash", ".ci/run")


def test_a_wheel_of_each_system_runs_compiled_code():
    """macOS and Windows ran all tests without the JIT, which is not what users run."""
    wheel = WORKFLOW.read_text(encoding="utf-8").split("\n  wheel:")[1].split("\n  lowest:")[0]
    assert re.search(r"os: \[ubuntu-latest, macos-latest, windows-latest\]", wheel)
    step = next(part for part in wheel.split("- name: ") if '-m "jit and not long"' in part)
    (python,) = re.findall(r"if: matrix.python == '([\d.]+)'", step)
    assert f'"{python}"' in re.search(r"python: \[.*\]", wheel)[0]
    assert "NUMBA_DISABLE_JIT" not in step
    (folders,) = re.findall(r'long" (tests/.*)', step)
    for folder in folders.split():
        files = list((ROOT / folder).glob("test_*.py"))
        assert any("mark.jit" in path.read_text(encoding="utf-8") for path in files), folder
