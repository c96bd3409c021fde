"""A model that classifies clips: a bundle on a device, or a run folder in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from s2d_edge.api.opening import choose_model, open_engine_of
from s2d_edge.api.prediction import Prediction
from s2d_edge.api.stream import Stream, require_rgb
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.engine import Engine
from s2d_edge.contracts.evaluation import predict_clips
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, MediaError, S2DEdgeError
from s2d_edge.data.preparing.clips import ClipLoader, load_many
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.preparing.sliding import slide
from s2d_edge.data.preparing.tally import LoadingTally

PathLike: TypeAlias = str | Path
Picture: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB
Frames: TypeAlias = NDArray[np.uint8] | Sequence[PathLike | Picture]  # (T, H, W, 3) RGB


def load(
    model: PathLike | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    console: Console | None = None,
) -> Model:
    """Open a model.

    Args:
        model: a bundle's folder, a run's folder, ``starter`` or ``starter-TARGET``. None takes the newest
            bundle under ``bundles/`` that fits this machine, else the newest run under ``runs/``, else the
            starter.
        device: ``auto``, ``cpu``, ``gpu``, ``npu``, ``cuda`` or ``tensorrt``. ``auto`` takes the bundle's
            target device where this machine has it, else the CPU. A run knows ``auto``, ``cpu`` and ``cuda``.
        threads: limit of CPU threads; None takes every core.
        console: prints which model was chosen; None prints warnings only.

    Raises:
        BundleError: no such bundle, or it is incomplete or altered.
        DeviceError: this machine lacks the device, or the device refuses the graph.
        S2DEdgeError: neither a bundle nor a run.

    >>> with load("starter") as model:
    ...     model.spec.frames > 1, model.spec.fps > 0
    (True, True)
    """
    if model == "":
        raise BundleError(
            "the model's name is empty; give a bundle, a run or starter, or None for the newest"
        )
    chosen = choose_model(model, device, console or Console(quiet=True))
    engine, crop, bundle = open_engine_of(chosen, device, threads=threads)
    path = chosen.path if isinstance(chosen, Bundle) else chosen
    return Model(engine=engine, crop=crop, path=path, bundle=bundle)


class Model:
    """An opened model; made by :func:`load`. Use it in a ``with`` block, or call :meth:`close`.

    One thread uses a model at a time.

    Attributes:
        path: the folder of the bundle or run.
        engine: turns one window of T frames into logits.
        crop: how a face becomes the network's picture.
        bundle: None for a run.
    """

    def __init__(self, *, engine: Engine, crop: CropRecipe, path: Path, bundle: Bundle | None) -> None:
        self.path = path
        self.engine = engine
        self.crop = crop
        self.bundle = bundle
        self._opened = ExitStack()
        self._opened.enter_context(engine)
        self._cropping: ClipLoader | None = None
        self._closed = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the logits."""
        return self.engine.labels

    @property
    def spec(self) -> ClipSpec:
        """The clip that the model classifies: T frames, their rate in Hz, their side in pixels."""
        return self.engine.spec

    @property
    def description(self) -> str:
        """Name, precision, runtime and device in use, in one line for people."""
        return self.engine.description

    def predict(self, clip: PathLike | Frames, *, crop: bool = True) -> Prediction:
        """Classify one clip.

        Args:
            clip: the path of a video, of a picture or of a folder of frames; or frames: a (T, H, W, 3) uint8
                RGB array, or a sequence of pictures, each a path or an (H, W, 3) uint8 RGB array. A video is
                sampled at the model's rate; if it is longer than T frames, the mean of its first and last
                window is taken. Frames have no clock: T of them are used as they are, of others T are taken
                evenly.
            crop: find and crop the face in each frame; False takes the frames as they are, resized.

        Raises:
            MediaError: the path cannot be read, or the frames are not of this shape and type.
            DeviceError: the device fails.

        >>> import numpy as np
        >>> with load("starter") as model:
        ...     prediction = model.predict(np.zeros((8, 64, 64, 3), np.uint8), crop=False)
        >>> round(sum(prediction.probabilities.values()), 3), prediction.faces_found
        (1.0, 0)
        """
        self._check_open()
        loader = self._loader(crop)
        if isinstance(clip, str | Path):
            return self._predict(loader.load(Path(clip)))
        return self._predict(loader.load_frames(_as_frames(clip)))

    def predict_many(
        self,
        paths: Sequence[PathLike],
        *,
        crop: bool = True,
        on_unreadable: Callable[[Path, MediaError], None] | None = None,
        console: Console | None = None,
    ) -> list[Prediction]:
        """Classify many clips, which are decoded and cropped in parallel processes.

        Python starts such processes by importing the script again. So call this under
        ``if __name__ == "__main__":``, as :func:`evaluate`, :func:`calibrate` and :func:`train`.

        Args:
            paths: videos, pictures or folders of frames.
            crop: find and crop the face in each frame.
            on_unreadable: called with each path that cannot be read and the reason; the others are predicted.
                Without it the first such path ends the work.
            console: shows progress, and warns of clips without a face; None warns only.

        Returns:
            A prediction for each path that can be read, in order.

        Raises:
            MediaError: without ``on_unreadable``, a path cannot be read; all must exist at the beginning.
            DeviceError: the device fails.
        """
        self._check_open()
        if isinstance(paths, str | Path):
            raise MediaError(f"one path was given, {paths}; give a list of paths, or call predict")
        console = console or Console(quiet=True)
        wanted = [Path(path) for path in paths]
        if on_unreadable is None:
            require_existing(wanted)
        tally = LoadingTally()
        with console.progress("predicting", len(wanted)) as advance:

            def skip(path: Path, error: MediaError) -> None:
                advance(1)
                if on_unreadable is not None:
                    on_unreadable(path, error)

            recipe = self.crop if crop else None
            clips = load_many(
                wanted,
                self.spec,
                recipe,
                bundle=self.bundle,
                on_unreadable=None if on_unreadable is None else skip,
            )
            predictions = [self._predict(clip) for clip in tally.watch(clips, advance)]
        tally.report(console)
        return predictions

    def predict_every(self, path: PathLike, every_s: float, *, crop: bool = True) -> Iterator[Prediction]:
        """Classify a window of a video every so many seconds, from its begin to its end, as it is read.

        Args:
            path: a video of any length.
            every_s: seconds from the begin of one window to the begin of the next. Windows are as long as the
                model's clip; where they lie further apart, what is between them is not looked at.
            crop: find and crop the face in each frame.

        Yields:
            A prediction for each window; ``windows_s`` says where it lies, ``t_s`` where it ends. The last
            window ends with the video, unless windows lie further apart than they are long.

        Raises:
            ConfigError: ``every_s`` is not above 0.
            MediaError: not a video, or it cannot be read to its end; what was yielded before stays true.
            DeviceError: the device fails.
        """
        self._check_open()
        loader = self._loader(crop)
        for clip in slide(Path(path), self.spec, every_s, loader.cropper):
            prediction = self._predict(clip)
            yield replace(prediction, t_s=prediction.windows_s[-1][1])

    def stream(
        self,
        *,
        stride: int = 1,
        smooth_s: float = 0.5,
        face_gap_s: float = 0.5,
        face_device: str = "auto",
    ) -> Stream:
        """Follow one face through frames as they come; see :class:`Stream`.

        Args:
            stride: samples between predictions.
            smooth_s: time constant of the smoothing of the probabilities, seconds; 0 for none.
            face_gap_s: seconds without a face after which its state is reset.
            face_device: device of the face search: ``auto``, which is the model's, ``cpu``, ``gpu``, ``npu``
                or ``cuda``.

        Raises:
            ConfigError: a setting out of range.
            DeviceError: this machine lacks the device, or it finds drawn faces elsewhere than a CPU.

        >>> import numpy as np
        >>> with load("starter") as model, model.stream() as stream:
        ...     prediction = stream.push(np.zeros((240, 320, 3), np.uint8), 0.0)
        >>> prediction is None, stream.warming  # nobody is in view
        (True, True)
        """
        self._check_open()
        return Stream(
            self.engine,
            self.crop,
            self.bundle,
            stride=stride,
            smooth_s=smooth_s,
            face_gap_s=face_gap_s,
            face_device=face_device,
        )

    def close(self) -> None:
        """Free the device. The model cannot be used afterwards; closing it again does nothing."""
        self._closed = True
        self._opened.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.description}{', closed' if self._closed else ''}>"

    def _predict(self, clip: LoadedClip) -> Prediction:
        predicted = predict_clips(self.engine, [clip])
        probabilities = predicted.probabilities[0]
        return Prediction(
            label=self.labels[int(probabilities.argmax())],
            probabilities=dict(zip(self.labels, probabilities.tolist(), strict=True)),
            logits=tuple(predicted.logits[0].tolist()),
            frames=len(clip.frames),
            faces_found=clip.faces_found,
            faces_missed=clip.faces_missed,
            repeated=clip.repeated,
            pace=clip.pace,
            windows_s=tuple((begin / self.spec.fps, end / self.spec.fps) for begin, end in clip.spans),
        )

    def _loader(self, crop: bool) -> ClipLoader:
        """A loader for one clip after another; the face finder takes a while to load, so it is kept."""
        if not crop:
            return ClipLoader(self.spec, None)
        if self._cropping is None:
            self._cropping = self._opened.enter_context(ClipLoader(self.spec, self.crop, bundle=self.bundle))
        return self._cropping

    def _check_open(self) -> None:
        if self._closed:
            raise S2DEdgeError(f"the model {self.path} is closed; open it again with s2d_edge.load")


@contextmanager
def opened(model: Model | PathLike | None, device: str, console: Console) -> Iterator[Model]:
    """Yield a model: the given one, which stays open, or one that is loaded for the block."""
    if isinstance(model, Model):
        yield model
        return
    with load(model, device=device, console=console) as loaded:
        yield loaded


def require_existing(paths: Sequence[Path]) -> None:
    """See that there is a file or folder at each path.

    Raises:
        MediaError: names the first that is missing.
    """
    for path in paths:
        if not path.exists():
            raise MediaError(f"{path} does not exist; give a video, a picture or a folder of frames")


def _as_frames(clip: Frames) -> list[Path | Picture]:
    """The frames of a clip that is no path, each an (H, W, 3) uint8 RGB array or the path of a picture."""
    if not isinstance(clip, Iterable):
        raise MediaError(
            f"a clip is {type(clip).__name__}; give a path, (T, H, W, 3) uint8 RGB or a list of pictures"
        )
    if isinstance(clip, np.ndarray) and clip.ndim == 3:
        clip = clip[None]
    frames = [Path(frame) if isinstance(frame, str | Path) else frame for frame in clip]
    if not frames:
        raise MediaError("the clip has no frame; give at least one (H, W, 3) uint8 RGB picture")
    for frame in frames:
        if not isinstance(frame, Path):
            require_rgb(frame)
    return frames
