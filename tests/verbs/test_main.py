"""The command line as a user meets it: one sentence and an exit code, whatever goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.train import recipes
from tests.firmware_host.graphs import make_bundle
from tests.models import write_random_run

_VERBS = (
    "train",
    "import",
    "evaluate",
    "export",
    "calibrate",
    "report",
    "compare",
    "lint",
    "deploy",
    "benchmark",
    "predict",
    "run",
    "selftest",
    "doctor",
    "demo",
)

# Refuses the packages a device does not have, as their absence would.
_BLOCK = """
import sys
import time
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "nncf"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Absent())
"""

# An installation that ships no model.
_NO_STARTER = """
from pathlib import Path
from s2d_edge.firmware_host import bundles
bundles.STARTER_FOLDER = Path("nowhere")
"""


def s2d_edge(*arguments: str, cwd: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, its cache under ``cwd``."""
    program = f"{code}\nimport sys\nfrom s2d_edge.verbs.main import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env={**os.environ, "S2D_EDGE_CACHE": str(cwd / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def _fails(arguments: Sequence[str], cwd: Path, *words: str) -> None:
    """The verb ends with 1 and one sentence on stderr that holds ``words``."""
    before = {path for path in cwd.rglob("*") if "cache" not in path.parts}
    done = s2d_edge(*arguments, cwd=cwd)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert last.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in last
    assert {path for path in cwd.rglob("*") if "cache" not in path.parts} == before


def test_help_names_every_verb_and_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = "numpy", "torch", "cv2", "mediapipe", "openvino", "onnx", "pydantic"
    check = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('HEAVY', [n for n in {heavy!r} if n in sys.modules]))"
    )
    done = s2d_edge("--help", cwd=tmp_path, code=check)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in _VERBS)
    assert "HEAVY []" in done.stdout


@pytest.mark.parametrize("verb", _VERBS)
def test_every_verb_explains_itself_without_torch(verb: str, tmp_path: Path) -> None:
    done = s2d_edge(verb, "--help", cwd=tmp_path, code=_BLOCK)
    assert done.returncode == 0
    assert "--quiet" in done.stdout


def test_train_names_every_size_and_recipe(tmp_path: Path) -> None:
    words = set(re.findall(r"[\w-]+", s2d_edge("train", "--help", cwd=tmp_path).stdout))
    assert words >= set(PRESETS)
    assert words >= set(recipes.NAMES)


def test_the_package_runs_as_a_module_for_torchrun() -> None:
    command = [sys.executable, "-m", "s2d_edge", "train", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "--resume" in done.stdout


def test_host_imports_without_torch_onnx_and_nncf(tmp_path: Path) -> None:
    program = _BLOCK + "import firmware_host, s2d_edge.firmware_host.live, s2d_edge.firmware_host.engines"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, timeout=120)
    assert done.returncode == 0


def test_missing_extra_is_named(tmp_path: Path) -> None:
    done = s2d_edge("export", "--target", "jetson", cwd=tmp_path, code=_BLOCK)
    assert done.returncode == 1
    assert "pip install 's2d-edge[train]'" in done.stderr


def test_defaults_say_what_to_make_first(tmp_path: Path) -> None:
    _fails(("export", "--target", "jetson"), tmp_path, "no run with weights", "s2d-edge train")
    done = s2d_edge("benchmark", cwd=tmp_path, code=_NO_STARTER)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is no bundle under bundles/; make one with 's2d-edge export'")


def test_wrong_paths_and_values(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run")
    bundle = make_bundle(tmp_path / "bundle").path
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "no-label.csv").write_text("path,split\na.mp4,test\n")
    _fails(("predict", str(bundle), "absent.mp4"), tmp_path, "absent.mp4")
    _fails(("predict", str(bundle), "text.mp4"), tmp_path, "text.mp4")
    _fails(("predict", str(bundle), "zero.mp4"), tmp_path, "zero.mp4")
    _fails(("predict", str(bundle), "empty"), tmp_path, "empty")
    _fails(("evaluate", str(bundle), "--data", "no-label.csv"), tmp_path, "no-label.csv", "label")
    _fails(("evaluate", str(bundle), "--data", "empty"), tmp_path, "empty")
    _fails(("export", "run", "--target", "toaster"), tmp_path, "toaster", "jetson")
    _fails(("run", "--bundle", str(bundle), "--camera", "99"), tmp_path, "99")
    _fails(("benchmark", str(bundle), "--rounds", "0"), tmp_path, "--rounds 0")
    _fails(("benchmark", str(bundle), "--against", "torch"), tmp_path, "not under runs/")
    _fails(("calibrate", str(bundle), "--split", "test"), tmp_path, "--split and --eval-split")
    _fails(("calibrate", str(bundle), "--tune-steps", "5"), tmp_path, "give its folder with --run")
    (tmp_path / "run" / "weights.safetensors").unlink()
    _fails(("export", "run", "--target", "cpu"), tmp_path, "holds no weights.safetensors")


def test_tampered_bundle_is_refused_by_every_verb_that_reads_one(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle").path
    graph = bundle / "model.xml"
    graph.write_text(graph.read_text() + " ")
    for arguments in (
        ("benchmark", "bundle"),
        ("evaluate", "bundle"),
        ("predict", "bundle", "bundle"),
        ("deploy", "bundle", "--to", "ovms"),
    ):
        _fails(arguments, tmp_path, "model.xml differs")


def test_deploy_needs_no_more_than_a_device_has(tmp_path: Path) -> None:
    make_bundle(tmp_path / "faces", graph="model.onnx", target="jetson")
    done = s2d_edge("deploy", "faces", "--to", "triton", cwd=tmp_path, code=_BLOCK)
    assert done.returncode == 0, done.stderr
    assert "wrote deploy/faces-triton; not run here: triton" in done.stderr
    assert (tmp_path / "deploy/faces-triton/onnxruntime/faces/1/model.onnx").is_file()
    _fails(("deploy", "faces", "--to", "ovms"), tmp_path, "--to ovms takes bundles with model.xml")


def test_benchmark_times_bundles_in_turn_and_prints_json(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundles" / "one")
    make_bundle(tmp_path / "bundles" / "other", graph="model.onnx")
    done = s2d_edge("benchmark", "--against", "bundles/one", "--rounds", "3", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    names = [model["name"] for model in result["models"]]
    assert sorted(names[:-1]) == ["one", "other"]
    assert names[-1] == result["reference"] == "one"
    for model in result["models"]:
        assert 0 < model["p50_ms"] <= model["p95_ms"] <= model["p99_ms"]
        assert model["peak_memory_bytes"] > model["size_bytes"] > 0
    assert result["models"][-1]["speedup"] == 1.0


def test_benchmark_looks_inside_graphs_of_both_runtimes(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundles" / "one")
    make_bundle(tmp_path / "bundles" / "other", graph="model.onnx")
    done = s2d_edge("benchmark", "--profile", "--rounds", "3", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    profiles = json.loads(done.stdout)["profiles"]
    assert sorted(profile["name"] for profile in profiles) == ["one", "other"]
    for profile in profiles:
        assert profile["total_ms"] == pytest.approx(sum(kind["ms"] for kind in profile["kinds"]))
        assert any(kind["linear"] for kind in profile["kinds"])  # the colours' one matrix
        assert 0 <= profile["linear_share"] < 1
        assert all(kind["nodes"] >= 1 for kind in profile["kinds"])
    write_random_run(tmp_path / "runs" / "run")
    _fails(("benchmark", "runs/run", "--profile"), tmp_path, "runs/run")
    _fails(("benchmark", "--profile", "--against", "torch"), tmp_path, "leave out --against")


def test_benchmark_tells_linears_whose_weights_are_dequantized_from_attention(tmp_path: Path) -> None:
    done = s2d_edge(
        "benchmark",
        "starter-jetson",
        "--profile",
        "--device",
        "cpu",
        "--rounds",
        "2",
        "--json",
        "-",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (profile,) = json.loads(done.stdout)["profiles"]
    nodes: Counter[bool] = Counter()
    for kind in profile["kinds"]:
        if kind["kind"] in ("MatMul", "FusedMatMul"):
            nodes[kind["linear"]] += kind["nodes"]
        assert kind["linear"] or "Conv" not in kind["kind"]
    # Queries, keys and values of six blocks and of as many temporal adapters share a quantizer each.
    assert nodes[True] >= 2 * 3 * 6
    assert nodes[False] == 2 * 6  # attention over patches


def test_doctor_reports_and_agrees_with_itself(tmp_path: Path) -> None:
    done = s2d_edge("doctor", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    findings = {finding["part"]: finding for finding in json.loads(done.stdout)}
    assert findings["OpenCV"]["ready"]
    assert findings["MediaPipe FaceMesh"]["ready"]
    assert findings["target intel-cpu"]["ready"] == ("CPU" in findings["OpenVINO"]["found"])


def test_doctor_names_the_system_package_of_a_missing_library() -> None:
    from s2d_edge.verbs.doctor_report import _remedy

    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    assert _remedy(error) == "the system library libGL.so.1 is missing: apt-get install libgl1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_verb_that_is_ended_leaves_nothing_half_made(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"  # the parent may ignore it
    )
    program += "\nfrom s2d_edge.verbs.main import main\nmain()"
    arguments = ["data", "avatars", "faces", "--clips-per-class", "5000", "--quiet"]
    with subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".faces.*/*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
