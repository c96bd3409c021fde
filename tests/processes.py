"""Start processes that import the checkout from any folder, and wait for what they and threads do."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def environment(**more: str) -> dict[str, str]:
    """This process's environment, in which Python finds the checkout's modules, and ``more``."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **more}


def wait_until(happened: Callable[[], object], process: subprocess.Popen[Any] | None = None) -> None:
    """Wait without a deadline, which a busy machine would miss; the watchdog ends a test that hangs.

    Args:
        happened: asked again and again until it says yes.
        process: must not end before.
    """
    while not happened():
        assert process is None or process.poll() is None
        time.sleep(0.005)
