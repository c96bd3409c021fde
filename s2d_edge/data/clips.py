"""From a path to the frames a network sees: decode, sample in time, find the face, crop.

Training, evaluation and calibration all load their clips here. Every frame is searched for a face on its
own (no tracking), so that a frame's crop depends on nothing but its clip.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.cores import usable_cores
from s2d_edge.errors import ConfigError, MediaError
from s2d_edge.face import FaceFinder
from s2d_edge.media_types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from s2d_edge.preprocess import CropRecipe, align_crop, resize_frame, whole_picture
from s2d_edge.sampling import ClipSpec, sample_by_time, uniform_indices, window_starts
from s2d_edge.video import frame_paths, read_image, read_video

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Points = NDArray[np.float32]  # (468, 2) pixels

# Worker processes take seconds to start; below this many frames one process is done sooner.
_SERIAL_BELOW = 500
_QUEUED_PER_WORKER = 4  # bounds memory when the engine is slower than the loading


@dataclass(frozen=True, kw_only=True)
class LoadedClip:
    """One clip, ready for an engine.

    Attributes:
        path: where it came from.
        frames: (F, S, S, 3) uint8 RGB, the distinct frames.
        index: (V, T) int64 into ``frames``, one row per window.
        faces_found: distinct frames cropped around their own face; 0 without cropping.
        faces_missed: distinct frames in which no face was found; 0 without cropping.
        repeated: the clip had fewer than T samples, so frames repeat. False for a picture, which is meant
            to stand still.
    """

    path: Path
    frames: NDArray[np.uint8]
    index: NDArray[np.int64]
    faces_found: int
    faces_missed: int
    repeated: bool

    @property
    def windows(self) -> NDArray[np.uint8]:
        """(V, T, S, S, 3) uint8 RGB."""
        return self.frames[self.index]


class ClipLoader:
    """Loads videos, pictures and frame folders as clips of one shape.

    - A video is sampled by time at ``spec.fps``. One longer than T samples gives two windows, the first and
      the last; with fewer than T samples, frames repeat.
    - A picture becomes T equal frames.
    - A folder has no clock: exactly T frames pass as they are in natural name order, otherwise T are taken
      uniformly (its middle frame for T = 1).

    A frame without a face is cropped where the nearest earlier frame of the clip has one, else the nearest
    later; a clip without any face is used as whole pictures. Either way the frame counts as missed.
    """

    def __init__(self, spec: ClipSpec, crop: CropRecipe | None) -> None:
        """Args:
        spec: the clips wanted.
        crop: how faces are cropped; None takes the frames as they are, resized only if their size differs.

        Raises:
            ConfigError: the crop's size is not the clip's.
        """
        if crop is not None and crop.size != spec.size:
            raise ConfigError(f"crop.size={crop.size} differs from the clip's size={spec.size}")
        self._spec = spec
        self._crop = crop

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder(static=True)

    def load(self, path: Path) -> LoadedClip:
        """Load one clip.

        Raises:
            MediaError: it does not exist, is of no known kind, or cannot be decoded; names the file.
        """
        if path.is_dir():
            files = frame_paths(path)
            return self._assemble(path, [read_image(file) for file in self._choose(files)], still=False)
        if not path.exists():
            raise MediaError(f"{path} does not exist; give a video, a picture or a folder of frames")
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            return self._assemble(path, [read_image(path)], still=True)
        if suffix in VIDEO_SUFFIXES:
            return self._load_video(path)
        kinds = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise MediaError(f"{path} is neither a folder of frames nor a file ending in one of {kinds}")

    def _choose(self, files: Sequence[Path]) -> list[Path]:
        wanted = self._spec.frames
        if len(files) <= wanted:
            return list(files)
        if wanted == 1:
            return [files[(len(files) - 1) // 2]]
        return [files[k] for k in uniform_indices(len(files), wanted)]

    def _load_video(self, path: Path) -> LoadedClip:
        wanted = self._spec.frames
        first: list[Frame] = []
        later: deque[Frame] = deque(maxlen=wanted)  # the last samples only: a video may be long
        for _, frame in sample_by_time(read_video(path), self._spec.fps):
            (first if len(first) < wanted else later).append(frame)
        kept = first + list(later)
        starts = window_starts(len(kept), wanted)
        return self._assemble(path, kept, still=False, starts=starts)

    def _assemble(
        self, path: Path, frames: Sequence[Frame], *, still: bool, starts: tuple[int, ...] = (0,)
    ) -> LoadedClip:
        wanted, available = self._spec.frames, len(frames)
        pictures, found = self._pictures(frames)
        index = (
            np.stack([start + np.arange(wanted) for start in starts])
            if available >= wanted
            else uniform_indices(available, wanted)[None]
        )
        return LoadedClip(
            path=path,
            frames=np.stack(pictures),
            index=index,
            faces_found=found,
            faces_missed=0 if self._crop is None else available - found,
            repeated=available < wanted and not still,
        )

    def _pictures(self, frames: Sequence[Frame]) -> tuple[list[Frame], int]:
        """The network's pictures, and in how many of them a face was found."""
        size = self._spec.size
        if self._crop is None:
            return [resize_frame(frame, size) for frame in frames], 0
        own = [self._points(frame) for frame in frames]
        pictures = []
        for frame, points in zip(frames, _nearest(own), strict=True):
            pictures.append(
                whole_picture(frame, size) if points is None else align_crop(frame, points, self._crop)
            )
        return pictures, sum(points is not None for points in own)

    def _points(self, frame: Frame) -> Points | None:
        faces = self._finder.find(frame)
        return faces[0].points if faces else None

    def close(self) -> None:
        """Free the face finder."""
        if "_finder" in self.__dict__:
            self._finder.close()
            del self.__dict__["_finder"]

    def __enter__(self) -> ClipLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _nearest(points: Sequence[Points | None]) -> list[Points | None]:
    """Fill gaps from the nearest earlier entry, those at the beginning from the first one."""
    last = next((entry for entry in points if entry is not None), None)
    filled = []
    for entry in points:
        last = last if entry is None else entry
        filled.append(last)
    return filled


def load_many(
    paths: Iterable[Path], spec: ClipSpec, crop: CropRecipe | None, *, workers: int | None = None
) -> Iterator[LoadedClip]:
    """Load clips in parallel processes, in the order of ``paths``, a few ahead of the consumer.

    Args:
        workers: processes; by default one per core this process may use, or this one alone for little work.

    Raises:
        MediaError: what :meth:`ClipLoader.load` raises, when the clip's turn comes.
        ConfigError: the crop's size is not the clip's.
    """
    queue = deque(paths)
    if workers is None:
        frames = sum(1 if path.suffix.lower() in IMAGE_SUFFIXES else spec.frames for path in queue)
        workers = 1 if frames < _SERIAL_BELOW else usable_cores()
    if workers <= 1:
        with ClipLoader(spec, crop) as loader:
            for path in queue:
                yield loader.load(path)
        return
    # Spawned, not forked: the parent may hold threads (an engine's, MediaPipe's) that a fork would break.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (spec, crop))
    try:
        running: deque[Future[LoadedClip]] = deque()
        while queue or running:
            while queue and len(running) < workers * _QUEUED_PER_WORKER:
                running.append(pool.submit(_load_in_worker, queue.popleft()))
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker_loader: ClipLoader | None = None


def _start_worker(spec: ClipSpec, crop: CropRecipe | None) -> None:
    global _worker_loader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, once
    _worker_loader = ClipLoader(spec, crop)


def _load_in_worker(path: Path) -> LoadedClip:
    assert _worker_loader is not None
    return _worker_loader.load(path)
