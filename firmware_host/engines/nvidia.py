"""NVIDIA's hardware and libraries on this machine, found without any of their Python packages.

Every function returns an empty string where there is nothing to be found.
"""

from __future__ import annotations

import ctypes
import importlib
import re
import subprocess
from contextlib import suppress
from ctypes.util import find_library
from functools import lru_cache
from pathlib import Path

_TEGRA_RELEASE = Path("/etc/nv_tegra_release")
_BOARD = Path("/proc/device-tree/model")
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")
_TIMEOUT_S = 10.0


@lru_cache
def gpu() -> tuple[str, str]:
    """Return name and driver version of the first GPU; on a Jetson without them, its board and L4T."""
    name, driver = "", ""
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
        ).stdout
        name, _, driver = (listed.splitlines() or [""])[0].partition(",")
    if not driver.strip():
        found = re.search(r"Kernel Module\S*(?: for \S+)?\s+([\d.]+)", _text(_KERNEL_MODULE))
        driver = found.group(1) if found else jetson_linux()
    if not re.search(r"[A-Za-z]{3}", name):  # a Jetson's may print "[N/A]"
        name = _text(_BOARD).strip("\0 \n")
    return name.strip(), driver.strip()


def jetson_linux() -> str:
    """Return the release of Jetson Linux (L4T), such as ``R36.4.3``; JetPack 6 is R36, JetPack 7 is R38."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", _text(_TEGRA_RELEASE))
    return f"R{found.group(1)}.{found.group(2)}" if found else ""


@lru_cache
def tensorrt() -> str:
    """Return the version of TensorRT: of its Python package, else of the library a runtime would load."""
    with suppress(Exception):  # a package without its library fails in many ways
        return str(importlib.import_module("tensorrt").__version__)
    number = _call_library("nvinfer", "getInferLibVersion")
    if not number:
        return ""
    # 10.3.0 is 100300 since TensorRT 10; 8.6.1 was 8601.
    major, rest = divmod(number, 10_000) if number >= 100_000 else divmod(number, 1_000)
    return f"{major}.{rest // 100}.{rest % 100}"


@lru_cache
def cuda() -> str:
    """Return the version of the CUDA runtime library."""
    found = find_library("cudart")
    number = ctypes.c_int(0)
    if found is None:
        return ""
    with suppress(OSError, AttributeError):
        if ctypes.CDLL(found).cudaRuntimeGetVersion(ctypes.byref(number)) == 0:
            return f"{number.value // 1000}.{number.value % 1000 // 10}"
    return ""


def _call_library(library: str, function: str) -> int:
    """Call a function without arguments of a shared library; 0 without the library."""
    found = find_library(library)
    if found is None:
        return 0
    with suppress(OSError, AttributeError):
        return int(getattr(ctypes.CDLL(found), function)())
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
