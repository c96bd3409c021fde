"""A live run as an iterator: each result as it comes, and everything closed at the end."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.engine import Engine
from s2d_edge.core.console import Console
from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.face_finder import open_face_finder
from s2d_edge.firmware_host.io.opening import open_source
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.source import Source
from s2d_edge.firmware_host.io.view import Counts
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.pipeline import Pipeline
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue, QueueClosed, WhenFull
from s2d_edge.media.faces.finder import FaceDetector

RESULTS_QUEUED = 2  # few: behind a slow reader of a camera, clips are dropped and results stay fresh


def watch(
    source: int | str | Path | Source,
    engine: Engine,
    recipe: CropRecipe,
    config: PipelineConfig | None = None,
    *,
    bundle: Bundle | None = None,
    detector: FaceDetector | None = None,
    face_device: str = "auto",
    skip_selftest: bool = False,
    console: Console | None = None,
    close_engine: bool = False,
) -> LiveResults:
    """Start the live pipeline on a source and return its results as an iterator.

    Capture, face search and model start at once, in threads of their own. The iterator ends with the source,
    or when it is closed: by its ``with`` block, ``close()``, an exception out of ``next()``, or when nobody
    holds it any more (so a ``break`` out of ``for result in watch(...)`` closes it).

    A slow reader loses nothing of a file, whose pipeline waits. Of a camera or stream it loses whole clips;
    ``dropped_clips`` of each result counts them.

    Args:
        source: number of a camera, path of a video file, URL of a stream, or an opened source.
        engine: predicts each clip, (1, T, S, S, 3) uint8 RGB; it must not be used elsewhere meanwhile.
        recipe: face crop of the engine's bundle (``bundle.manifest.crop``).
        config: stride, smoothing, longest gap without a face, number of faces; None for the defaults.
        bundle: the engine's, whose face pack is searched with, if it has one.
        detector: finds the faces, and stays the caller's to close; None opens (and closes) a finder.
        face_device, skip_selftest, console: of that finder, as
            :func:`~s2d_edge.firmware_host.face_finder.open_face_finder` takes them.
        close_engine: close the engine too at the end; otherwise it can be used again afterwards.

    Raises:
        ConfigError: an unknown kind of URL, or a negative number.
        MediaError: the source cannot be opened. Raised by ``next()``: the source cannot be read to its end,
            or a file ended without a result.
        DeviceError: the device of the face search is missing or not right. Raised by ``next()``: the model's
            device failed, or its logits are not finite.
    """
    config = config or PipelineConfig()
    with ExitStack() as stack:
        if close_engine:
            stack.callback(engine.close)
        opened = open_source(source)
        if detector is None:
            detector = stack.enter_context(
                open_face_finder(
                    config,
                    bundle,
                    engine,
                    device=face_device,
                    console=console,
                    skip_selftest=skip_selftest,
                )
            )
        results: BoundedQueue[LiveResult] = BoundedQueue(RESULTS_QUEUED, WhenFull.WAIT)
        pipeline = Pipeline(
            source=opened,
            detector=detector,
            engine=engine,
            recipe=recipe,
            config=config,
            on_result=results.put,
            on_end=results.close,
        )
        return LiveResults(pipeline, opened, results, stack.pop_all())


class LiveResults(Iterator[LiveResult]):
    """The results of a running pipeline, oldest first: an iterator and a context manager.

    :func:`watch` makes it.
    """

    def __init__(
        self, pipeline: Pipeline, source: Source, results: BoundedQueue[LiveResult], cleanup: ExitStack
    ) -> None:
        """Start the pipeline.

        Args:
            pipeline: puts its results into ``results``, and closes it at its end.
            source: the pipeline's.
            results: waits when full.
            cleanup: closed when the pipeline's threads have ended.
        """
        self._pipeline = pipeline
        self._source = source
        self._results = results
        # Called once: by close(), by the garbage collector, or when the interpreter exits.
        self._end = weakref.finalize(self, _end, pipeline, results, cleanup)
        pipeline.start()

    @property
    def counts(self) -> Counts:
        """Frames, faces, results and losses so far; readable from any thread, also after the end."""
        return self._pipeline.counts

    def stop(self) -> None:
        """Take no more frames, from any thread; results of the frames already taken still come."""
        self._pipeline.stop()

    def close(self) -> None:
        """Drop what is on its way, end the threads, and close all that was opened for the run."""
        self._end()

    def __next__(self) -> LiveResult:
        """The next result; waits for it.

        Raises:
            StopIteration: the source ended, or this iterator was closed.
            S2DEdgeError: what ended the pipeline, after the results that came before it.
        """
        if not self._end.alive:
            raise StopIteration
        try:
            return self._results.get()
        except QueueClosed:
            pass
        except BaseException:  # such as Ctrl-C
            self.close()
            raise
        try:
            self._pipeline.join()
            if not self._source.live and not self._pipeline.stopping:
                require_results(self._source, self.counts)
        finally:
            self.close()
        raise StopIteration

    def __enter__(self) -> LiveResults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(pipeline: Pipeline, results: BoundedQueue[LiveResult], cleanup: ExitStack) -> None:
    """End the pipeline, then close what it used."""
    if pipeline.owns_current_thread:  # the garbage collector ran in a stage, which cannot wait for itself
        threading.Thread(target=_end, args=(pipeline, results, cleanup), name="s2d-end").start()
        return
    results.abort()
    pipeline.abort()
    pipeline.wait()
    cleanup.close()


def require_results(source: Source, counts: Counts) -> None:
    """Check that a file which ran to its end gave a result.

    Raises:
        MediaError: no face in it, or none where a sample was due.
    """
    if not counts.with_face:
        raise MediaError(
            f"no face was found in any of the {counts.frames} frames of {source.name}; there is no result: "
            "check that a face is in view, upright and large enough"
        )
    if not counts.results:
        raise MediaError(
            f"a face was found in {counts.with_face} of the {counts.frames} frames of {source.name}, but in "
            "none that was due as a sample; there is no result: use a clip in which a face stays in view"
        )
