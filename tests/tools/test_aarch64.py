"""The parts of the emulated check that need no emulation and no download."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tools.aarch64.check import CheckError, Root, face_faults, imported_modules, predict
from tools.aarch64.model import fit_head

SCRIPT = Path(__file__).parents[2] / "tools/aarch64/root.sh"


def _unpack(root: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), str(root)], capture_output=True, text=True, check=False, env={"PATH": path}
    )


def test_an_unpacked_root_is_left_alone(tmp_path: Path) -> None:
    packages = re.search(r"^PACKAGES=(\S+)$", SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert packages is not None
    (tmp_path / "root").mkdir()
    (tmp_path / "root/.packages").write_text(f"bookworm {packages[1]}\n", "utf-8")
    assert _unpack(tmp_path / "root", "/nowhere").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_packages_that_are_missing_are_named_at_once(tmp_path: Path) -> None:
    # PATH is extended by the folders of administrators' programs, so what lies there cannot be missing.
    if any(shutil.which("dpkg", path=folder) for folder in ("/usr/sbin", "/sbin")):
        pytest.skip("dpkg lies among the administrators' programs here")
    done = _unpack(tmp_path / "root", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "apt-get install" in done.stderr
    assert "dpkg" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_an_emulator_the_error_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CheckError, match="apt-get install qemu-user-static"):
        Root(tmp_path)


def test_imports_are_read_from_python_s_own_log() -> None:
    log = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import json.decoder"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    found = imported_modules(log)
    assert {"json", "encodings"} <= found
    assert not {name for name in found if "." in name}
    assert "mediapipe" not in found


def test_a_crash_is_reported_with_its_signal(tmp_path: Path) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n", "utf-8")
    crashing.chmod(0o755)
    with pytest.raises(CheckError, match="signal 11"):
        predict([str(crashing)], "aarch64", tmp_path, [tmp_path], tmp_path)


def test_the_emulated_python_sees_no_settings_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/here")
    recorder = tmp_path / "python"
    # The path of the JSON file is the word after --json.
    recorder.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != --json ]; do shift; done\n'
        'printf \'{"path": "%s"}\' "$PYTHONPATH" >"$2"\n',
        "utf-8",
    )
    recorder.chmod(0o755)
    assert predict([str(recorder)], "there", tmp_path, [], tmp_path).predictions == {"path": ""}
    assert predict([str(recorder)], "here", tmp_path, [], tmp_path, PYTHONPATH="x").predictions == {
        "path": "x"
    }
    assert os.environ["PYTHONPATH"] == "/here"


def test_the_fitted_head_predicts_every_clip_s_class() -> None:
    torch.manual_seed(0)
    features = 7 + torch.randn(12, 64)
    truth = torch.arange(12) % 3
    weight, bias = fit_head(features, truth, 3)
    logits = features @ weight.T + bias
    assert torch.equal(logits.argmax(dim=1), truth)
    assert 2 < float(logits.amax(dim=1).mean()) < 5


@pytest.mark.parametrize(("here", "there", "faults"), [(8, 8, 0), (8, 7, 1), (0, 0, 1), (0, 8, 1)])
def test_faces_must_be_found_on_both_machines(here: int, there: int, faults: int) -> None:
    one, two = ({"results": [{"path": "a.mp4", "faces_found": count}]} for count in (here, there))
    assert len(face_faults(one, two)) == faults
