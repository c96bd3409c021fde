"""The processor's name and instruction sets, as far as results may depend on them."""

from __future__ import annotations

import platform
import re
from functools import lru_cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Instructions that decide which kernels a runtime takes, and how INT8 products are added up.
_INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm", "sve")


@lru_cache
def processor() -> str:
    """Return the processor's name, and which of the instructions that matter it has."""
    present = instructions()
    found = [each for each in _INSTRUCTIONS if each in present]
    return f"{processor_name()}, {' '.join(found)}" if found else processor_name()


def processor_name() -> str:
    """Return the processor's name as the kernel gives it, else its architecture."""
    name = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return name.group(1).strip() if name else platform.processor() or platform.machine()


def instructions() -> frozenset[str]:
    """Return the processor's instruction sets as the kernel names them; none where they cannot be read."""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return frozenset(flags.group(1).split()) if flags else frozenset()


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
