"""Open the face finder of a live run, on the device that is wanted and trusted."""

from __future__ import annotations

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Engine
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DeviceError
from s2d_edge.firmware_host.engines.base import GraphEngine
from s2d_edge.firmware_host.engines.face_runtime import open_face_runtime
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.selftest.trust import require_face_trust
from s2d_edge.media.faces.finder import MIN_CONFIDENCE, FaceFinder
from s2d_edge.media.faces.graph_search import GraphSearch
from s2d_edge.media.faces.graphs import FaceGraphs, pack_of

FACES_SEARCHED = 4  # at least, so that a followed face is found again among others


def open_face_finder(
    config: PipelineConfig,
    bundle: Bundle | None = None,
    engine: Engine | None = None,
    *,
    device: str = "auto",
    console: Console | None = None,
    skip_selftest: bool = False,
) -> FaceFinder:
    """Open a face finder for one stream, which looks for more faces than are followed.

    Args:
        bundle: its face pack is searched with, if it has one.
        engine: the bundle's, whose device ``auto`` stands for.
        device: ``auto``, ``cpu``, ``gpu``, ``npu`` or ``cuda``, of the bundle's runtime.
        console: says that a device is tested; None prints warnings only.
        skip_selftest: use a device whose points were never compared with those in the bundle.

    Raises:
        ConfigError: no such device name.
        DeviceError: this machine lacks the device, or the bundle has no face pack to run there.
        MissingExtraError: no graphs, or nothing to run them, are installed.
        SelfTestError: the device finds the drawn faces in the bundle elsewhere.
    """
    most = max(FACES_SEARCHED, config.max_faces)
    pack = None if bundle is None else pack_of(bundle)
    if bundle is None or pack is None:
        if device.lower() not in ("auto", "cpu"):
            raise DeviceError(
                f"--face-device {device}: the model has no face pack, so faces are searched on the CPU; "
                "leave it out, or export the bundle again"
            )
        return FaceFinder(static=False, max_faces=most, followed=config.max_faces, bundle=bundle)
    model_device = engine.identity.device if isinstance(engine, GraphEngine) else "cpu"
    runtime = open_face_runtime(bundle, device, model_device)
    require_face_trust(bundle, runtime, console or Console(quiet=True), skip=skip_selftest)
    search = GraphSearch(
        FaceGraphs(pack, runtime.compiled), static=False, max_faces=most, min_confidence=MIN_CONFIDENCE
    )
    return FaceFinder(static=False, followed=config.max_faces, search=search)
