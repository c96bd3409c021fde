"""Load a clip as the frames that a network sees: decode, sample in time, find the face, crop.

Training, evaluation and calibration all load their clips here. Every frame is searched for a face on its
own (no tracking), so that a frame's crop depends on nothing but its clip.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.preparing.parallel import in_parallel, usable_cores
from s2d_edge.media.crop import align_crop, resize_frame, whole_picture
from s2d_edge.media.face import FaceFinder
from s2d_edge.media.kinds import IMAGE_SUFFIXES, media_kind
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.sampling import (
    FolderWindows,
    folder_windows,
    sample_by_time,
    uniform_indices,
    window_starts,
)
from s2d_edge.media.video import read_video

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Points = NDArray[np.float32]  # (468, 2) pixels

# Worker processes take seconds to start; below this many frames one process is done sooner.
_SERIAL_BELOW = 500


@dataclass(frozen=True, kw_only=True)
class LoadedClip:
    """One clip, ready for an engine.

    Attributes:
        path: the video, picture or folder.
        frames: (F, S, S, 3) uint8 RGB, the distinct frames.
        index: (V, T) int64 into ``frames``, one row per window.
        faces_found: number of distinct frames cropped around their own face; 0 without cropping.
        faces_missed: number of distinct frames without a face; 0 without cropping.
        repeated: True when the clip had fewer than T samples, so that frames repeat. False for a picture,
            which is meant to stand still.
    """

    path: Path
    frames: NDArray[np.uint8]
    index: NDArray[np.int64]
    faces_found: int
    faces_missed: int
    repeated: bool

    @property
    def windows(self) -> NDArray[np.uint8]:
        """The frames of every window, (V, T, S, S, 3) uint8 RGB."""
        return self.frames[self.index]


class ClipLoader:
    """Loads videos, pictures and frame folders as clips of one shape.

    - A video is sampled by time at ``spec.fps``. One longer than T samples gives two windows, the first and
      the last; with fewer than T samples, frames repeat.
    - A picture becomes T equal frames.
    - A folder has no clock: exactly T frames are used as they are in natural name order. Otherwise T are
      taken uniformly (its middle frame for T = 1), or windows of consecutive ones if ``windows`` says so.

    A frame without a face is cropped where the nearest earlier frame of the clip has one, else the nearest
    later; a clip without any face is used as whole pictures. Either way the frame counts as missed.
    """

    def __init__(self, spec: ClipSpec, crop: CropRecipe | None, windows: FolderWindows = "spread") -> None:
        """Prepare to load clips of one shape; the face finder is loaded with the first clip.

        Args:
            spec: shape and pace of the clips.
            crop: the face crop; None takes the frames as they are, resized only if their size differs.
            windows: the windows taken of a folder of frames.

        Raises:
            ConfigError: the crop's size is not the clip's.
        """
        if crop is not None and crop.size != spec.size:
            raise ConfigError(
                f"crop.size={crop.size} differs from the clip's size={spec.size}; give one size"
            )
        self._spec = spec
        self._crop = crop
        self._windows = windows

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder(static=True)

    def load(self, path: Path) -> LoadedClip:
        """Load one clip.

        Raises:
            MediaError: it does not exist, is of no known kind, or cannot be decoded; names the file.
        """
        kind = media_kind(path)
        if kind == "folder":
            return self.load_frames(frame_paths(path), path)
        if kind == "video":
            return self._load_video(path)
        return self._assemble(path, [read_image(path)], self._repeat(1), repeated=False)

    def load_frames(self, frames: Sequence[Path | Frame], path: Path = Path("frames")) -> LoadedClip:
        """Make a clip of pictures in order, as of the pictures in a folder; one alone stands still.

        Args:
            frames: at least one, each a picture's path or an (H, W, 3) uint8 RGB array.
            path: what to call the clip.

        Raises:
            MediaError: a picture that cannot be decoded.
        """
        index = folder_windows(len(frames), self._spec.frames, self._windows)  # (V, T)
        used, places = np.unique(index, return_inverse=True)
        taken = (frames[k] for k in used)
        return self._assemble(
            path,
            [read_image(frame) if isinstance(frame, Path) else frame for frame in taken],
            places.reshape(index.shape).astype(np.int64),
            repeated=len(frames) < self._spec.frames,
        )

    def _load_video(self, path: Path) -> LoadedClip:
        wanted = self._spec.frames
        first: list[Frame] = []
        later: deque[Frame] = deque(maxlen=wanted)  # the last samples only: a video may be long
        for _, frame in sample_by_time(read_video(path), self._spec.fps):
            (first if len(first) < wanted else later).append(frame)
        kept = first + list(later)
        if len(kept) < wanted:
            return self._assemble(path, kept, self._repeat(len(kept)), repeated=True)
        starts = np.array(window_starts(len(kept), wanted))
        return self._assemble(path, kept, starts[:, None] + np.arange(wanted), repeated=False)

    def _repeat(self, available: int) -> NDArray[np.int64]:
        """(1, T) indices of one window that repeats frames evenly."""
        return uniform_indices(available, self._spec.frames)[None]

    def _assemble(
        self, path: Path, frames: Sequence[Frame], index: NDArray[np.int64], *, repeated: bool
    ) -> LoadedClip:
        pictures, found = self._pictures(frames)
        return LoadedClip(
            path=path,
            frames=np.stack(pictures),
            index=index,
            faces_found=found,
            faces_missed=0 if self._crop is None else len(frames) - found,
            repeated=repeated,
        )

    def _pictures(self, frames: Sequence[Frame]) -> tuple[list[Frame], int]:
        """The network's pictures, and the number of them with a face."""
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


def clip_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the hashes of a frame folder's pictures, in natural name order."""
    if not path.is_dir():
        return sha256_of(path)
    digest = hashlib.sha256()
    for frame in frame_paths(path):
        digest.update(sha256_of(frame).encode())
    return digest.hexdigest()


def load_many(
    paths: Iterable[Path],
    spec: ClipSpec,
    crop: CropRecipe | None,
    *,
    windows: FolderWindows = "spread",
    workers: int | None = None,
    on_unreadable: Callable[[Path, MediaError], None] | None = None,
) -> Iterator[LoadedClip]:
    """Load clips in parallel processes, in the order of ``paths``, a few ahead of the consumer.

    Args:
        windows: the windows taken of a folder of frames.
        workers: processes; by default one per core this process may use, or this one alone for little work.
        on_unreadable: called with each clip that cannot be loaded, which is then skipped; without it the
            first one ends the loading.

    Raises:
        MediaError: what :meth:`ClipLoader.load` raises, when the clip's turn comes.
        ConfigError: the crop's size is not the clip's.
    """
    wanted = tuple(paths)
    if workers is None:
        frames = sum(1 if path.suffix.lower() in IMAGE_SUFFIXES else spec.frames for path in wanted)
        workers = 1 if frames < _SERIAL_BELOW else usable_cores()
    with closing(_try_each(wanted, (spec, crop, windows), workers)) as tried:
        for path, loaded in zip(wanted, tried, strict=True):
            if isinstance(loaded, LoadedClip):
                yield loaded
            elif on_unreadable is None:
                raise loaded
            else:
                on_unreadable(path, loaded)


_LoaderArguments = tuple[ClipSpec, CropRecipe | None, FolderWindows]


def _try_each(
    paths: Sequence[Path], arguments: _LoaderArguments, workers: int
) -> Generator[LoadedClip | MediaError, None, None]:
    if workers > 1:
        yield from in_parallel(
            _try_in_worker, paths, workers=workers, start=partial(_start_worker, *arguments)
        )
        return
    with ClipLoader(*arguments) as loader:
        for path in paths:
            yield _try(loader, path)


def _try(loader: ClipLoader, path: Path) -> LoadedClip | MediaError:
    try:
        return loader.load(path)
    except MediaError as error:
        return error


_worker_loader: ClipLoader | None = None


def _start_worker(spec: ClipSpec, crop: CropRecipe | None, windows: FolderWindows) -> None:
    global _worker_loader
    _worker_loader = ClipLoader(spec, crop, windows)


def _try_in_worker(path: Path) -> LoadedClip | MediaError:
    assert _worker_loader is not None
    return _try(_worker_loader, path)
