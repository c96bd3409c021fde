"""Write a model repository for the OpenVINO Model Server, from an IR bundle.

A stream's rings are explicit inputs here, too: the server's stateful models keep theirs in variables inside
the model, which the targets' rules forbid (``explicit-state``).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from s2d_edge.contracts.bundle import Bundle, Target
from s2d_edge.firmware_host.engines.exact_int8 import openvino_properties

DEVICES: dict[Target, str] = {"intel-npu": "NPU", "intel-gpu": "GPU", "intel-cpu": "CPU", "cpu": "CPU"}


def write_ovms(bundle: Bundle, folder: Path, root: str, cache: str) -> None:
    """Write ``config.json`` and the model as its first version.

    Args:
        root: where the server will find ``folder``.
        cache: name of the folder below it for what OpenVINO compiles.
    """
    manifest = bundle.manifest
    device = DEVICES[manifest.target]
    version = folder / manifest.name / "1"
    version.mkdir(parents=True)
    for file in (bundle.graph_path, bundle.graph_path.with_suffix(".bin")):
        shutil.copyfile(file, version / file.name)
    # The execution precision is part of the bundle's contract, wherever it runs.
    properties = {"PERFORMANCE_HINT": "LATENCY"} | manifest.execution.get(device.lower(), {})
    if device != "CPU":
        properties["CACHE_DIR"] = f"{root}/cache/{cache}"
    elif manifest.precision == "int8":
        properties |= openvino_properties()  # for this machine's processor
    config = {
        "name": manifest.name,
        "base_path": f"{root}/{manifest.name}",
        "target_device": device,
        "plugin_config": properties,
    }
    text = json.dumps({"model_config_list": [{"config": config}]}, indent=2)
    (folder / "config.json").write_text(f"{text}\n", encoding="utf-8")
