"""Folders that many tests read and that take seconds to make: made once in a session, whoever comes first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import Bundle, open_bundle
from s2d_edge.contracts.model_config import S2DConfig


class Shared:
    """The session's shared folders, one place for all pytest-xdist workers. Tests must not change them."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        base = factory.getbasetemp()
        self._root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
        self._root.mkdir(exist_ok=True)

    def folder(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder of that name; ``make`` fills it if no test has needed it before."""
        path = self._root / name
        with (self._root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released with the file, also when this process dies
            if not path.exists():
                scratch = self._root / f"{name}.making"
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                make(scratch)
                scratch.rename(path)
        return path

    def exported(self, target: str, mode: str, config: S2DConfig) -> Bundle:
        """A full-precision bundle of a random model of that shape; its run lies beside it as ``run``."""
        from s2d_edge.core.console import Console
        from s2d_edge.export.command import export_run  # with torch, which few tests need
        from tests.models import write_random_run

        def make(folder: Path) -> None:
            write_random_run(folder / "run", config)
            export_run(
                target=target, mode=mode, run=folder / "run", out=folder / target, console=Console(quiet=True)
            )

        shape = hashlib.sha256(repr(config).encode()).hexdigest()[:8]
        return open_bundle(self.folder(f"{target}-{mode}-{shape}", make) / target)
