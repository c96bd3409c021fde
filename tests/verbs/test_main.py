"""Errors, exit codes and signals of the command line: one sentence, whatever goes wrong."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from s2d_edge.__main__ import main as begin
from s2d_edge.core import errors
from s2d_edge.data import avatars
from tests.firmware_host.graphs import make_bundle
from tests.models import write_random_run
from tests.processes import environment, wait_until
from tests.verbs.command import BLOCK_TRAINING, run, s2d_edge

Fails = Callable[..., None]


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Assert that a command ends with 1, one sentence on stderr with these words, and no file written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))

    def check(arguments: Sequence[str], *words: str) -> None:
        before = _files(tmp_path)
        assert run(*arguments) == 1
        out, err = capsys.readouterr()
        last = err.strip().splitlines()[-1]
        assert out == ""
        assert last.startswith("error: "), err
        assert "Traceback" not in err
        for word in words:
            assert word in last
        assert _files(tmp_path) == before

    return check


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "cache" not in path.parts}


def test_a_device_runs_clips_live_without_the_training_packages() -> None:
    program = BLOCK_TRAINING + "import s2d_edge.firmware_host.live, s2d_edge.firmware_host.engines"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow(seconds=2)
def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    done = s2d_edge("export", "--target", "jetson", cwd=tmp_path, code=BLOCK_TRAINING)
    assert done.returncode == 1
    assert "pip install 's2d-edge[train]'" in done.stderr


def test_deploy_needs_no_more_than_a_device_has(tmp_path: Path) -> None:
    make_bundle(tmp_path / "faces", graph="model.onnx", target="jetson")
    done = s2d_edge("deploy", "faces", "--to", "triton", cwd=tmp_path, code=BLOCK_TRAINING)
    assert done.returncode == 0, done.stderr
    assert "deploy/faces-triton" in done.stderr
    assert (tmp_path / "deploy/faces-triton/onnxruntime/faces/1/model.onnx").is_file()


@pytest.mark.usefixtures("no_starter")
def test_without_any_model_the_error_says_what_to_make_first(fails: Fails) -> None:
    fails(("export", "--target", "jetson"), "s2d-edge train")
    fails(("benchmark",), "bundles/", "s2d-edge export")


def test_paths_that_cannot_be_read(tmp_path: Path, fails: Fails) -> None:
    bundle = str(make_bundle(tmp_path / "bundle").path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "no-label.csv").write_text("path,split\na.mp4,test\n")
    fails(("predict", bundle, "absent.mp4"), "absent.mp4")
    fails(("predict", bundle, "text.mp4"), "text.mp4")
    fails(("predict", bundle, "zero.mp4"), "zero.mp4")
    fails(("predict", bundle, "empty"), "empty")
    fails(("evaluate", bundle, "--data", "no-label.csv"), "no-label.csv", "label")
    fails(("evaluate", bundle, "--data", "empty"), "empty")
    fails(("deploy", bundle, "--to", "triton"), "--to triton", "model.xml")


def test_an_output_over_an_input_is_refused(tmp_path: Path, fails: Fails) -> None:
    for name in ("a.mp4", "labels.csv"):
        (tmp_path / name).write_text("precious")
    (tmp_path / "link").symlink_to("a.mp4")
    fails(("predict", "starter", "a.mp4", "--json", "link"), "--json", "a.mp4")
    fails(("predict", "starter", "a.mp4", "--every", "1", "--json", "./a.mp4"), "--json", "a.mp4")
    for verb in (("evaluate", "starter", "--data"), ("data", "check"), ("calibrate", "--data")):
        fails((*verb, "labels.csv", "--json", "labels.csv"), "--json", "labels.csv")
    assert (tmp_path / "a.mp4").read_text() == (tmp_path / "labels.csv").read_text() == "precious"


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "starter", "--json"),
        ("predict", "starter", "a.mp4", "--json"),
        ("calibrate", "--json"),
        ("benchmark", "--json"),
        ("doctor", "--json"),
        ("data", "check", "avatars", "--json"),
        ("data", "check", "avatars", "--out"),
        ("compare", "starter", "--out"),
        ("predict", "starter", "a.mp4", "--every", "1", "--plot"),
    ],
)
def test_an_output_that_could_not_be_written_is_refused_before_the_work(
    tmp_path: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    option = words[-1]
    ending = {"--json": "json", "--plot": "png", "--out": "md" if "compare" in words else "png"}[option]
    (tmp_path / "file").touch()
    (tmp_path / f"folder.{ending}").mkdir()
    fails((*words, f"file/x.{ending}"), option, "file")
    if option != "--out" or "compare" in words:  # a picture of the class balance replaces nothing
        fails((*words, f"folder.{ending}"), option, f"folder.{ending}")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # a read-only mount, also for root
    fails((*words, f"new/x.{ending}"), option, f"x.{ending}")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", tmp_path / f"folder.{ending}"]


def test_values_out_of_range_are_named_with_their_option(tmp_path: Path, fails: Fails) -> None:
    write_random_run(tmp_path / "run")
    bundle = str(make_bundle(tmp_path / "bundle").path)
    (tmp_path / "bundles").mkdir()
    fails(("export", "run", "--target", "toaster"), "toaster", "jetson")
    fails(("run", "--bundle", bundle, "--camera", "99"), "99")
    fails(("benchmark", bundle, "--rounds", "0"), "--rounds 0")
    fails(("benchmark", bundle, "--against", "torch"), "runs/")
    fails(("benchmark", bundle, "--profile", "--against", "torch"), "--against")
    fails(("calibrate", bundle, "--split", "test"), "--split", "--eval-split")
    fails(("calibrate", bundle, "--tune-steps", "5"), "--run")
    fails(("compare", bundle, "--out", "table.txt"), "table.txt", ".md")
    fails(("data", "check", "avatars", "--frames", "0"), "--frames 0")
    for fps in ("0", "inf", "nan", "1000"):
        fails(("data", "check", "avatars", "--fps", fps), f"--fps {float(fps)}")
    fails(("data", "check", "avatars", "--out", "balance.jpg"), "balance.jpg")
    (tmp_path / "run" / "weights.safetensors").unlink()
    fails(("export", "run", "--target", "cpu"), "weights.safetensors")


def test_an_unknown_option_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "--colour", "red") == 2
    assert "--colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "named"),
    [
        (errors.DataError("broken"), 1, "broken"),
        (OSError("broken"), 1, "broken"),
        (ModuleNotFoundError("broken", name="nncf"), 1, "nncf"),
        (ImportError("libGL.so.1: cannot open shared object file: No such file or directory"), 1, "libgl1"),
        (ImportError("libx-2.so: cannot open shared object file: No such file or directory"), 1, "libx-2.so"),
        (OSError("libgomp.so.1: cannot open shared object file: No such file or directory"), 1, "libgomp1"),
        (ImportError("of cv2 failed: libGL.so.1: cannot open shared object file: No such"), 1, "libgl1"),
        (ImportError("cannot import name 'broken'"), 70, "--debug"),
        (ZeroDivisionError("broken"), 70, "--debug"),
        (KeyboardInterrupt(), 130, None),
    ],
)
def test_errors_of_a_verb_become_exit_codes(
    error: BaseException,
    code: int,
    named: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(avatars, "write_avatars", fail)
    assert run("data", "avatars", "faces") == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    if named is not None:
        assert named in err
        assert (err.startswith("error: "), err.count("\n")) == (True, 1)


def test_debug_shows_where_it_went_wrong(tmp_path: Path) -> None:
    done = s2d_edge("predict", "starter", "absent.mp4", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: absent.mp4")


@pytest.mark.slow(seconds=1)
@pytest.mark.parametrize(
    ("redirections", "code"),
    [
        (">&- 2>&-", 1),
        ("2>&-", 0),
        ("<&-", 0),
        (">&-", 1),
        (">/dev/full", 1),
        ("2>/dev/full", 0),
    ],
)
def test_standard_files_that_are_closed_or_full(tmp_path: Path, redirections: str, code: int) -> None:
    make_bundle(tmp_path / "bundle")
    verb = f"{shlex.quote(sys.executable)} -m s2d_edge lint bundle --json -"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {verb} {redirections}"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow(seconds=5)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_verb_that_is_ended_leaves_nothing_half_made(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        # The parent may ignore them.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
        "\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)"
    )
    program += "\nfrom s2d_edge.verbs.main import main\nmain()"
    arguments = ["data", "avatars", "faces", "--clips-per-class", "5000", "--quiet"]
    with subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=tmp_path) as process:
        wait_until(lambda: list(tmp_path.glob(".faces.*/*")), process)
        process.send_signal(number)
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_the_command_line_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "s2d_edge.verbs.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "s2d_edge.verbs.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        begin()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
