"""The whole host on files and cameras: what it answers, keeps, loses, and refuses."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export.command import ExportOptions, export_run
from firmware_host.engines import open_engine
from firmware_host.live import LiveOptions, LiveSummary, run_live, stream
from firmware_host.messages import PipelineConfig
from firmware_host.pipeline import Pipeline
from firmware_host.results import LiveResult
from firmware_host.sources import FileSource, Frame, Source, SourceState
from s2d_edge.bundle import Bundle, open_bundle
from s2d_edge.console import Console
from s2d_edge.engine import Clip, Engine, Logits
from s2d_edge.errors import BundleError, ConfigError, DeviceError, MediaError
from s2d_edge.face import Face, FaceDetector
from s2d_edge.preprocess import Picture
from s2d_edge.sampling import ClipSpec
from s2d_edge.video import probe_video, read_video
from tests.firmware_host.graphs import LABELS, make_bundle
from tests.models import CAUSAL, write_random_run
from tests.pictures import SquareDetector, plain, with_square, write_video

RED, BLUE = (220, 20, 20), (20, 20, 220)
QUIET = Console(quiet=True)
RAW = PipelineConfig(smooth_s=0.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """T = 4 at 10 frames per second; answers the strongest colour."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "colours")


def play(
    bundle: Bundle,
    source: Source,
    *,
    detector: FaceDetector | None = None,
    console: Console = QUIET,
    **options: Any,
) -> LiveSummary:
    with open_engine(bundle, "cpu") as engine:
        return stream(
            source=source,
            detector=detector or SquareDetector(),
            engine=engine,
            recipe=bundle.manifest.crop,
            options=LiveOptions(**({"pipeline": RAW} | options)),
            console=console,
        )


def results_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- files


def test_file_is_answered_completely_and_in_order(bundle: Bundle, tmp_path: Path) -> None:
    frames = [with_square(RED)] * 30 + [with_square(BLUE, x=34)] * 30
    clip = write_video(tmp_path / "clip.avi", frames, fps=20)
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    summary = play(bundle, FileSource(clip), json=str(out), save=video)
    results = results_in(out)
    # 60 frames at 20 per second are 30 samples at 10: 27 windows of four.
    assert len(results) == summary.counts.results == 27
    np.testing.assert_allclose([each["t_s"] for each in results], 0.3 + 0.1 * np.arange(27), atol=1e-3)
    assert [each["frame"] for each in results] == list(range(6, 60, 2))
    assert {each["label"] for each in results[:10]} == {"red"}
    assert {each["label"] for each in results[-10:]} == {"blue"}
    for each in results:
        assert tuple(each["probabilities"]) == LABELS
        assert sum(each["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert each["face"][2:] == pytest.approx([40, 40], abs=3)
        assert each["dropped"] == 0
    assert (summary.counts.frames, summary.counts.with_face, summary.exit_code) == (60, 60, 0)
    assert (probe_video(video).fps, probe_video(video).frames) == (20.0, 60)
    assert video.stat().st_size > 0


def test_the_same_file_gives_the_same_video(bundle: Bundle, tmp_path: Path) -> None:
    """Each frame carries its own answer, however the threads run."""
    frames = [with_square(RED)] * 12 + [with_square(BLUE)] * 12
    clip = write_video(tmp_path / "clip.avi", frames, fps=10)
    for name in ("a.mp4", "b.mp4"):
        play(bundle, FileSource(clip), save=tmp_path / name)
    for (_, one), (_, other) in zip(
        read_video(tmp_path / "a.mp4"), read_video(tmp_path / "b.mp4"), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_stride_and_smoothing(bundle: Bundle, tmp_path: Path) -> None:
    frames = [with_square(RED)] * 12 + [with_square(BLUE)] * 12
    clip = write_video(tmp_path / "clip.avi", frames, fps=10)
    play(
        bundle,
        FileSource(clip),
        json=str(tmp_path / "out"),
        pipeline=PipelineConfig(stride=3, smooth_s=5.0),
    )
    results = results_in(tmp_path / "out")
    assert [each["frame"] for each in results] == [3, 6, 9, 12, 15, 18, 21]
    assert results[-1]["logits"][2] > results[-1]["logits"][0]  # the clip is blue,
    assert results[-1]["label"] == "red"  # but blue is too new to outweigh what came before


def test_short_file_repeats_frames_and_says_so(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(tmp_path / "short.avi", [with_square(BLUE)] * 4, fps=20)
    summary = play(bundle, FileSource(clip), json=str(tmp_path / "out"), console=Console(quiet=True))
    (result,) = results_in(tmp_path / "out")
    assert result["label"] == "blue"
    assert summary.repeated_frames
    assert "frames were repeated" in capsys.readouterr().err


def test_gap_without_a_face_empties_the_window(bundle: Bundle, tmp_path: Path) -> None:
    """Answers never mix what was before a long gap with what comes after it."""
    nobody = plain((0, 0, 0))
    frames = [with_square(RED)] * 8 + [nobody] * 8 + [with_square(BLUE)] * 8
    clip = write_video(tmp_path / "gap.avi", frames, fps=10)
    play(bundle, FileSource(clip), json=str(tmp_path / "out"))
    results = results_in(tmp_path / "out")
    assert [each["frame"] for each in results] == [3, 4, 5, 6, 7, 19, 20, 21, 22, 23]
    assert [each["label"] for each in results] == ["red"] * 5 + ["blue"] * 5
    assert abs(results[5]["logits"][0]) < 4  # no red is left in it


def test_another_person_empties_the_window(bundle: Bundle, tmp_path: Path) -> None:
    frames = [with_square(RED, x=0, side=30)] * 6 + [with_square(BLUE, x=60, side=30)] * 6
    clip = write_video(tmp_path / "two.avi", frames, fps=10)
    play(bundle, FileSource(clip), json=str(tmp_path / "out"))
    assert [each["frame"] for each in results_in(tmp_path / "out")] == [3, 4, 5, 9, 10, 11]


def side_by_side(left: Picture, right: Picture) -> Picture:
    return np.ascontiguousarray(np.concatenate([left, right], axis=1))


def by_track(path: Path) -> dict[int, list[dict[str, Any]]]:
    tracks: dict[int, list[dict[str, Any]]] = {}
    for each in results_in(path):
        tracks.setdefault(each["track"], []).append(each)
    return tracks


TWO = PipelineConfig(smooth_s=0.2, max_faces=2)


@pytest.mark.parametrize("mode", ["window", "stream"])
def test_two_faces_answer_as_each_alone(mode: str, tmp_path: Path) -> None:
    """In one picture they share neither the past nor the smoothing."""
    write_random_run(tmp_path / "run", CAUSAL)
    options = ExportOptions(target="intel-cpu", mode=mode, run=tmp_path / "run", out=tmp_path / mode)
    causal = open_bundle(export_run(options, QUIET))
    rng = np.random.default_rng(0)
    colours = rng.integers(90, 256, (2, 12, 3)).tolist()
    left, right = ([with_square(colour) for colour in each] for each in colours)
    nobody = plain((0, 0, 0))
    left[8] = nobody  # gone for a moment, while the other stays
    clips = {
        "left": [side_by_side(each, nobody) for each in left],
        "right": [side_by_side(nobody, each) for each in right],
        "both": [side_by_side(*each) for each in zip(left, right, strict=True)],
    }
    found = {}
    for name, frames in clips.items():
        clip = write_video(tmp_path / f"{name}.avi", frames, fps=causal.manifest.spec.fps)
        play(causal, FileSource(clip), json=str(tmp_path / name), pipeline=TWO)
        found[name] = by_track(tmp_path / name)
    assert list(found["left"]) == list(found["right"]) == [1]
    assert list(found["both"]) == [1, 2]
    one, other = (found["both"][track] for track in (1, 2))
    if one[0]["face"][0] > 96:
        one, other = other, one
    for together, alone in ((one, found["left"][1]), (other, found["right"][1])):
        assert len(together) == len(alone) > 5
        for each, wanted in zip(together, alone, strict=True):
            assert each["frame"] == wanted["frame"]
            np.testing.assert_allclose(each["logits"], wanted["logits"], atol=2e-2)  # MJPG blurs a little
            assert each.get("warming") == wanted.get("warming")
            assert each["label"] == wanted["label"]
    assert not np.allclose(one[-1]["logits"], other[-1]["logits"], atol=0.1)


def test_two_real_faces_are_told_apart(bundle: Bundle, shared_data: Path, tmp_path: Path) -> None:
    clips = [read_video(shared_data / "clips" / f"{name}.mp4") for name in ("d18", "d9")]
    frames = [
        side_by_side(*(cv2.resize(picture, (320, 320)) for _, picture in pair))
        for pair in itertools.islice(zip(*clips, strict=False), 40)
    ]
    clip = write_video(tmp_path / "two.avi", frames, fps=25)
    out = tmp_path / "out.jsonl"
    run_live(
        LiveOptions(
            bundle=bundle.path, source=str(clip), json=str(out), save=tmp_path / "two.mp4", pipeline=TWO
        ),
        QUIET,
    )
    tracks = by_track(out)
    assert len(tracks) == 2
    sides = [{each["face"][0] + each["face"][2] / 2 > 320 for each in results} for results in tracks.values()]
    assert sorted(map(sorted, sides)) == [[False], [True]]  # each stays on its side
    assert min(map(len, tracks.values())) >= 10


def test_file_without_a_face_is_an_error_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "nobody.avi", [plain((0, 0, 0))] * 12, fps=10)
    with pytest.raises(MediaError, match="no face was found in any of the 12 frames"):
        play(bundle, FileSource(clip), json=str(tmp_path / "out"), save=tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["nobody.avi"]


def test_truncated_file_is_an_error_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [with_square(RED) | rng.integers(0, 32, (64, 96, 3), dtype=np.uint8) for _ in range(60)]
    clip = write_video(tmp_path / "cut.avi", frames, fps=10)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match="cut short"):
        play(bundle, FileSource(clip), json=str(tmp_path / "out"), save=tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["cut.avi"]


def test_disk_that_fills_up_while_saving(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 60, fps=10)
    free = iter([1 << 30, 1 << 30])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": next(free, 1000)})())
    with pytest.raises(MediaError, match="the disk is full"):
        play(bundle, FileSource(clip), json=str(tmp_path / "out"), save=tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.avi"]


def test_failing_model_ends_everything(tmp_path: Path) -> None:
    broken = make_bundle(tmp_path / "b", weights=np.full((3, 3), np.nan, np.float32))
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 200, fps=10)
    with pytest.raises(DeviceError, match="not finite"):
        play(broken, FileSource(clip), save=tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


# ---- live


class FakeCamera:
    """Frames at a steady pace, whoever is ready for them."""

    live = True
    fps: float | None = 50.0
    name = "fake camera"

    def __init__(self, frames: int, every_s: float = 0.02) -> None:
        self.state = SourceState.OPENING
        self._frames = frames
        self._every_s = every_s
        self._stopped = threading.Event()

    def frames(self) -> Iterator[Frame]:
        self.state = SourceState.PLAYING
        start_s = time.perf_counter()
        for index in range(self._frames):
            if self._stopped.wait(max(start_s + index * self._every_s - time.perf_counter(), 0)):
                break
            yield Frame(index, index * self._every_s, with_square(RED), time.perf_counter())
        self.state = SourceState.ENDED

    def stop(self) -> None:
        self._stopped.set()


class SlowDetector(SquareDetector):
    """A face search slower than the camera."""

    def find(self, frame: Picture) -> list[Face]:
        time.sleep(0.06)
        return super().find(frame)


class SlowEngine:
    """Wraps an engine so that it is slower than the samples."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner

    @property
    def spec(self) -> ClipSpec:
        return self._inner.spec

    @property
    def labels(self) -> tuple[str, ...]:
        return self._inner.labels

    @property
    def description(self) -> str:
        return self._inner.description

    def infer(self, clip: Clip) -> Logits:
        time.sleep(0.35)
        return self._inner.infer(clip)

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exit_info: object) -> None:
        self.close()


def test_slow_face_search_drops_frames_but_records_them_all(bundle: Bundle, tmp_path: Path) -> None:
    summary = play(bundle, FakeCamera(80), detector=SlowDetector(), save=tmp_path / "out.mp4")
    counts = summary.counts
    assert counts.frames == 80
    assert counts.dropped_frames > 10
    assert counts.analysed == counts.frames - counts.dropped_frames
    assert probe_video(tmp_path / "out.mp4").frames == 80
    assert probe_video(tmp_path / "out.mp4").fps == pytest.approx(50, rel=0.1)  # measured


def test_slow_model_drops_clips_and_says_how_many(bundle: Bundle) -> None:
    results: list[LiveResult] = []
    with SlowEngine(open_engine(bundle, "cpu")) as engine:
        pipeline = Pipeline(
            source=FakeCamera(100),
            detector=SquareDetector(),
            engine=engine,
            recipe=bundle.manifest.crop,
            config=RAW,
            on_result=results.append,
        )
        pipeline.start()
        pipeline.join()
        counts = pipeline.glimpse().counts
    assert counts.dropped_clips > 2
    assert counts.results == len(results)
    assert results[-1].dropped_clips == counts.dropped_clips
    assert counts.results + counts.dropped_clips <= 17  # 20 samples are 17 windows


def test_time_limit_ends_a_camera(bundle: Bundle, tmp_path: Path) -> None:
    summary = play(bundle, FakeCamera(100_000), max_seconds=0.8, json=str(tmp_path / "out"))
    assert "--max-seconds" in summary.ended_by
    assert summary.exit_code == 0
    assert summary.seconds < 60  # not the half hour the frames would take
    assert results_in(tmp_path / "out")


SIGNALLED = """
import sys
import time
from pathlib import Path
from firmware_host.live import LiveOptions, stream
from firmware_host.engines import open_engine
from firmware_host.sources import FileSource
from s2d_edge.bundle import open_bundle
from s2d_edge.console import Console
from tests.pictures import SquareDetector

class Slow(SquareDetector):
    def find(self, frame):
        time.sleep(0.02)
        return super().find(frame)

folder, bundle = Path(sys.argv[1]), open_bundle(Path(sys.argv[2]))
with open_engine(bundle, "cpu") as engine:
    sys.exit(stream(
        source=FileSource(folder / "long.avi"), detector=Slow(), engine=engine,
        recipe=bundle.manifest.crop, console=Console(),
        options=LiveOptions(json=sys.argv[3], save=folder / "out.mp4"),
    ).exit_code)
"""


@pytest.mark.parametrize(("number", "json_to"), [(signal.SIGINT, "-"), (signal.SIGTERM, "out.jsonl")])
def test_signal_keeps_what_was_done(
    bundle: Bundle, tmp_path: Path, number: signal.Signals, json_to: str
) -> None:
    write_video(tmp_path / "long.avi", [with_square(RED)] * 1500, fps=20)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SIGNALLED,
            str(tmp_path),
            str(bundle.path),
            json_to.replace("out", f"{tmp_path}/out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline() if json_to == "-" else process.stderr.readline()
    assert first
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"ended by {number.name}" in err
    lines = (
        (first + out).splitlines() if json_to == "-" else (tmp_path / "out.jsonl").read_text().splitlines()
    )
    assert lines
    assert all(json.loads(line)["label"] == "red" for line in lines)
    written = probe_video(tmp_path / "out.mp4").frames
    assert 0 < written < 1500
    assert len(list(read_video(tmp_path / "out.mp4"))) == written


# ---- the verb


def s2d_edge(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s2d_edge.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DISPLAY": ""},
    )


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


def test_options_check_themselves() -> None:
    for wrong in ({"camera": -1}, {"max_seconds": 0.0}, {"save": Path("out.avi")}):
        with pytest.raises(ConfigError, match="--"):
            LiveOptions(**wrong)
    assert "s3cret" not in repr(LiveOptions(source="rtsp://me:s3cret@host/"))


def test_run_folder_and_missing_bundle_say_what_to_do(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 4)
    with pytest.raises(BundleError, match="s2d-edge export"):
        run_live(LiveOptions(source=str(clip), bundles=tmp_path / "bundles"), QUIET)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    with pytest.raises(BundleError, match="is a run folder"):
        run_live(LiveOptions(source=str(clip), bundle=tmp_path / "run"), QUIET)


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


def test_host_needs_no_training_packages(bundle: Bundle, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "nobody.avi", [plain((0, 0, 0))] * 4, fps=10)
    for code, arguments, wanted in (
        ("import firmware_host, firmware_host.live; print('imported')", [], "imported"),
        ("from s2d_edge.cli import main; main()", ["run", "--help"], "--camera"),
        (
            "from s2d_edge.cli import main; main()",
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
