"""Environment of a training: versions, processors, state of the source; no host, user or path names."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.core.files import write_text
from s2d_edge.core.processor import processor_name
from s2d_edge.data.preparing.parallel import usable_cores
from s2d_edge.train.processes import Processes

ENVIRONMENT = "environment.json"
_PACKAGES = (
    "torch",
    "lightning-fabric",
    "numpy",
    "mediapipe",
    "opencv-contrib-python",
    "opencv-python-headless",
    "safetensors",
)
_GIT_TIMEOUT_S = 10


def note_start(folder: Path, processes: Processes, precision: str, *, epoch: int, step: int) -> None:
    """Add the current environment to ``environment.json``, as a training starts or resumes.

    Args:
        epoch, step: number of each already done.
    """
    path = folder / ENVIRONMENT
    starts = json.loads(path.read_text(encoding="utf-8"))["starts"] if path.is_file() else []
    cuda = processes.device.type == "cuda"
    starts.append(
        {
            "epochs_done": epoch,
            "steps_done": step,
            "processes": processes.count,
            "machines": processes.machines,
            "device": processes.device.type,
            "precision": precision,
            "cpu": processor_name(),
            "cores": usable_cores(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name(processes.device) if cuda else None,
            "cuda": torch.version.cuda,
            "platform": platform.platform(),
            "versions": tool_versions(*_PACKAGES),
            "git": _git_state(),
        }
    )
    write_text(path, json.dumps({"starts": starts}, indent=2) + "\n")


def _git_state() -> dict[str, Any] | None:
    """Commit of the working directory, and True for changed files; None outside of a checkout."""
    commit = _git("rev-parse", "--verify", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
