"""`python -m fastgd COMMAND`, and the name that compiling ahead had before."""

import subprocess
import sys

import numba
import pytest

import fastgd
from fastgd.__main__ import main


def test_versions(capsys):
    main(["versions"])
    printed = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert printed["fastgd"].startswith(fastgd.__version__)
    assert {"python", "numba", "numpy", "scipy", "scikit-learn", "threads"} <= set(printed)


def test_cache(capsys, monkeypatch):
    main(["cache"])
    assert "files, " in capsys.readouterr().out or numba.config.DISABLE_JIT
    monkeypatch.setattr("fastgd.versions.cache_folder", lambda: None)
    main(["cache"])
    assert "no folder can be written to" in capsys.readouterr().out


def test_the_cache_is_cleared_of_what_it_wrote_and_of_nothing_else(capsys, monkeypatch, tmp_path):
    root = tmp_path / "fastgd"
    kernels, others = root / ("a" * 16), root / "mine"
    for path in (kernels / "dot-1.nbc", kernels / "dot-2.1f.tmp", others / "notes-1.nbc"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
    for module in ("fastgd.runtime.jit", "fastgd.versions"):
        monkeypatch.setattr(f"{module}.cache_folder", lambda: root / ("b" * 16))
    main(["cache", "--clear"])
    assert "2 files removed" in capsys.readouterr().out
    assert not kernels.exists()
    assert (others / "notes-1.nbc").exists()
    with pytest.raises(SystemExit):
        main(["versions", "--clear"])


def test_other_commands_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["compile"])
    assert "warmup" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["warmup", "cache", "versions"])
def test_each_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"python -m fastgd {command}" in told
    assert len(told.split()) > 20
    assert ("--clear" in told) == (command == "cache")


def test_without_a_command_all_are_listed(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert all(f"  {command} " in told for command in ("warmup", "cache", "versions"))


def test_the_name_of_before_is_still_a_command_and_a_function():
    code = (
        "import fastgd.warmup, fastgd\n"
        "try: fastgd.warmup(losses='x')\n"
        "except ValueError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "losses must be a sequence" in found.stdout
