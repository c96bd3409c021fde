"""Every shell script passes shellcheck."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_TOP = Path(__file__).parents[2]
_FOUND = (script for top in ("s2d_edge", "tools") for script in (_TOP / top).rglob("*.sh"))
_SCRIPTS = [_TOP / ".ci/run", *sorted(_FOUND)]


@pytest.mark.parametrize("script", _SCRIPTS, ids=[str(script.relative_to(_TOP)) for script in _SCRIPTS])
def test_shellcheck_finds_nothing(script: Path, shellcheck: str) -> None:
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
