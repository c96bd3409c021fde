"""The processor's name and the instructions that a model's logits may depend on."""

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
    """The processor's name, followed by those of the relevant instruction sets that it has."""
    text = _cpuinfo()
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    present = instructions()
    found = [each for each in _INSTRUCTIONS if each in present]
    known = name.group(1).strip() if name else platform.processor() or platform.machine()
    return f"{known}, {' '.join(found)}" if found else known


def instructions() -> frozenset[str]:
    """The processor's instruction sets as the kernel names them; empty where it lists none."""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return frozenset(flags.group(1).split()) if flags else frozenset()


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
