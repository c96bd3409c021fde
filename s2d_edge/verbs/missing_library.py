"""Name the system's package of a library that a Python package needs and the system lacks."""

from __future__ import annotations

import re

_MISSING = re.compile(r"(lib[\w.+-]+?\.so[.\d]*): cannot open shared object file")
# Of Debian and Ubuntu, whose small images lack what OpenCV's wheel and others expect.
_PACKAGES = {
    "libGL": "libgl1",
    "libEGL": "libegl1",
    "libGLESv2": "libgles2",
    "libglib-2.0": "libglib2.0-0",
    "libgthread-2.0": "libglib2.0-0",
    "libSM": "libsm6",
    "libICE": "libice6",
    "libXext": "libxext6",
    "libXrender": "libxrender1",
    "libgomp": "libgomp1",
    "libstdc++": "libstdc++6",
    "libusb-1.0": "libusb-1.0-0",
    "libv4l2": "libv4l-0",
}


def missing_library(error: Exception) -> str | None:
    """The library that an error says is missing, and how to get it; None for other errors."""
    found = _MISSING.search(str(error))
    if found is None:
        return None
    library = found.group(1)
    package = _PACKAGES.get(library.split(".so")[0])
    advice = f", on Debian and Ubuntu: apt-get install {package}" if package else ""
    return f"the system library {library} is missing; install the system's package that has it{advice}"
