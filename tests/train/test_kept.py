"""An interrupted training says what is kept, in whichever part it was, and goes on from there."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, NoReturn

import pytest

from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.core.console import Console
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.train import command, stages
from s2d_edge.train import context as train_context
from s2d_edge.train.command import train
from s2d_edge.train.context import InterruptGuard
from s2d_edge.train.record import record
from s2d_edge.train.record.curves import draw_curves
from s2d_edge.train.record.progress import how_to_resume
from s2d_edge.train.supply import supply
from tests.train.tiny import VIDEO, noisy_clips, stopped_after, write_landmark

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

QUIET = Console(quiet=True)
FAST = ("image.batch_clips=4", "video.batch_clips=4", "image.epochs=1", "video.epochs=1")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A listing of three labels, and in the place of its clips some of noise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    write_landmark(Path("landmark.safetensors"))
    rows = ["path,label,split"]
    for k in range(12):
        (tmp_path / f"{k}.png").touch()
        rows.append(f"{k}.png,{'abc'[k % 3]},{'val' if k > 7 else 'train'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))

    def noise(clips: Any, *rest: Any, **how: Any) -> PreparedClips:
        return noisy_clips(len(clips))

    monkeypatch.setattr(supply, "prepare", noise)
    return tmp_path / "labels.csv"


def _interrupt(*given: Any, **how: Any) -> NoReturn:
    raise KeyboardInterrupt


def _train(data: Path) -> list[Path]:
    return train(
        data=str(data), landmark=Path("landmark.safetensors"), changes=FAST, out=Path("out"), console=QUIET
    )


@pytest.mark.parametrize("folder", ["runs/plain-video", "runs/two words", "runs/it's"])
def test_the_command_that_resumes_can_be_pasted_into_a_shell(folder: str) -> None:
    words = shlex.split(how_to_resume(Path(folder)).partition(": ")[2])
    assert words == ["s2d-edge", "train", "--resume", folder]


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (command, "open_training_data"),
        (command, "read_landmark"),
        (supply, "prepare"),
        (record, "save_snapshot"),
    ],
)
def test_before_the_first_step_nothing_is_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: Any, name: str
) -> None:
    monkeypatch.setattr(where, name, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        _train(data)
    assert "nothing of this training is saved" in _said(capsys)
    assert not list(Path().glob("out*"))


@pytest.mark.slow(seconds=3)
def test_from_the_first_step_on_the_folder_to_resume_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requested = InterruptGuard()

    def request_too_late(*given: Any, **how: Any) -> None:
        requested.requested = True
        draw_curves(*given, **how)

    def resume(run: str) -> list[Path]:
        return train(resume=Path(run), console=QUIET)

    with stopped_after(2):
        _train(data)
    said = _said(capsys)
    assert "saved in epoch 1 after step 1 of 2" in said
    assert said.endswith("s2d-edge train --resume out-image")
    for where, name in ((record, "save_run"), (record, "draw_curves"), (stages, "initialise")):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, _interrupt)
            with pytest.raises(KeyboardInterrupt):
                resume("out-image")
        assert _said(capsys).endswith("s2d-edge train --resume out-image")
    with monkeypatch.context() as patched:
        patched.setattr(train_context, "InterruptGuard", lambda: requested)
        patched.setattr(record, "draw_curves", request_too_late)
        Path("out-image/learning-curve.png").unlink()
        with pytest.raises(KeyboardInterrupt):
            resume("out-image")
    assert _said(capsys).endswith("s2d-edge train --resume out-image")
    assert not Path("out-video").exists()
    assert resume("out-image") == [Path("out-image"), Path("out-video")]
