"""What README promises: its code runs, its table of files is the package, and nothing imports
what is below it.
"""

import re
from pathlib import Path

import numba
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the same in plain Python, slowly")
def test_the_code_blocks_run_one_after_the_other(tmp_path, capsys):
    script = tmp_path / "readme.py"
    script.write_text(
        "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL)), encoding="utf-8"
    )
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "proof" in printed
    assert "all 9 checks passed" in printed
