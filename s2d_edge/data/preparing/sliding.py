"""Read a window of T samples every so many seconds of a video, cropped as they come."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.data.preparing.clips import readable
from s2d_edge.data.preparing.cropping import FrameCropper
from s2d_edge.data.preparing.ends import VideoSample
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.media.kinds import media_kind
from s2d_edge.media.sampling import sample_by_time, uniform_indices
from s2d_edge.media.video import read_video

_ROUNDING = 1e-6


def slide(
    path: Path, spec: ClipSpec, every_s: float, cropper: Callable[[], FrameCropper]
) -> Iterator[LoadedClip]:
    """Yield the windows of T consecutive samples that begin every ``every_s`` seconds of a video.

    A last window ends with the last sample, unless windows lie so far apart that the parts between them are
    not read. A video shorter than T samples is one window in which frames repeat.

    Raises:
        ConfigError: ``every_s`` is not above 0.
        MediaError: a picture or a folder of frames, or what :func:`read_video` raises.
    """
    if not every_s > 0 or not math.isfinite(every_s):
        raise ConfigError(f"a window every {every_s} seconds: give a number above 0")
    if media_kind(path) != "video":
        raise MediaError(
            f"{path} has no clock, so there is no window every {every_s:g} seconds; give a video"
        )
    return _named(path, _slide(path, spec, every_s * spec.fps, cropper()))


def _named(path: Path, clips: Iterator[LoadedClip]) -> Iterator[LoadedClip]:
    """The clips; what is wrong with the video names it."""
    with readable(path):
        yield from clips


def _slide(path: Path, spec: ClipSpec, step: float, cropper: FrameCropper) -> Iterator[LoadedClip]:
    """See :func:`slide`; ``step`` is in points of the grid."""
    held: deque[tuple[int, VideoSample]] = deque(maxlen=spec.frames)  # samples with their counts
    begins: deque[int] = deque()  # counts of the samples with which the next windows begin
    due, ended = 0.0, -1
    leading_is_cropped = False
    count = -1
    for count, (number, frame) in enumerate(sample_by_time(read_video(path), spec.fps)):
        if number >= due - _ROUNDING:
            begins.append(count)
            due = step * (math.floor(number / step + _ROUNDING) + 1)
        if not begins:
            continue  # between two windows
        held.append((count, VideoSample(*cropper.add(frame), number)))
        if cropper.to_crop_again and not leading_is_cropped:
            leading_is_cropped = True
            _crop_again(held, path, spec, cropper)
        if count == begins[0] + spec.frames - 1:
            begins.popleft()
            ended = count
            yield _clip(path, spec, [sample for _, sample in held], cropped=cropper.crops)
    in_a_row = count >= 0 and count - held[0][0] == len(held) - 1
    if ended < count and begins and in_a_row and len(held) == min(spec.frames, count + 1):
        yield _clip(path, spec, [sample for _, sample in held], cropped=cropper.crops)


def _crop_again(
    held: deque[tuple[int, VideoSample]], path: Path, spec: ClipSpec, cropper: FrameCropper
) -> None:
    """Crop the held samples that came before the first face where that face is."""
    wanted = {count: place for place, (count, sample) in enumerate(held) if not sample.own_face}
    frames = (frame for _, frame in sample_by_time(read_video(path), spec.fps))
    for count, frame in enumerate(islice(frames, held[-1][0])):
        if count in wanted:
            _, sample = held[wanted[count]]
            held[wanted[count]] = (count, sample._replace(picture=cropper.crop_again([frame])[0]))


def _clip(path: Path, spec: ClipSpec, samples: Sequence[VideoSample], *, cropped: bool) -> LoadedClip:
    found = sum(sample.own_face for sample in samples)
    return LoadedClip(
        path=path,
        frames=np.stack([sample.picture for sample in samples]),
        index=uniform_indices(len(samples), spec.frames)[None],
        faces_found=found,
        faces_missed=len(samples) - found if cropped else 0,
        repeated=len(samples) < spec.frames,
        numbers=np.array([sample.number for sample in samples]),
    )
