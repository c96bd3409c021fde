"""The live pipeline as an iterator."""

from __future__ import annotations

from contextlib import ExitStack

from s2d_edge.api.model import Model, PathLike, load
from s2d_edge.core.console import Console
from s2d_edge.firmware_host.bundles import find_bundle
from s2d_edge.firmware_host.engines.base import GraphEngine
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.search_plan import SearchWhen
from s2d_edge.firmware_host.selftest.trust import require_trust
from s2d_edge.firmware_host.watch import LiveResults
from s2d_edge.firmware_host.watch import watch as watch_source


def watch(
    source: int | PathLike,
    model: Model | PathLike | None = None,
    *,
    stride: int = 1,
    smooth_s: float = 0.5,
    face_gap_s: float = 0.5,
    search: SearchWhen = "auto",
    max_faces: int = 1,
    device: str = "auto",
    face_device: str = "auto",
    skip_selftest: bool = False,
    console: Console | None = None,
) -> LiveResults:
    """Run the live pipeline on a camera, a video file or a network stream, and iterate over its results.

    Capture, face search and model run in threads of their own. A camera's old frames are dropped while the
    model is busy; a file waits. The iterator ends with the source. Leaving the loop, its ``with`` block or
    its ``close()`` ends the threads and closes the source.

    Args:
        source: a camera's number, a video file, or the URL of a stream, such as ``rtsp://…``.
        model: an opened model, which stays open and must not be used elsewhere meanwhile; or what
            :func:`load` takes. None takes the newest bundle that fits this machine, else the starter.
        stride: samples between results.
        smooth_s: time constant of the smoothing of the probabilities, seconds; 0 for none.
        face_gap_s: seconds without a face after which its state is reset.
        search: frames searched for faces: ``samples`` of the model's rate, ``all``, or ``auto``, the samples
            and those between where a face is new, moves quickly or is out of view.
        max_faces: faces followed at once, at most 16; a result's ``track`` numbers them.
        device: as :func:`load` takes it; an opened model stays on its own.
        face_device: where faces are searched: ``auto``, which is the model's device, ``cpu``, ``gpu``,
            ``npu`` or ``cuda``.
        skip_selftest: do not compare devices' logits and points with the bundle's before they are first used.
        console: prints which model was chosen; None prints warnings only.

    Returns:
        An iterator over :class:`LiveResult`, oldest first.

    Raises:
        ConfigError: a setting out of range.
        MediaError: the source cannot be opened; raised by the loop, it cannot be read to its end, or a file
            ended without a result.
        SelfTestError: a device's logits or points are not those that the bundle's self-tests record.
        S2DEdgeError: what :func:`load` raises.

    >>> from pathlib import Path
    >>> from s2d_edge.data.avatars.clips import write_avatar_video  # your own video does as well
    >>> acts = write_avatar_video(Path("face.mp4"), seconds=7, size=320)
    >>> for result in watch("face.mp4", "starter"):
    ...     print(f"{result.t_s:.1f} s: face {result.track}")
    ...     if result.t_s > 0.2:
    ...         break
    0.0 s: face 1
    0.2 s: face 1
    """
    console = console or Console(quiet=True)
    config = PipelineConfig(
        stride=stride, smooth_s=smooth_s, face_gap_s=face_gap_s, max_faces=max_faces, search=search
    )
    with ExitStack() as opened_here:
        if not isinstance(model, Model):
            found = find_bundle(None, device, console).path if model is None else model
            opened = opened_here.enter_context(load(found, device=device, console=console))
        else:
            opened = model
        if opened.bundle is not None and isinstance(opened.engine, GraphEngine):
            require_trust(opened.bundle, opened.engine, console, skip=skip_selftest)
        results = watch_source(
            source,
            opened.engine,
            opened.crop,
            config,
            bundle=opened.bundle,
            face_device=face_device,
            skip_selftest=skip_selftest,
            console=console,
            close_engine=not isinstance(model, Model),
        )
        opened_here.pop_all()  # from here on the results close it
    return results
