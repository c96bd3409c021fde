"""``export``: a run folder in, a full-precision bundle out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast, get_args

import numpy as np

from s2d_edge.contracts.bundle import (
    BUNDLES,
    FORMAT_VERSION,
    Bundle,
    Manifest,
    Mode,
    ParityRecord,
    Target,
    open_bundle,
    seal,
    tool_versions,
    writing_bundle,
)
from s2d_edge.contracts.engine import Clip
from s2d_edge.contracts.names import name_of
from s2d_edge.contracts.provenance import write_provenance
from s2d_edge.contracts.runs import HEAD_IS_UNTRAINED, RUNS, RunInfo, newest_run
from s2d_edge.core.claims import choose_output, releases_claims
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.export.faces.pack import write_pack
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.export.graph import Graph, step_graph, window_graph
from s2d_edge.export.onnx_graph import write_onnx
from s2d_edge.export.openvino_graph import write_openvino
from s2d_edge.export.parity import check_parity, load_parity_clips
from s2d_edge.export.targets import EXECUTION, GRAPH_FILES, TARGETS, GraphFormat, parse_target
from s2d_edge.firmware_host.bench.timing import alternate
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.selftest.selftest import write_self_test
from s2d_edge.lint.check import require_fit
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.engine import TorchEngine
from s2d_edge.model.s2d import S2D

WRITERS = {"onnx": write_onnx, "openvino": write_openvino}
_TIMED_S = 3.0  # for all formats together, when the faster is chosen


@releases_claims
def export_run(
    run: Path | None = None,
    *,
    target: str = "cpu",
    mode: str = "window",
    data: str | None = None,
    parity_clips: int = 4,
    out: Path | None = None,
    console: Console,
) -> Path:
    """Fuse a run's model, write it for its target, and compare it with PyTorch.

    Args:
        run: the run folder; None takes the newest under ``runs``.
        target: the device the bundle is for; one of :data:`s2d_edge.export.targets.TARGETS`.
        mode: ``window`` predicts from clips; ``stream``, for a causal model, predicts from every frame.
        data: clips for the comparison, as ``--data`` takes them; None draws avatars.
        parity_clips: number of those clips.
        out: the bundle; None is ``bundles/RUN-TARGET``, for a stream with ``-stream`` after it.
        console: reports progress.

    Returns:
        The bundle's folder.

    Raises:
        ConfigError: an unknown target or mode, or no clip to compare.
        S2DEdgeError: no run, unusable weights, a graph the target cannot take, or logits that differ from
            PyTorch's; then no bundle is left.
    """
    device, graph_mode = parse_target(target), _parse_mode(mode)
    if parity_clips < 1:
        raise ConfigError(f"--parity-clips {parity_clips}: at least one clip is needed; give 1 or more")
    path = run or newest_run(RUNS, console=console)
    model, info = load_run(path)
    name = f"{info.name}-{device}{'-stream' if graph_mode == 'stream' else ''}"
    out = choose_output(out, BUNDLES / name)
    console.say(f"exporting {path} for {device}: {info.stage} model, {model.count_parameters()}")
    if info.head_is_untrained:
        console.warn(f"{HEAD_IS_UNTRAINED} {path}")
    # Before any clip is drawn: this rejects a model that has no such mode.
    graphs = {form: graph_of(model, graph_mode, form) for form in TARGETS[device].formats}
    clips, source = load_parity_clips(info.spec, info.crop, parity_clips, data, console)
    with writing_bundle(out) as scratch, TorchEngine(model, info) as reference:
        candidates: list[tuple[Bundle, ParityRecord]] = []
        for form, graph in graphs.items():
            draft = _draft(scratch / form, form, graph, info, name_of(out), device, console)
            with open_engine(draft, "cpu") as engine:
                parity = check_parity(reference, engine, clips, source, console)
                console.say(f"parity on {engine.description}: {parity.max_abs_logit_diff:.1e}")
            candidates.append((draft, parity))
        chosen, parity = candidates[_fastest([draft for draft, _ in candidates], clips[0], console)]
        for file in chosen.path.iterdir():
            file.rename(scratch / file.name)
        for draft, _ in candidates:
            shutil.rmtree(draft.path)
        if device == "jetson":
            write_build_script(scratch, name_of(out), "fp32")
        write_provenance(scratch, info)
        records = {
            "parity": parity,
            "self_test": write_self_test(Bundle(scratch, chosen.manifest), console),
            "face": write_pack(scratch),
        }
        seal(scratch, chosen.manifest.model_copy(update=records))
    console.say(f"wrote {out} ({open_bundle(out).size_bytes / 1e6:.1f} MB)")
    if TARGETS[device].not_run:
        console.say(f"not run here: {TARGETS[device].not_run}")
    console.say(f"next: s2d-edge calibrate {out}")
    return out


def _parse_mode(name: str) -> Mode:
    if name not in get_args(Mode):
        raise ConfigError(f"--mode {name!r} is unknown; choose one of {', '.join(get_args(Mode))}")
    return cast(Mode, name)


def graph_of(model: S2D, mode: Mode, form: GraphFormat, fused: FusedS2D | None = None) -> Graph:
    """Build the graph of one mode, to be written in one format.

    ONNX Runtime writes a ring's new slot in place, on the device; OpenVINO's is copied by the host.

    Args:
        fused: an earlier fusion of ``model``, whose weights may have changed since; None fuses it now.
    """
    if mode == "stream":
        return step_graph(model, in_place=form == "onnx", fused=fused)
    return window_graph(model, fused)


def _draft(
    folder: Path,
    form: GraphFormat,
    graph: Graph,
    info: RunInfo,
    name: str,
    target: Target,
    console: Console,
) -> Bundle:
    """Write the graph in one format into ``folder``, with a manifest that has no parity figures yet."""
    folder.mkdir()
    console.say(f"writing the {form} graph")
    WRITERS[form](graph, folder / GRAPH_FILES[form])
    require_fit(folder / GRAPH_FILES[form], target, console)
    # Not validated before its parity is known: seal() does.
    manifest = Manifest.model_construct(
        format_version=FORMAT_VERSION,
        name=name,
        source_run=info.name,
        target=target,
        precision="fp32",
        mode=graph.mode,
        frames=info.spec.frames,
        fps=info.fps,
        graph=GRAPH_FILES[form],
        inputs=graph.inputs,
        outputs=graph.outputs,
        labels=info.labels,
        crop=info.crop,
        execution=EXECUTION[form],
        tools=tool_versions("torch", "onnx", "onnxruntime", "openvino"),
        files={},
        parity=None,
        calibration=None,
        accuracy=None,
    )
    return Bundle(folder, manifest)


def _fastest(drafts: Sequence[Bundle], clip: Clip, console: Console) -> int:
    """Index of the draft with the lowest median latency on this machine's CPU, measured in turn."""
    if len(drafts) == 1:
        return 0
    console.say("timing the graph formats on this machine's CPU, in turn")
    with ExitStack() as stack:
        engines = [stack.enter_context(open_engine(draft, "cpu")) for draft in drafts]
        spans = alternate(engines, clip, at_least_s=_TIMED_S)
    medians = np.median(spans, axis=1)
    best = int(medians.argmin())
    for draft, median in zip(drafts, medians, strict=True):
        chosen = "chosen" if draft is drafts[best] else f"{median / medians[best]:.2f} times the other"
        console.say(f"{draft.manifest.graph}: {median:.1f} ms a clip ({chosen})")
    return best
