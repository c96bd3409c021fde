"""``s2d-edge run``: from a camera, file or stream to expressions, until it ends or is stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.bundle import BUNDLES, Bundle
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.engine import Engine
from s2d_edge.core.claims import refuse_same
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.core.signals import SIGNALLED, on_signals, tell
from s2d_edge.firmware_host.bundles import BundleName, find_bundle
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.face_finder import open_face_finder
from s2d_edge.firmware_host.io.capture_source import CaptureSource
from s2d_edge.firmware_host.io.json_lines import STDOUT
from s2d_edge.firmware_host.io.opening import open_source
from s2d_edge.firmware_host.io.outputs import open_outputs
from s2d_edge.firmware_host.io.panel import Display
from s2d_edge.firmware_host.io.source import Source
from s2d_edge.firmware_host.io.view import Counts, Snapshot
from s2d_edge.firmware_host.io.window import Window, open_window
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.pipeline import Pipeline
from s2d_edge.firmware_host.selftest.trust import require_trust
from s2d_edge.firmware_host.watch import require_results
from s2d_edge.media.faces.finder import FaceDetector

REFRESH_S = 1 / 15
WRITE_FAILED = 1
ABORT_WAIT_S = 10.0  # a stage may hang, such as in a write to a pipe that nobody reads


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSummary:
    """Outcome of a run.

    Attributes:
        counts: frames, faces, results and losses of the whole run.
        seconds: wall time.
        engine: description of the engine.
        ended_by: reason for the end, for people.
        exit_code: 1 if something could not be written; else 0, or 128 + the signal that ended it.
        live: True if the source set the pace, as a camera does.
        repeated_frames: True if a short file's frames were repeated to fill a clip.
        lost_results: results that could not be written.
        lost_frames: frames that could not be written to the annotated video.
    """

    counts: Counts
    seconds: float
    engine: str
    ended_by: str
    exit_code: int
    live: bool
    repeated_frames: bool
    lost_results: int = 0
    lost_frames: int = 0

    def to_text(self) -> str:
        """The summary in a few lines for people."""
        counts = self.counts
        share = counts.with_face / counts.analysed if counts.analysed else 0.0
        lines = [
            f"{self.ended_by} after {self.seconds:.1f} s: {counts.frames} frames "
            f"({counts.frames / max(self.seconds, 1e-6):.1f} per second), a face in {share:.1%} of the "
            f"{counts.analysed} searched, {counts.results} results, dropped {counts.dropped_frames} frames "
            f"and {counts.dropped_clips} clips"
        ]
        if counts.slow_results:
            lines.append(
                f"{counts.slow_results} of the results rest on samples further apart than the model learned "
                f"(the last: {counts.pace:.2g} times)"
            )
        queued = "" if self.live else ", waiting in queues included"
        if counts.latency_p50_ms is not None:
            lines.append(
                f"latency from frame to result p50 {counts.latency_p50_ms:.0f} ms, "
                f"p95 {counts.latency_p95_ms:.0f} ms{queued}; model p50 {counts.infer_p50_ms:.0f} ms"
            )
        return "\n".join(lines)


def run_live(
    console: Console,
    *,
    bundle: BundleName | None = None,
    bundles: Path = BUNDLES,
    source: int | str | Path | Source = 0,
    device: str = "auto",
    face_device: str = "auto",
    threads: int | None = None,
    config: PipelineConfig | None = None,
    show: bool = False,
    save: Path | None = None,
    json: str | None = None,
    max_seconds: float | None = None,
    skip_selftest: bool = False,
) -> LiveSummary:
    """Run until the source ends, a signal comes, time is up, or something fails.

    Args:
        console: shows progress and warnings.
        bundle: folder of a bundle, or a name of the starter; None takes the newest under ``bundles`` that
            fits the device, else the starter.
        bundles: folder that is searched for bundles.
        source: number of a camera, path of a video file, URL of a stream, or an opened source.
        device: ``auto``, ``cpu``, ``gpu``, ``npu``, ``cuda`` or ``tensorrt``.
        face_device: device of the face search; ``auto`` is the model's.
        threads: limit of the model's CPU threads; None takes every core.
        config: stride, smoothing, longest gap without a face, number of faces; None for the defaults.
        show: open a window on the screen.
        save: the annotated video to write, an ``.mp4``.
        json: the file to write results to, one JSON object per line; ``-`` for stdout.
        max_seconds: end after that many seconds of wall time.
        skip_selftest: use devices whose logits and points were never compared with those in the bundle.

    Raises:
        ConfigError: an argument out of range.
        SelfTestError: the device's logits or points are not those of the bundle's self-test.
        S2DEdgeError: no bundle, device, source or display; a source that cannot be read to its end; an
            output that cannot be opened; a file in which no face was found.
    """
    if max_seconds is not None and not max_seconds > 0:
        raise ConfigError(f"--max-seconds {max_seconds} must be positive")
    if save is not None and save.suffix.lower() != ".mp4":
        raise ConfigError(f"--save {save}: annotated video is written as .mp4; name it so")
    _keep_apart(source, save, json)
    config = config or PipelineConfig()
    with ExitStack() as stack:
        window = stack.enter_context(open_window()) if show else None
        opened = open_source(source)
        found = find_bundle(bundle, device, console, root=bundles)
        engine = stack.enter_context(open_engine(found, device, threads=threads, keep=True))
        require_trust(found, engine, console, skip=skip_selftest)
        detector = stack.enter_context(
            open_face_finder(
                config, found, engine, device=face_device, console=console, skip_selftest=skip_selftest
            )
        )
        console.say(f"{found.path}: {engine.description}{_state_text(found, config.max_faces)}")
        return stream(
            console,
            source=opened,
            detector=detector,
            engine=engine,
            recipe=found.manifest.crop,
            config=config,
            window=window,
            save=save,
            json=json,
            max_seconds=max_seconds,
        )


def _keep_apart(source: int | str | Path | Source, save: Path | None, json: str | None) -> None:
    """Refuse to write over the source, or both outputs into one file."""
    outputs = {"--save": save, "--json": None if json in (None, STDOUT) else Path(json)}
    inputs = [Path(source)] if isinstance(source, str | Path) else []
    for option, path in outputs.items():
        if path is not None:
            refuse_same(path, option, inputs)
            inputs.append(path)


def stream(
    console: Console,
    *,
    source: Source,
    detector: FaceDetector,
    engine: Engine,
    recipe: CropRecipe,
    config: PipelineConfig,
    window: Window | None = None,
    save: Path | None = None,
    json: str | None = None,
    max_seconds: float | None = None,
) -> LiveSummary:
    """Run parts that are open already, to the end; :func:`run_live` opens them."""
    display = Display(console, engine=engine.description, source=source, labels=engine.labels)
    with open_outputs(console, source, json, save) as outputs:
        pipeline = Pipeline(
            source=source,
            detector=detector,
            engine=engine,
            recipe=recipe,
            config=config,
            on_result=outputs.lines.write if outputs.lines is not None else None,
            frame_sink=outputs.recorder,
            shown=window is not None,
        )
        started_s = time.monotonic()
        deadline_s = started_s + max_seconds if max_seconds is not None else None
        with display.shown(), _until_signal() as caught:

            def reason_to_stop() -> str | None:
                if outputs.all_fail and not source.live:  # a disk may have room again before a camera ends
                    return "nothing can be written"
                return _reason_to_stop(caught, deadline_s)

            stopped_by = _run_to_end(pipeline, display, window, reason_to_stop, console, engine.spec.fps)
        counts = pipeline.counts
        if not source.live and stopped_by is None:
            require_results(source, counts)
    failed = outputs.lost_results or outputs.lost_frames
    summary = LiveSummary(
        counts=counts,
        seconds=time.monotonic() - started_s,
        engine=engine.description,
        ended_by=stopped_by or ("end of the stream" if source.live else "end of the file"),
        exit_code=WRITE_FAILED if failed else SIGNALLED + caught[0] if caught else 0,
        live=source.live,
        repeated_frames=pipeline.repeated_frames,
        lost_results=outputs.lost_results,
        lost_frames=outputs.lost_frames,
    )
    console.say(summary.to_text())
    _warn(console, summary, pipeline, engine, source)
    outputs.report(console, counts.results)
    return summary


def _run_to_end(
    pipeline: Pipeline,
    display: Display,
    window: Window | None,
    reason_to_stop: Callable[[], str | None],
    console: Console,
    fps: float,
) -> str | None:
    """Run the pipeline and show it; returns the reason it was stopped, None if the source ended.

    Warns once, when the samples first come slower than ``fps`` per second, the model's rate.
    """
    stopped_by: str | None = None
    slow = False
    pipeline.start()
    try:
        while pipeline.running:
            snapshot = pipeline.snapshot()
            if stopped_by is None:
                stopped_by = reason_to_stop()
                if stopped_by is None and window is not None and not _show(window, snapshot):
                    stopped_by = "window closed"
                if stopped_by is not None:
                    pipeline.stop()
            display.update(snapshot)
            slow = slow or _warn_slow(console, snapshot.counts, fps)
            time.sleep(REFRESH_S)
    except BaseException:
        pipeline.abort()
        pipeline.wait(ABORT_WAIT_S)  # the engine and the detector are closed next
        raise
    pipeline.join()
    if not slow:  # a short file is over before the first look
        _warn_slow(console, pipeline.counts, fps)
    return stopped_by


def _warn_slow(console: Console, counts: Counts, fps: float) -> bool:
    """Warn if samples came slower than the model learned; returns True if they did."""
    if not counts.slow_results:
        return False
    console.warn(
        f"samples come {counts.pace:.2g} times as far apart as the model learned ({fps / counts.pace:.2g} "
        f"per second instead of {fps:g}), so motion looks quicker to it than it is: the source paused, or it "
        'or the face search is slower than the model\'s rate. Results of such samples say "pace". If they '
        "stay, use a faster camera or device, or a model with a lower rate"
    )
    return True


def _reason_to_stop(caught: list[int], deadline_s: float | None) -> str | None:
    if caught:
        return f"ended by {signal.Signals(caught[0]).name}"
    if deadline_s is not None and time.monotonic() >= deadline_s:
        return "time is up (--max-seconds)"
    return None


def _show(window: Window, snapshot: Snapshot) -> bool:
    """Show the newest searched frame; False if the user closed the window."""
    return window.poll() if snapshot.frame is None else window.show(snapshot.frame.picture, snapshot.overlay)


@contextmanager
def _until_signal() -> Iterator[list[int]]:
    """Collect the first signal to end; a second one interrupts at once."""
    caught: list[int] = []

    def note(number: signal.Signals) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        tell(f"{number.name}: ending the run (again: at once)")

    with on_signals(note):
        yield caught


def _state_text(bundle: Bundle, followed: int) -> str:
    """Memory that the streams of several faces take together, for the end of a message."""
    state_bytes = bundle.manifest.state_bytes
    if followed == 1 or not state_bytes:
        return ""
    return f", at most {followed * state_bytes / 2**20:.1f} MiB for {followed} faces"


def _warn(console: Console, summary: LiveSummary, pipeline: Pipeline, engine: Engine, source: Source) -> None:
    """Warn about repeated frames, a run without results, and what was lost."""
    if summary.repeated_frames:
        console.warn(
            f"{source.name} has fewer than {engine.spec.frames} samples with a face; "
            "frames were repeated to fill its only clip"
        )
    elif not summary.counts.results:
        console.warn(
            f"no result: the first takes {pipeline.samples_wanted} samples of a face in view, at "
            f"{engine.spec.fps:g} per second"
        )
    if summary.counts.unwritten_frames:
        console.warn(
            f"{summary.counts.unwritten_frames} frames came faster than the annotated video could be written"
        )
    for fault in pipeline.faults():
        console.warn(fault)
    if isinstance(source, CaptureSource) and source.unreadable:
        console.warn(f"{source.unreadable} frames of {source.name} could not be decoded")
