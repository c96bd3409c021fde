"""``predict`` over many files and over whole videos: what each item tells, and what one bad file costs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2d_edge.core.console import json_lines
from s2d_edge.core.plots import _steps
from s2d_edge.data.preparing import clips
from tests.firmware_host.graphs import FRAMES, LABELS, make_bundle
from tests.pictures import SquareDetector, plain, with_square, write_video
from tests.shared import Shared
from tests.verbs.command import run

FPS = 10.0  # of the bundle


@pytest.fixture(scope="session")
def bundle(shared: Shared) -> Path:
    return shared.folder("predict-bundle", lambda folder: make_bundle(folder / "colours")) / "colours"


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are coloured squares."""
    monkeypatch.setattr(clips, "FaceFinder", lambda **_: SquareDetector())


def payload(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    assert run("predict", *words, "--json", "-") == code
    return json.loads(capsys.readouterr().out)


def lines(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> list[dict[str, Any]]:
    assert run("predict", *words, "--json", "-") == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_picture_without_a_face_is_told_from_the_others(
    tmp_path: Path, bundle: Path, squares: None, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(20)]
    for k, path in enumerate(paths):
        Image.fromarray(plain((0, 0, 0)) if k == 7 else with_square((200, 40, 40))).save(path)
    results = payload(capsys, bundle, *paths)["results"]
    assert [result["faces_found"] for result in results] == [int(k != 7) for k in range(20)]
    assert [result["faces_missed"] for result in results] == [int(k == 7) for k in range(20)]
    assert {(result["frames"], result["repeated"], result["pace"]) for result in results} == {(1, False, 1.0)}
    assert all((result["windows_s"], result["seconds_covered"]) == ([], None) for result in results)


def test_a_video_tells_which_part_was_looked_at(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = write_video(tmp_path / "long.avi", [plain((200, 30, 30))] * 60, fps=20.0)
    short = write_video(tmp_path / "short.avi", [plain((200, 30, 30))] * 4, fps=20.0)
    slow = write_video(tmp_path / "slow.avi", [plain((200, 30, 30))] * 12, fps=4.0)
    assert FRAMES == 4
    results = payload(capsys, bundle, long, short, slow, "--no-crop")["results"]
    assert results[0]["windows_s"] == [[0.0, 0.3], [2.6, 2.9]]
    assert [result["seconds_covered"] for result in results] == [0.6, 0.1, 1.5]
    assert [result["repeated"] for result in results] == [False, True, False]
    assert [result["pace"] for result in results] == [1.0, 1.0, 2.5]
    assert run("predict", bundle, long, "--no-crop") == 0
    assert "2.6–2.9" in capsys.readouterr().err


def test_one_unreadable_file_of_many_is_named_and_the_others_are_predicted(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths: list[object] = []
    for k in range(30):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(plain(((200, 30, 30), (30, 200, 30))[k % 2])).save(tmp_path / f"{k}.png")
    (tmp_path / "11.png").write_bytes(b"\x89PNG\r\n\x1a\nand then nothing")
    (tmp_path / "12.png").unlink()
    (tmp_path / "13.png").unlink()
    (tmp_path / "13.png").mkdir()  # an empty folder
    assert run("predict", bundle, *paths, "--no-crop", "--json", tmp_path / "out.json") == 1
    found = json.loads((tmp_path / "out.json").read_text())
    assert [Path(each["path"]).stem for each in found["unreadable"]] == ["11", "12", "13"]
    assert all(each["path"] in each["error"] for each in found["unreadable"])
    kept = [k for k in range(30) if k not in (11, 12, 13)]
    assert [Path(each["path"]).stem for each in found["results"]] == [str(k) for k in kept]
    assert [each["label"] for each in found["results"]] == [LABELS[k % 2] for k in kept]
    err = capsys.readouterr().err
    assert err.count("error: ") == 3
    assert "3 of 30" in err


@pytest.mark.slow(seconds=4)
def test_an_unreadable_file_ends_no_work_of_several_processes(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clips, "_SERIAL_BELOW", 1)
    monkeypatch.setattr(clips, "usable_cores", lambda: 2)
    for k in range(8):
        Image.fromarray(plain((30, 200, 30))).save(tmp_path / f"{k}.png")
    (tmp_path / "5.png").write_bytes(b"")
    found = payload(capsys, bundle, *sorted(tmp_path.glob("?.png")), "--no-crop", code=1)
    assert len(found["results"]) == 7
    assert "5.png" in found["unreadable"][0]["error"]


def test_every_so_many_seconds_of_a_video(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red for two seconds, then green for two, then blue."""
    colours = [(200, 30, 30)] * 40 + [(30, 200, 30)] * 40 + [(30, 30, 200)] * 40
    video = write_video(tmp_path / "clip.avi", [plain(colour) for colour in colours], fps=20.0)
    told = lines(capsys, bundle, video, "--every", "0.3", "--no-crop")
    assert [line["begin_s"] for line in told] == pytest.approx([*np.arange(19) * 0.3, 5.6])
    assert told[-1]["end_s"] == pytest.approx(5.9)
    for line in told:
        colour = int(line["begin_s"] // 2)
        if line["end_s"] < 2 * colour + 2:
            assert line["label"] == LABELS[colour]
    assert {line["path"] for line in told} == {str(video)}
    for line in told:
        assert line["windows_s"] == [[line["begin_s"], line["end_s"]]]
        assert (line["frames"], line["repeated"], line["pace"]) == (FRAMES, False, 1.0)


def test_windows_that_rest_on_little_are_warned_of(
    tmp_path: Path, bundle: Path, squares: None, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = write_video(tmp_path / "slow.avi", [with_square((200, 40, 40))] * 12, fps=4.0)
    short = write_video(tmp_path / "short.avi", [with_square((200, 40, 40))] * 2, fps=20.0)
    faceless = write_video(tmp_path / "faceless.avi", [plain((0, 0, 0))] * 20, fps=20.0)
    good = write_video(tmp_path / "good.avi", [with_square((200, 40, 40))] * 20, fps=20.0)
    assert run("predict", bundle, slow, short, faceless, good, "--every", "1", "--quiet") == 0
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 3
    for line, named in zip(warned, ("slow.avi", "short.avi", "faceless.avi"), strict=True):
        assert named in line
    assert "2.5" in warned[0]


def test_windows_before_a_fault_are_kept_and_the_next_videos_predicted(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(60)]
    cut = write_video(tmp_path / "cut.avi", noise, fps=20.0)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    good = write_video(tmp_path / "good.avi", [plain((30, 200, 30))] * 40, fps=20.0)
    picture = tmp_path / "a.png"
    Image.fromarray(plain((1, 2, 3))).save(picture)
    out = tmp_path / "out.jsonl"
    plot = tmp_path / "plot.svg"
    words = (bundle, cut, picture, good, "--every", "1", "--no-crop", "--json", out, "--plot", plot)
    assert run("predict", *words) == 1
    err = capsys.readouterr().err
    assert err.count("error: ") == 2
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["begin_s"] for line in told if line["path"] == str(cut)] == [0.0, 1.0]
    assert [line["begin_s"] for line in told if line["path"] == str(good)] == [0.0, 1.0]
    drawn = plot.read_text()
    assert "cut.avi" in drawn
    assert "a.png" not in drawn


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_of_expressions_over_time(
    tmp_path: Path, bundle: Path, squares: None, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [with_square((200, 40, 40))] * 40 + [plain((0, 0, 0))] * 40
    video = write_video(tmp_path / "a [b] $x$.avi", frames, fps=20.0)
    plot = tmp_path / f"plot{suffix}"
    assert run("predict", bundle, video, "--every", "0.5", "--plot", plot, "--quiet") == 0
    assert plot.stat().st_size > 1000
    if suffix == ".svg":
        text = plot.read_text()
        for shown in (*LABELS, "no face", "a [b] $x$.avi", "seconds"):
            assert f"<!-- {shown} -->" in text


def test_a_name_that_is_not_utf8_is_predicted_and_drawn(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_video(tmp_path / "a.avi", [plain((200, 30, 30))] * 20, fps=20.0)
    odd = video.rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/v\xff.avi")))
    plot = tmp_path / "plot.svg"
    words = ("--every", "0.5", "--no-crop", "--plot", plot, "--quiet")
    assert len(lines(capsys, bundle, odd, *words)) == 2
    assert "udcff" in plot.read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--plot", "a.png"), "--every"),
        (("--every", "1", "--plot", "a.jpg"), "a.jpg"),
        (("--every", "0"), "0"),
        (("--every", "nan"), "nan"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, bundle: Path, words: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_video(tmp_path / "clip.avi", [plain((200, 30, 30))] * 4)
    assert run("predict", bundle, video, *words, "--quiet") == 1
    err = capsys.readouterr().err
    assert named in err
    assert err.count("\n") == 1


def test_windows_meet_halfway_and_gaps_stay_open() -> None:
    assert _steps([(0, 2), (1, 3), (2, 4)]) == ([0, 1.5, 1.5, 2.5, 2.5, 4], [0, 0, 1, 1, 2, 2])
    assert _steps([(0, 2), (10, 12)]) == ([0, 2, 2, 10, 10, 12], [0, 0, None, None, 1, 1])
    assert _steps([(0, 1)]) == ([0, 1], [0, 0])


def test_lines_of_json_are_whole_or_not_there(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(ZeroDivisionError), json_lines(str(out)) as write:
        write({"a": 1})
        write({"a": 1 // 0})
    assert list(tmp_path.iterdir()) == []
    with json_lines(str(out)) as write:
        write({"ä": [1]})
    assert out.read_bytes().count(b"\n") == 1
    assert json.loads(out.read_text("utf-8")) == {"ä": [1]}
