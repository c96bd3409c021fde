"""Count skipped and slow clips, missing faces and repeated frames while clips are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from s2d_edge.core.console import Advance, Console
from s2d_edge.core.errors import MediaError
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.media.sampling import SLOW_PACE

_NAMED = 5  # clips that a warning names


class LoadingTally:
    """Counts unreadable and slow clips, frames without a face and repeated frames, and reports them."""

    def __init__(self) -> None:
        self.frames = 0
        self.faces_missed = 0
        self.faceless: list[Path] = []
        self.repeated: list[Path] = []
        self.slow: dict[Path, float] = {}  # and the pace of each, as :attr:`LoadedClip.pace` has it
        self.unreadable: list[Path] = []
        self.reasons: list[str] = []  # why, in the same order

    def skip(self, path: Path, error: MediaError) -> None:
        """Count a clip that cannot be read; for ``load_many``'s ``on_unreadable``."""
        self.unreadable.append(path)
        self.reasons.append(str(error))

    def readable(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """The samples whose clips were not skipped."""
        skipped = set(self.unreadable)
        return tuple(sample for sample in samples if sample.path not in skipped)

    def watch(self, clips: Iterator[LoadedClip], advance: Advance) -> Iterator[LoadedClip]:
        """Yield the clips while counting; ``advance(1)`` is called after each was used."""
        for clip in clips:
            self.frames += len(clip.frames)
            self.faces_missed += clip.faces_missed
            if clip.faces_missed and not clip.faces_found:
                self.faceless.append(clip.path)
            if clip.repeated:
                self.repeated.append(clip.path)
            if clip.pace > SLOW_PACE:
                self.slow[clip.path] = clip.pace
            yield clip
            advance(1)

    def report(self, console: Console) -> None:
        """Warn of everything that was counted."""
        if self.unreadable:
            console.warn(f"skipped {_clips(self.unreadable)} that cannot be read: {first_of(self.reasons)}")
        if self.faces_missed:
            text = f"no face was found in {self.faces_missed} of {self.frames} frames"
            if self.faceless:
                whole = _clips(self.faceless)
                text += f"; used {whole} without any face as whole pictures{_first(self.faceless)}"
            console.warn(text)
        if self.repeated:
            console.warn(
                f"frames were repeated to fill {_clips(self.repeated, 'short ')}{_first(self.repeated)}"
            )
        if self.slow:
            console.warn(
                f"{_clips(list(self.slow))} came slower than the model's rate, so motion looks quicker to it "
                f"than it is{_first(list(self.slow))}"
            )


def first_of(reasons: Sequence[str]) -> str:
    """The first reasons why clips were skipped, each of which names its clip."""
    more = f" | and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    return " | ".join(reasons[:_NAMED]) + more


def _clips(paths: Sequence[Path], kind: str = "") -> str:
    return f"{len(paths)} {kind}clip{'s' if len(paths) != 1 else ''}"


def _first(paths: Sequence[Path]) -> str:
    return f" (first: {paths[0]})" if paths else ""
