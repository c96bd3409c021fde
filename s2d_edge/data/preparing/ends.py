"""Read the first and the last samples of a video, cropped as they come: videos are long, frames large."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.data.preparing.cropping import FrameCropper
from s2d_edge.media.crop import Picture
from s2d_edge.media.sampling import sample_by_time
from s2d_edge.media.video import probe_video, read_video

_MARGIN = 2  # samples; containers round their lengths


class VideoSample(NamedTuple):
    """One sample of a video.

    Attributes:
        picture: (S, S, 3) uint8 RGB, as the network sees it.
        own_face: it is cropped around its own face.
        number: where it lies on the model's grid.
    """

    picture: Picture
    own_face: bool
    number: float


def read_ends(path: Path, spec: ClipSpec, cropper: Callable[[], FrameCropper]) -> list[VideoSample]:
    """Read the first T samples of a video, and the last T of the others.

    Faces are searched in these only. Where the last T begin is reckoned from the length that the file
    promises, some samples too early; a file that ends before is read a second time.

    Args:
        cropper: begins a clip.

    Raises:
        MediaError: what :func:`read_video` raises.
    """
    begin = _begin_of_the_last(path, spec)
    samples, total = _read(path, spec, begin, cropper())
    if (begin_in_truth := max(spec.frames, total - spec.frames)) < begin:
        samples, _ = _read(path, spec, begin_in_truth, cropper())
    return samples


def _begin_of_the_last(path: Path, spec: ClipSpec) -> int:
    """Guess from which sample on the last window may begin; rather too early than too late."""
    info = probe_video(path)
    if info.frames == 0:
        return sys.maxsize  # not known: the samples are counted first
    expected = min(info.frames, int((info.frames - 1) / info.fps * spec.fps) + 1)
    return max(spec.frames, expected - spec.frames - _MARGIN - expected // 100)


def _read(path: Path, spec: ClipSpec, begin: int, cropper: FrameCropper) -> tuple[list[VideoSample], int]:
    """Crop the first T samples, and the last T of those from the ``begin``th on; also returns their total."""
    first: list[VideoSample] = []
    later: deque[VideoSample] = deque(maxlen=spec.frames)
    total = cropped = 0
    for number, frame in sample_by_time(read_video(path), spec.fps):
        if total < spec.frames or total >= begin:
            (first if total < spec.frames else later).append(VideoSample(*cropper.add(frame), number))
            cropped += 1
        total += 1
    samples = first + list(later)
    dropped = cropped - len(samples)
    again = islice(_cropped_frames(path, spec, begin), cropper.to_crop_again)
    for k, picture in enumerate(cropper.crop_again(again)):
        place = k if k < spec.frames else k - dropped
        if k < spec.frames or place >= spec.frames:
            samples[place] = samples[place]._replace(picture=picture)
    return samples, total


def _cropped_frames(path: Path, spec: ClipSpec, begin: int) -> Iterator[Picture]:
    """The frames that :func:`_read` crops, in full size."""
    for k, (_, frame) in enumerate(sample_by_time(read_video(path), spec.fps)):
        if k < spec.frames or k >= begin:
            yield frame
