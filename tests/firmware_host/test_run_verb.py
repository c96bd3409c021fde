"""The verb ``run``: its options, its refusals, and a real clip from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import BundleError, ConfigError
from s2d_edge.firmware_host.live import run_live
from s2d_edge.media.video import probe_video, read_video
from tests.firmware_host.live import QUIET, RED
from tests.pictures import plain, with_square, write_video


def s2d_edge(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s2d_edge", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DISPLAY": ""},
    )


@pytest.mark.slow(seconds=3)
def test_refusals_are_one_sentence_on_stderr(bundle: Bundle, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video\n")
    named = ("--bundle", str(bundle.path))
    for arguments, message in (
        (("--camera", "99", *named), "camera 99 cannot be opened"),
        (("--source", str(text), *named), "is not a video"),
        (("--source", "x", "--camera", "0", *named), "choose one"),
        (("--show", *named), "--show needs a display"),
    ):
        done = s2d_edge("run", *arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_arguments_out_of_range_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"source": -1}, "-1"),
        ({"max_seconds": 0.0}, "--max-seconds"),
        ({"save": Path("out.avi")}, "--save"),
    ]
    for arguments, named in wrong:
        with pytest.raises(ConfigError, match=named):
            run_live(QUIET, **arguments)


def test_an_output_over_the_source_is_refused(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [with_square(RED)] * 4, code="mp4v")
    before = clip.read_bytes()
    (tmp_path / "link.mp4").symlink_to(clip)
    (tmp_path / "hard.mp4").hardlink_to(clip)
    (tmp_path / "away").symlink_to(tmp_path)
    for name in ("clip.mp4", "link.mp4", "hard.mp4", "away/clip.mp4", "nowhere/../clip.mp4"):
        for source in (clip, str(clip)):
            with pytest.raises(ConfigError, match="--save"):
                run_live(QUIET, source=source, save=tmp_path / name)
            with pytest.raises(ConfigError, match="--json"):
                run_live(QUIET, source=source, json=str(tmp_path / name))
    with pytest.raises(ConfigError, match="--json"):
        run_live(QUIET, source=clip, save=tmp_path / "out.mp4", json=str(tmp_path / "away" / "out.mp4"))
    assert clip.read_bytes() == before


@pytest.mark.usefixtures("no_starter")
def test_run_folder_and_missing_bundle_say_what_to_do(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 4)
    with pytest.raises(BundleError, match="s2d-edge export"):
        run_live(QUIET, source=clip, bundles=tmp_path / "bundles")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    with pytest.raises(BundleError, match="run"):
        run_live(QUIET, source=clip, bundle=tmp_path / "run")


@pytest.mark.slow(seconds=3)
def test_real_clip_from_end_to_end(bundle: Bundle, shared_data: Path, tmp_path: Path) -> None:
    """FaceMesh, the newest bundle, an annotated video, and JSON alone on stdout."""
    (tmp_path / "bundles").symlink_to(bundle.path.parent)
    clip = shared_data / "clips/d0.mp4"
    done = s2d_edge("run", "--source", str(clip), "--save", "out.mp4", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == 28  # 78 frames at 25 per second: 31 samples at 10, 28 windows of four
    assert "a face in 100.0%" in done.stderr
    assert "OpenVINO" in done.stderr
    assert probe_video(tmp_path / "out.mp4").frames == probe_video(clip).frames
    _, last = list(read_video(tmp_path / "out.mp4"))[-1]
    _, plain_last = list(read_video(clip))[-1]
    beside = cv2.absdiff(last[:, : plain_last.shape[1]], plain_last)
    assert beside[-40:].mean() < 6  # below the face, the picture is the source's


BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnx", "nncf"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""


@pytest.mark.slow(seconds=3)
def test_host_needs_no_training_packages(bundle: Bundle, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "nobody.avi", [plain((0, 0, 0))] * 4, fps=10)
    for code, arguments, wanted in (
        ("import firmware_host, s2d_edge.firmware_host.live; print('imported')", [], "imported"),
        ("from s2d_edge.verbs.main import main; main()", ["run", "--help"], "--camera"),
        (
            "from s2d_edge.verbs.main import main; main()",
            ["run", "--bundle", str(bundle.path), "--source", str(clip)],
            "no face was found in any of the 4 frames",
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED + code, *arguments], capture_output=True, text=True, check=False
        )
        assert wanted in done.stdout + done.stderr
    blocked = subprocess.run(
        [sys.executable, "-c", BLOCKED + "import onnx"], capture_output=True, text=True, check=False
    )
    assert "No module named 'onnx'" in blocked.stderr
