"""Which processor this is, as far as answers may depend on it."""

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
    """Name of the processor, and which of the instructions that matter it has."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    present = flags.group(1).split() if flags else []
    found = [each for each in _INSTRUCTIONS if each in present]
    text = name.group(1).strip() if name else platform.processor() or platform.machine()
    return f"{text}, {' '.join(found)}" if found else text
