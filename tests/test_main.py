"""`python -m fastgd COMMAND`, and the name that compiling ahead had before."""

import subprocess
import sys

import numba
import pytest

import fastgd
from fastgd.__main__ import main


def test_versions(capsys):
    main(["versions"])
    printed = capsys.readouterr().out.splitlines()
    assert f"fastgd {fastgd.__version__}" in printed
    assert [line.split()[0] for line in printed[2:]] == ["numba", "numpy", "scipy", "sklearn"]


def test_cache(capsys, monkeypatch):
    main(["cache"])
    assert "files, " in capsys.readouterr().out or numba.config.DISABLE_JIT
    monkeypatch.setattr("fastgd.runtime.jit.cache_folder", lambda: None)
    main(["cache"])
    assert "not kept" in capsys.readouterr().out


def test_other_commands_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["compile"])
    assert "warmup" in capsys.readouterr().err


def test_the_name_of_before_is_still_a_command_and_a_function():
    code = (
        "import fastgd.warmup, fastgd\n"
        "try: fastgd.warmup(losses='x')\n"
        "except ValueError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "losses must be a sequence" in found.stdout
