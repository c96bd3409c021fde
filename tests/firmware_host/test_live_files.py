"""Live runs on files: results, annotated video, and errors that leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DeviceError, MediaError
from s2d_edge.firmware_host import live
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.media.video import probe_video, read_video
from tests.firmware_host.graphs import LABELS, make_bundle
from tests.firmware_host.live import BLUE, RED, FakeCamera, play, results_in
from tests.pictures import plain, with_square, write_video


def test_file_gives_every_result_in_order(bundle: Bundle, tmp_path: Path) -> None:
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
    """Each frame is drawn with its own result, in whatever order the threads run."""
    frames = [with_square(RED)] * 12 + [with_square(BLUE)] * 12
    clip = write_video(tmp_path / "clip.avi", frames, fps=10)
    for name in ("a.mp4", "b.mp4"):
        play(bundle, FileSource(clip), save=tmp_path / name)
    for (_, one), (_, other) in zip(
        read_video(tmp_path / "a.mp4"), read_video(tmp_path / "b.mp4"), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_the_limit_of_threads_reaches_the_engine(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Opened(Exception):
        """Ends the run where the engine is opened."""

    def note(found: Bundle, device: str, *, threads: int | None, keep: bool) -> None:
        raise Opened(threads, keep)

    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 4, fps=10)
    monkeypatch.setattr(live, "open_engine", note)
    for threads in (None, 1, 3):
        with pytest.raises(Opened) as raised:
            live.run_live(Console(quiet=True), bundle=bundle.path, source=clip, threads=threads)
        assert raised.value.args == (threads, True)


def test_stride_and_smoothing(bundle: Bundle, tmp_path: Path) -> None:
    frames = [with_square(RED)] * 12 + [with_square(BLUE)] * 12
    clip = write_video(tmp_path / "clip.avi", frames, fps=10)
    play(
        bundle,
        FileSource(clip),
        json=str(tmp_path / "out"),
        config=PipelineConfig(stride=3, smooth_s=5.0),
    )
    results = results_in(tmp_path / "out")
    assert [each["frame"] for each in results] == [3, 6, 9, 12, 15, 18, 21]
    assert results[-1]["logits"][2] > results[-1]["logits"][0]  # the clip is blue,
    assert results[-1]["label"] == "red"  # but blue is too new to outweigh the red before it


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
    """No window mixes samples from before a long gap with samples from after it."""
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


def test_file_without_a_face_is_an_error_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "nobody.avi", [plain((0, 0, 0))] * 12, fps=10)
    with pytest.raises(MediaError, match="12 frames"):
        play(bundle, FileSource(clip), json=str(tmp_path / "out"), save=tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["nobody.avi"]


def test_truncated_file_is_an_error_and_leaves_nothing(bundle: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [with_square(RED) | rng.integers(0, 32, (64, 96, 3), dtype=np.uint8) for _ in range(60)]
    clip = write_video(tmp_path / "cut.avi", frames, fps=10)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=r"cut\.avi"):
        play(bundle, FileSource(clip), json=str(tmp_path / "out"), save=tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["cut.avi"]


def test_a_disk_that_fills_up_under_the_video_leaves_the_results_whole(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 60, fps=10)
    free = iter([1 << 30, 1 << 30])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": next(free, 1000)})())
    summary = play(bundle, FileSource(clip), json=str(tmp_path / "out"), save=tmp_path / "out.mp4")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clip.avi", "out"]
    assert len(results_in(tmp_path / "out")) == summary.counts.results == 57
    assert (summary.exit_code, summary.lost_frames > 0, summary.lost_results) == (1, True, 0)
    assert "out.mp4" in capsys.readouterr().err


def test_a_file_of_which_nothing_can_be_written_ends_early(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    long = FakeCamera(1000)  # of 20 s, whose first result comes after 0.3 s
    long.live = False
    summary = play(bundle, long, json="/dev/full")
    assert summary.exit_code == 1
    assert summary.counts.frames < 1000
    assert summary.lost_results == summary.counts.results
    assert "/dev/full" in capsys.readouterr().err


def test_failing_model_ends_everything(tmp_path: Path) -> None:
    broken = make_bundle(tmp_path / "b", weights=np.full((3, 3), np.nan, np.float32))
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 200, fps=10)
    with pytest.raises(DeviceError):
        play(broken, FileSource(clip), save=tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
