"""Write the script of a jetson bundle that builds TensorRT's plan on the device."""

from __future__ import annotations

import shlex
from contextlib import suppress
from importlib import resources
from pathlib import Path

from s2d_edge.contracts.bundle import BUILD_SCRIPT, HALF_GRAPH, Precision
from s2d_edge.core.files import sha256_of

_NAME_CHARACTERS = " ._+-"  # beside letters and digits; the script also writes the name into JSON


def write_build_script(folder: Path, name: str, precision: Precision) -> None:
    """Write the script into a bundle's folder, with the hashes of the graphs that are already there."""
    half = folder / HALF_GRAPH
    values = {
        "name": "".join(each for each in name if each.isalnum() or each in _NAME_CHARACTERS),
        "precision": precision,
        "model_sha256": sha256_of(folder / "model.onnx"),
        "half_sha256": sha256_of(half) if half.is_file() else "",
    }
    script = resources.files(__package__).joinpath(BUILD_SCRIPT).read_text(encoding="utf-8")
    for key, value in values.items():
        script = script.replace(f"@{key}@", shlex.quote(value))
    path = folder / BUILD_SCRIPT
    path.write_text(script, encoding="utf-8")
    with suppress(OSError):  # some disks have no modes; the advice is "sh" and its name
        path.chmod(0o755)
