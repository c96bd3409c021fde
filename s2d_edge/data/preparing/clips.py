"""Load a clip as the frames that a network sees: decode, sample in time, find the face, crop.

Training, evaluation and calibration all load their clips here. Every frame is searched for a face on its
own (no tracking), so that a frame's crop depends on nothing but its clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.errors import ConfigError, MediaError, S2DEdgeError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.preparing.cropping import FrameCropper
from s2d_edge.data.preparing.ends import read_ends
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.preparing.parallel import in_parallel, usable_cores
from s2d_edge.media.crop import Picture, Points
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.kinds import IMAGE_SUFFIXES, media_kind
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.sampling import (
    FolderWindows,
    folder_windows,
    uniform_indices,
    window_starts,
)

# Worker processes take seconds to start; below this many frames one process is done sooner.
_SERIAL_BELOW = 500


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

    def __init__(
        self,
        spec: ClipSpec,
        crop: CropRecipe | None,
        windows: FolderWindows = "spread",
        bundle: Bundle | None = None,
    ) -> None:
        """Prepare to load clips of one shape; the face finder is loaded with the first clip.

        Args:
            spec: shape and pace of the clips.
            crop: the face crop; None takes the frames as they are, resized only if their size differs.
            windows: the windows taken of a folder of frames.
            bundle: its face pack is searched with, if it has one.

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
        self._bundle = bundle

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder(static=True, bundle=self._bundle)

    def load(self, path: Path) -> LoadedClip:
        """Load one clip.

        Raises:
            MediaError: it does not exist, is of no known kind, or cannot be decoded; names the file.
        """
        with readable(path):
            return self._load(path)

    def _load(self, path: Path) -> LoadedClip:
        kind = media_kind(path)
        if kind == "folder":
            return self.load_frames(frame_paths(path), path)
        if kind == "video":
            return self._load_video(path)
        pictures, found = self._cropped(lambda: iter([read_image(path)]))
        return self._assemble(path, pictures, found, self._repeat(1), repeated=False)

    def load_frames(self, frames: Sequence[Path | Picture], path: Path = Path("frames")) -> LoadedClip:
        """Make a clip of pictures in order, as of the pictures in a folder; one alone stands still.

        Args:
            frames: at least one, each a picture's path or an (H, W, 3) uint8 RGB array.
            path: what to call the clip.

        Raises:
            MediaError: a picture that cannot be decoded.
        """
        index = folder_windows(len(frames), self._spec.frames, self._windows)  # (V, T)
        used, places = np.unique(index, return_inverse=True)
        taken = [frames[k] for k in used]
        pictures, found = self._cropped(
            lambda: (read_image(frame) if isinstance(frame, Path) else frame for frame in taken)
        )
        return self._assemble(
            path,
            pictures,
            found,
            places.reshape(index.shape).astype(np.int64),
            repeated=len(frames) < self._spec.frames,
        )

    def _load_video(self, path: Path) -> LoadedClip:
        wanted = self._spec.frames
        samples = read_ends(path, self._spec, self.cropper)
        if len(samples) < wanted:
            index = self._repeat(len(samples))
        else:
            starts = np.array(window_starts(len(samples), wanted))
            index = starts[:, None] + np.arange(wanted)
        return self._assemble(
            path,
            [sample.picture for sample in samples],
            [sample.own_face for sample in samples],
            index,
            repeated=len(samples) < wanted,
            numbers=np.array([sample.number for sample in samples]),
        )

    def _repeat(self, available: int) -> NDArray[np.int64]:
        """(1, T) indices of one window that repeats frames evenly."""
        return uniform_indices(available, self._spec.frames)[None]

    def _cropped(self, frames: Callable[[], Iterator[Picture]]) -> tuple[list[Picture], list[bool]]:
        """The network's pictures, and which of them show their own face.

        Args:
            frames: gives all frames of the clip, once more if it is called again.
        """
        cropper = self.cropper()
        pictures, found = [], []
        for frame in frames():
            picture, own = cropper.add(frame)
            pictures.append(picture)
            found.append(own)
        if again := cropper.to_crop_again:  # most clips are decoded once
            pictures[:again] = cropper.crop_again(islice(frames(), again))
        return pictures, found

    def _assemble(
        self,
        path: Path,
        pictures: Sequence[Picture],
        found: Sequence[bool],
        index: NDArray[np.int64],
        *,
        repeated: bool,
        numbers: NDArray[np.float64] | None = None,
    ) -> LoadedClip:
        return LoadedClip(
            path=path,
            frames=np.stack(pictures),
            index=index,
            faces_found=sum(found),
            faces_missed=0 if self._crop is None else len(found) - sum(found),
            repeated=repeated,
            numbers=numbers,
        )

    def cropper(self) -> FrameCropper:
        """Begin a clip that is cropped frame by frame."""
        return FrameCropper(self._spec.size, self._crop, self._points)

    def _points(self, frame: Picture) -> Points | None:
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
    bundle: Bundle | None = None,
    workers: int | None = None,
    on_unreadable: Callable[[Path, MediaError], None] | None = None,
) -> Iterator[LoadedClip]:
    """Load clips in parallel processes, in the order of ``paths``, a few ahead of the consumer.

    Args:
        windows: the windows taken of a folder of frames.
        bundle: its face pack is searched with, if it has one.
        workers: processes; by default one per core this process may use, or this one alone for little work.
        on_unreadable: called with each clip that cannot be loaded, which is then skipped; without it the
            first one ends the loading.

    Raises:
        MediaError: what :meth:`ClipLoader.load` raises, when the clip's turn comes.
        ConfigError: the crop's size is not the clip's.
    """
    wanted = tuple(paths)
    trying = try_many(wanted, spec, crop, windows=windows, bundle=bundle, workers=workers)
    with closing(trying) as tried:
        for path, loaded in zip(wanted, tried, strict=True):
            if isinstance(loaded, LoadedClip):
                yield loaded
            elif on_unreadable is None:
                raise loaded
            else:
                on_unreadable(path, loaded)


def try_many(
    paths: Sequence[Path],
    spec: ClipSpec,
    crop: CropRecipe | None,
    *,
    windows: FolderWindows = "spread",
    bundle: Bundle | None = None,
    workers: int | None = None,
) -> Generator[LoadedClip | MediaError, None, None]:
    """Load clips as :func:`load_many` does; in the place of one that cannot be loaded comes its error."""
    if workers is None:
        frames = sum(1 if path.suffix.lower() in IMAGE_SUFFIXES else spec.frames for path in paths)
        workers = 1 if frames < _SERIAL_BELOW else usable_cores()
    return _try_each(paths, (spec, crop, windows, bundle), workers)


_LoaderArguments = tuple[ClipSpec, CropRecipe | None, FolderWindows, Bundle | None]


def _try_each(
    paths: Sequence[Path], arguments: _LoaderArguments, workers: int
) -> Generator[LoadedClip | MediaError, None, None]:
    if workers > 1:
        yield from in_parallel(
            _try_in_worker,
            paths,
            workers=workers,
            start=partial(_start_worker, *arguments),
            died=unreadable_by,
        )
        return
    with ClipLoader(*arguments) as loader:
        for path in paths:
            yield _try(loader, path)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever reading a clip raises into one error that names the clip.

    Raises:
        MediaError: the block could not read it.
    """
    try:
        yield
    except S2DEdgeError:  # of the clip, or of what looks for faces in it
        raise
    except Exception as error:  # decoders, OpenCV and FaceMesh raise whatever damage leads them to
        reason = str(error) or type(error).__name__
        raise MediaError(
            f"{path} cannot be read ({reason}); is it damaged, or are its pictures too large?"
        ) from error


def unreadable_by(path: Path, how: str) -> MediaError:
    """The error of a clip whose decoding ends a process, such as one that crashes a decoder."""
    return MediaError(f"{path} cannot be read (the process that decodes it {how}); is it damaged?")


def _try(loader: ClipLoader, path: Path) -> LoadedClip | MediaError:
    try:
        return loader.load(path)
    except MediaError as error:
        return error


_worker_loader: ClipLoader | None = None


def _start_worker(
    spec: ClipSpec, crop: CropRecipe | None, windows: FolderWindows, bundle: Bundle | None
) -> None:
    global _worker_loader
    _worker_loader = ClipLoader(spec, crop, windows, bundle)


def _try_in_worker(path: Path) -> LoadedClip | MediaError:
    assert _worker_loader is not None
    return _try(_worker_loader, path)
