"""``build_engine.sh`` with stand-ins for trtexec: its arguments, the files it keeps, and its errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.core.files import sha256_of
from s2d_edge.deploy.jetson import write_build_script
from tests.deploy.trtexec import install
from tests.firmware_host.graphs import make_bundle

SHELLS = [shell for shell in ("dash", "bash --posix", "busybox sh") if shutil.which(shell.split()[0])]


@dataclass
class Machine:
    """A board with a bundle on it."""

    bundle: Bundle
    bin: Path
    cache: Path

    def build(
        self, *arguments: str, shell: str = "sh", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the script, from elsewhere, as a user would."""
        base = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.bin.parent),
            "S2D_EDGE_CACHE": str(self.cache),
        }
        return subprocess.run(
            [*shell.split(), str(self.bundle.path / "build_engine.sh"), *arguments],
            env=base | environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def folder(self) -> Path:
        """Of this bundle's plans."""
        return self.cache / "plans" / self.bundle.manifest.files["model.onnx"][:32]

    def record(self) -> dict[str, object]:
        [file] = self.folder.glob("*.json")
        found: dict[str, object] = json.loads(file.read_text())
        return found


def _bundle(path: Path, *, half: bool) -> Bundle:
    """An ONNX bundle with the script; with a graph typed in 16 bits it passes for INT8."""
    made = make_bundle(path, graph="model.onnx", target="jetson")
    if half:
        (path / "model_fp16.onnx").write_bytes(b"another graph")
    write_build_script(path, made.manifest.name, "int8" if half else "fp32")
    seal(path, made.manifest)
    return open_bundle(path)


@pytest.fixture(params=["plain", "with a space and 'quotes'"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    home = tmp_path / request.param
    return Machine(_bundle(home / "my bundle", half=True), home / "bin", home / "the cache")


@pytest.fixture
def board(tmp_path: Path) -> Machine:
    return Machine(_bundle(tmp_path / "b", half=True), tmp_path / "bin", tmp_path / "cache")


@pytest.mark.parametrize("shell", SHELLS)
def test_int8_on_tensorrt_10(board: Machine, shell: str) -> None:
    notes = install(board.bin)
    done = board.build(shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    onnx, save, int8, fp16, pool, timing, skip = notes.read_text().splitlines()
    assert onnx == f"--onnx={board.bundle.graph_path}"
    assert (int8, fp16, skip) == ("--int8", "--fp16", "--skipInference")
    assert pool == "--memPoolSize=workspace:952"  # an eighth of a board that has 7620 MiB
    timings = Path(timing.removeprefix("--timingCacheFile="))
    assert timings.is_file()
    assert timings.name == "Orin-nvgpu--trt10.3.0.timing"
    assert save.startswith(f"--saveEngine={board.folder}/.build.")
    [plan] = board.folder.glob("*.plan")
    assert plan.name == "Orin-nvgpu--trt10.3.0.plan"
    assert plan.read_text() == f"PLAN 100300 {board.bundle.graph_path}\n"
    assert board.record() == {
        "format": 1,
        "bundle": "b",
        "model_sha256": sha256_of(board.bundle.graph_path),
        "graph": "model.onnx",
        "graph_sha256": sha256_of(board.bundle.graph_path),
        "plan_sha256": sha256_of(plan),
        "options": "--int8 --fp16",
        "workspace_mib": 952,
        "tensorrt": "10.3.0",
        "gpu": "Orin",
        "compute_capability": "8.7",
        "multiprocessors": "8",
    }
    assert f"s2d-edge selftest '{board.bundle.path}' --device tensorrt" in done.stdout
    assert {file.suffix for file in board.folder.iterdir()} == {
        ".plan",
        ".json",
    }  # nothing of the work is left
    open_bundle(board.bundle.path)  # as it was


def test_paths_with_spaces_and_quotes(machine: Machine) -> None:
    notes = install(machine.bin)
    # A quote in the path of the notes ends the string it stands in; the script under test has no such place.
    if "'" in str(notes):
        text = (machine.bin / "trtexec").read_text().replace(f"'{notes}'", '"${0%/*}/arguments"')
        (machine.bin / "trtexec").write_text(text)
    done = machine.build()
    assert (done.returncode, done.stderr) == (0, "")
    assert notes.read_text().splitlines()[0] == f"--onnx={machine.bundle.graph_path}"
    assert machine.record()["tensorrt"] == "10.3.0"


def test_int8_on_tensorrt_11_takes_the_types_of_the_other_graph(board: Machine) -> None:
    notes = install(board.bin, number=110400)
    assert board.build().returncode == 0
    arguments = notes.read_text().splitlines()
    assert arguments[0] == f"--onnx={board.bundle.path}/model_fp16.onnx"
    assert "--stronglyTyped" in arguments
    assert not {"--int8", "--fp16"} & set(arguments)
    record = board.record()
    assert (record["graph"], record["tensorrt"]) == ("model_fp16.onnx", "11.4.0")
    assert record["graph_sha256"] == sha256_of(board.bundle.path / "model_fp16.onnx")
    assert record["model_sha256"] == sha256_of(board.bundle.graph_path)


@pytest.mark.parametrize(
    ("number", "options"), [(100300, "--fp16"), (8602, "--fp16"), (110000, "--stronglyTyped")]
)
def test_full_precision(tmp_path: Path, number: int, options: str) -> None:
    board = Machine(_bundle(tmp_path / "b", half=False), tmp_path / "bin", tmp_path / "cache")
    install(board.bin, number=number)
    assert board.build().returncode == 0
    assert (board.record()["graph"], board.record()["options"]) == ("model.onnx", options)


def test_a_second_run_builds_nothing_unless_forced_or_damaged(board: Machine) -> None:
    notes = install(board.bin)
    board.build()
    [plan] = board.folder.glob("*.plan")
    notes.unlink()
    again = board.build()
    assert (again.returncode, notes.exists()) == (0, False)
    assert f"TensorRT 10.3.0: {plan}" in again.stdout
    assert "s2d-edge selftest" in again.stdout
    assert board.build("--force").returncode == 0
    assert notes.exists()
    notes.unlink()
    plan.write_text("half a plan")
    mended = board.build()
    assert "not what its record says" in mended.stdout
    assert notes.exists()
    assert board.record()["plan_sha256"] == sha256_of(plan)
    # Another TensorRT has another plan beside the first.
    install(board.bin, number=100700)
    assert board.build().returncode == 0
    assert len(list(board.folder.glob("*.plan"))) == 2


def test_a_failing_build_keeps_the_old_plan_and_the_log(board: Machine) -> None:
    install(board.bin)
    board.build()
    before = board.record()
    install(board.bin, code=3)
    done = board.build("--force")
    assert done.returncode == 1
    assert "error: trtexec " in done.stderr
    assert "WORKSPACE_MIB below 952" in done.stderr
    [log] = board.folder.glob("*.log")
    assert "insufficient workspace" in log.read_text()
    assert board.record() == before
    assert not list(board.folder.glob(".build*"))


@pytest.mark.parametrize(
    ("number", "version", "said"),
    [(8502, "8.5.2", "JetPack 6"), (7103, "7.1.3", "8.6")],
)
def test_an_old_tensorrt_is_refused(board: Machine, number: int, version: str, said: str) -> None:
    notes = install(board.bin, number=number)
    done = board.build()
    assert done.returncode == 1
    assert f"TensorRT {version} " in done.stderr
    assert said in done.stderr
    assert not notes.exists()


def test_no_trtexec_and_one_that_is_none(board: Machine) -> None:
    board.bin.mkdir()
    absent = board.build()
    assert absent.returncode == 1
    assert "no trtexec" in absent.stderr
    other = board.bin / "other"
    other.write_text(
        "#!/bin/sh\necho 'error while loading shared libraries: libnvinfer.so.10' >&2\nexit 127\n"
    )
    other.chmod(0o755)
    assert f"{other} " in board.build(TRTEXEC=str(other)).stderr
    assert "bin/nowhere " in board.build(TRTEXEC=str(board.bin / "nowhere")).stderr
    assert not board.cache.exists()


def test_the_environment_decides(board: Machine) -> None:
    notes = install(board.bin.parent / "elsewhere", memory="[N/A]")
    done = board.build(
        TRTEXEC=str(notes.parent / "trtexec"), WORKSPACE_MIB="512", S2D_EDGE_CACHE="", XDG_CACHE_HOME=""
    )
    assert done.returncode == 0
    assert "--memPoolSize=workspace:512" in notes.read_text().splitlines()
    assert list((board.bin.parent / ".cache/s2d-edge/plans").glob("*/*.plan"))
    refused = board.build(TRTEXEC=str(notes.parent / "trtexec"), WORKSPACE_MIB="1 GB")
    assert "WORKSPACE_MIB=1 GB" in refused.stderr


def test_a_wrong_argument_and_help(board: Machine) -> None:
    assert "--fast " in board.build("--fast").stderr
    text = board.build("--help").stdout
    assert "WORKSPACE_MIB" in text
    assert "set -eu" not in text


def test_damaged_graphs_are_refused(board: Machine) -> None:
    install(board.bin, number=110000)
    (board.bundle.path / "model_fp16.onnx").write_bytes(b"half of it")
    assert "model_fp16.onnx was altered or damaged" in board.build().stderr
    board.bundle.graph_path.write_bytes(b"half of it")
    assert "model.onnx was altered or damaged" in board.build().stderr
    board.bundle.graph_path.unlink()
    assert "model.onnx is missing" in board.build().stderr


def test_a_read_only_bundle_and_a_cache_that_cannot_be_written(board: Machine) -> None:
    install(board.bin)
    before = sorted(board.bundle.path.iterdir())
    board.bundle.path.chmod(0o555)
    try:
        assert board.build().returncode == 0
    finally:
        board.bundle.path.chmod(0o755)
    assert sorted(board.bundle.path.iterdir()) == before
    blocked = board.bin.parent / "file"
    blocked.touch()
    done = board.build(S2D_EDGE_CACHE=str(blocked))
    assert done.returncode == 1
    assert "S2D_EDGE_CACHE" in done.stderr


def test_a_bundle_s_name_can_do_no_harm(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "b", graph="model.onnx", target="jetson")
    write_build_script(made.path, "a'$(touch owned)\"; \\x", "fp32")
    seal(made.path, made.manifest)
    board = Machine(open_bundle(made.path), tmp_path / "bin", tmp_path / "cache")
    install(board.bin)
    assert board.build().returncode == 0
    assert board.record()["bundle"] == "atouch owned x"
    assert os.access(made.path / "build_engine.sh", os.X_OK)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(board: Machine, number: signal.Signals) -> None:
    install(board.bin)
    slow = board.bin / "trtexec"
    slow.write_text(slow.read_text().replace("if [ 0 -ne 0 ]", "sleep 60\nif [ 0 -ne 0 ]"))
    script = ["sh", str(board.bundle.path / "build_engine.sh")]
    environment = {"PATH": f"{board.bin}:/usr/bin:/bin", "S2D_EDGE_CACHE": str(board.cache)}
    # A shell cannot trap what was ignored when it began, as Ctrl-C is for whatever runs in the background.
    before = signal.signal(number, signal.default_int_handler)
    try:
        process = subprocess.Popen(script, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    finally:
        signal.signal(number, before)
    with process:
        assert process.stdout is not None
        while b"SMs" not in process.stdout.readline():
            pass
        os.killpg(process.pid, number)
    assert process.returncode == 128 + number
    assert list(board.folder.iterdir()) == []
