"""The lower floors import on a machine that has nothing but the device's packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "nncf", "mediapipe", "jax", "scipy", "matplotlib"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
room = importlib.import_module(sys.argv[1])
names = [module.name for module in pkgutil.walk_packages(room.__path__, room.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.mark.parametrize(
    "room",
    [
        "core",
        "contracts",
        "media",
        "data.reading",
        "data.preparing",
        "data.check",
        "data.avatars",
        "firmware_host.selftest",
    ],
)
def test_room_needs_nothing_that_only_extras_install(room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, f"s2d_edge.{room}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2
