"""Short trainings that must not depend on the number of processes; tests start them with torchrun."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from s2d_edge.core.console import Console
from s2d_edge.core.errors import TrainingError
from s2d_edge.model.s2d import S2D
from s2d_edge.train.context import Context, InterruptGuard
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.plan.settings import AugmentSettings, SdlSettings, StageSettings
from s2d_edge.train.processes import Processes
from tests.train.tiny import VIDEO, StopAfter, job, noisy_clips

# Ten clips in batches of three leave one, which two processes cannot share.
_PLAIN = StageSettings(epochs=2, batch_clips=3, lr=1e-3, warmup_epochs=0, dropout=0, balance=0.5)
SCENES = {
    "one clip left": replace(_PLAIN, accumulate=2),
    "mixed": replace(
        _PLAIN, batch_clips=4, ema=0.5, augment=AugmentSettings(crop=0.7, mixup=0.8, cutmix=1.0)
    ),
    "landmark features": replace(_PLAIN, batch_clips=4, landmark_lr=0.5),
    "anchors": replace(
        _PLAIN,
        batch_clips=6,
        accumulate=2,
        sdl=SdlSettings(weight=1.0, starts=(0.0,), shares=(1.0,), queue=3),
    ),
}
FAILURE, STOP = "failure.txt", "stop.txt"  # what each process writes, its rank before the name


def _context(processes: Processes, interrupt: InterruptGuard | None = None) -> Context:
    console = processes.console(Console(quiet=True))
    return Context(processes=processes, console=console, interrupt=interrupt or InterruptGuard())


def train_scenes(out: Path, processes: Processes) -> None:
    """Train each scene into a folder of its name under ``out``; one process alone takes batches whole."""
    for name, shared in SCENES.items():
        settings = shared if processes.count > 1 else replace(shared, accumulate=1)
        video = name == "anchors"
        work = job(out / name, settings, noisy_clips(10), noisy_clips(5, seed=9), video=video)
        if settings.landmark_lr:
            work.model.landmark.tune_features()
        if video:
            work.model.freeze_backbone()
        work = replace(work, context=_context(processes), score_start=True)
        StageTraining(work).run()


def fail_together(out: Path, processes: Processes) -> None:
    """Have the last process alone meet a clip whose loss is no number; each writes down how it ended."""
    clips = noisy_clips(4)
    training = StageTraining(
        job(
            out / "failing",
            _PLAIN,
            clips,
            clips,
            model=S2D(VIDEO),
            video=True,
            context=_context(processes),
        )
    )
    right = training._step._losses_of

    def broken(*given: Any, **named: Any) -> Tensor:
        losses = right(*given, **named)
        return losses * float("nan") if processes.rank == processes.count - 1 else losses

    training._step._losses_of = broken  # type: ignore[method-assign]
    try:
        training.run()
    except TrainingError as error:
        (out / f"{processes.rank}-{FAILURE}").write_text(str(error))


def stop_together(out: Path, processes: Processes) -> None:
    """Request a stop of the last process alone, at its second step; each writes down where it stopped."""
    last = processes.rank == processes.count - 1
    context = _context(processes, StopAfter(2) if last else InterruptGuard())
    training = StageTraining(job(out / "stopping", _PLAIN, noisy_clips(10), noisy_clips(4), context=context))
    try:
        training.run()
    except KeyboardInterrupt:
        progress = training.progress
        (out / f"{processes.rank}-{STOP}").write_text(f"epoch {progress.epoch}, step {progress.step}")


if __name__ == "__main__":
    mine = Processes("cpu")
    train_scenes(Path(sys.argv[1]), mine)
    fail_together(Path(sys.argv[1]), mine)
    stop_together(Path(sys.argv[1]), mine)
