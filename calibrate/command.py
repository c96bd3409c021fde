"""``calibrate``: an FP32 bundle and clips in, an INT8 bundle and what INT8 costs out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calibrate.feeds import Counted, feeds_of
from calibrate.int8_macs import count_macs
from calibrate.measure import measure_pair
from calibrate.page import as_html
from calibrate.recipe import Recipe, recipe_for
from calibrate.render import as_markdown, as_table, save_plot
from calibrate.report import (
    ClipAnswers,
    DropReport,
    Findings,
    Verdict,
    drop_between,
    judge,
    most_changed,
    outcomes_of,
    side,
    worst_class,
)
from calibrate.report_file import CLIPS, HTML, REPORT, as_json, save_clips
from calibrate.samples import choose_samples, record, relative_path, require_disjoint
from calibrate.sensitivity import affordable_clips, layer_sensitivity
from firmware_host.engines import is_home, open_engine
from firmware_host.finding import named
from firmware_host.selftest import write_self_test
from s2d_edge.bundle import (
    BUILD_SCRIPT,
    BUNDLES,
    FORMAT_VERSION,
    HALF_GRAPH,
    Bundle,
    CalibrationRecord,
    Manifest,
    find_bundles,
    open_bundle,
    seal,
    tool_versions,
    writing_bundle,
)
from s2d_edge.console import Console, write_json
from s2d_edge.data.clips import load_many
from s2d_edge.data.datasets import open_dataset, require_split
from s2d_edge.data.samples import Dataset, Sample
from s2d_edge.data.tally import LoadingTally
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.engine import Clip
from s2d_edge.errors import BundleError, ConfigError, DataError, QuantizationError, TooLargeDropError
from s2d_edge.files import choose_output, write_text
from s2d_edge.lint.check import require_fit

_HALF_CLIPS = 8  # on which the graph typed in 16 bits is compared
_NNCF_PASSES = 2  # over the clips: before SmoothQuant, and again for ranges and biases after it


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """What the user asked for.

    Attributes:
        bundle: the FP32 bundle; None takes the newest under ``bundles``.
        data: what ``--data`` names; None is the embedded avatars.
        split: calibration clips come from it.
        eval_split: the drop is measured on it.
        subset: calibration clips wanted.
        seed: of the choice of clips and of the bootstraps.
        max_drop_pp: largest allowed drop of WAR and UAR, percentage points; None allows any.
        skip_unreadable: leave out, and count, clips that cannot be read.
        sensitivity: calibration clips to measure single layers on, 0 for none; None takes as many as do not
            take long.
        device: both graphs are measured on it.
        out: the INT8 bundle; None is ``bundles/NAME-int8``.
        json: where the report goes as JSON too, ``-`` for stdout; also when the drop is too large.
    """

    bundle: Path | None = None
    data: str | None = None
    split: str = "train"
    eval_split: str = "test"
    subset: int = 64
    seed: int = 0
    max_drop_pp: float | None = None
    skip_unreadable: bool = False
    sensitivity: int | None = None
    device: str = "auto"
    out: Path | None = None
    json: str | None = None

    def __post_init__(self) -> None:
        if self.split == self.eval_split:
            raise ConfigError(
                f"--split and --eval-split are both {self.split!r}; a drop measured on the calibration clips "
                "flatters INT8: name two different splits"
            )
        if self.subset < 1:
            raise ConfigError(f"--subset {self.subset}: at least one calibration clip is needed")
        if self.sensitivity is not None and self.sensitivity < 0:
            raise ConfigError(f"--sensitivity {self.sensitivity}: give a number of clips, or 0 for none")


def calibrate(options: CalibrateOptions, console: Console) -> tuple[Path, DropReport]:
    """Quantize a bundle, measure what that costs, and write the INT8 bundle with its report.

    Returns:
        The INT8 bundle's folder and the report.

    Raises:
        TooLargeDropError: the drop exceeds ``max_drop_pp``; the report was printed, no bundle is left.
        QuantizationError: the graph is not INT8 enough.
        UnfitGraphError: the graph is not what the target needs.
        DataError: no calibration clips, or an evaluation split that overlaps them.
        S2DEdgeError: what opening, loading and running raise.
    """
    source = _open_source(options, console)
    manifest = source.manifest
    name = f"{manifest.name.removesuffix('-fp32')}-int8"
    out = choose_output(options.out, BUNDLES / name)
    dataset = open_dataset(options.data, console, manifest.labels, missing_ok=options.skip_unreadable)
    evaluation = require_split(dataset, options.eval_split)
    chosen = choose_samples(dataset, options.split, options.subset, options.seed)
    if len(chosen) < options.subset:
        console.warn(
            f"split {options.split!r} has {len(chosen)} clips, fewer than --subset {options.subset}; "
            "all are used"
        )
    chosen, windows = _load(manifest, chosen, options, console)
    clips = record(chosen, dataset.root)
    require_disjoint(chosen, clips, evaluation)

    recipe = recipe_for(manifest.target, manifest.graph, manifest.mode)
    console.say(
        f"quantizing {source.path} for {manifest.target} on {len(chosen)} clips of "
        f"{dataset.name}/{options.split}"
    )
    with writing_bundle(out) as scratch:
        _quantize(source, scratch / manifest.graph, recipe, windows, console)
        macs = count_macs(scratch / manifest.graph)
        macs.require_int8()
        require_fit(scratch / manifest.graph, manifest.target, console)
        if manifest.target == "jetson":
            _write_for_tensorrt(source, scratch, out.name, windows[:_HALF_CLIPS], console)
        calibration = CalibrationRecord(
            data=dataset.name,
            split=options.split,
            seed=options.seed,
            recipe=recipe.as_record(),
            int8_mac_fraction=macs.fraction,
            clips=clips,
        )
        sealed = seal(scratch, _int8_manifest(manifest, out.name, calibration, recipe))
        quantized = Bundle(scratch, sealed)
        report, answers = _measure(source, quantized, dataset, evaluation, options, console)
        verdict = judge(report, options.max_drop_pp)
        if verdict.passed:
            report = _with_layers(report, source, quantized, windows, options, console)
        _show(report, verdict, console)
        if options.json is not None:
            write_json(options.json, as_json(report, verdict))
        if not verdict.passed:
            raise TooLargeDropError(f"{' '.join(verdict.sentences)} No bundle was written to {out}.")
        _write_reports(scratch, report, verdict, answers)
        self_test = write_self_test(quantized, console)
        seal(scratch, sealed.model_copy(update={"accuracy": report.as_record(), "self_test": self_test}))
    following = f"s2d-edge run --bundle {out} --camera 0"
    if manifest.target == "jetson":
        following = f"copy it to the Jetson, and there: sh {out.name}/{BUILD_SCRIPT}"
    console.say(f"wrote {out}; read {out / HTML}; next: {following}")
    return out, report


def _open_source(options: CalibrateOptions, console: Console) -> Bundle:
    path = options.bundle
    if path is not None:
        path = named(path, options.device, console)
    else:
        path = next(
            (found for found, manifest in find_bundles(BUNDLES) if manifest.precision == "fp32"), None
        )
        if path is None:
            raise BundleError(
                f"there is no FP32 bundle under {BUNDLES}/ here; make one with 's2d-edge export'"
            )
    bundle = open_bundle(path)
    if bundle.manifest.precision != "fp32":
        raise BundleError(f"{path} is INT8 already; calibrate the FP32 bundle it was made from")
    return bundle


def _load(
    manifest: Manifest, chosen: Sequence[Sample], options: CalibrateOptions, console: Console
) -> tuple[tuple[Sample, ...], list[Clip]]:
    """The calibration clips that can be read, and of each its first window."""
    tally = LoadingTally()
    with console.progress("loading calibration clips", len(chosen)) as advance:
        loading = load_many(
            [sample.path for sample in chosen],
            manifest.spec,
            manifest.crop,
            on_unreadable=tally.skip if options.skip_unreadable else None,
        )
        windows = [clip.windows[:1] for clip in tally.watch(loading, advance)]
    tally.tell(console)
    if not windows:
        raise DataError(f"none of the {len(chosen)} calibration clips can be read, such as {chosen[0].path}")
    return tally.readable(chosen), windows


def _quantize(source: Bundle, out: Path, recipe: Recipe, clips: Sequence[Clip], console: Console) -> None:
    with ExitStack() as stack:
        feeds = stack.enter_context(feeds_of(source, clips))
        advance = stack.enter_context(console.progress("quantizing", _NNCF_PASSES * len(feeds)))
        counted = Counted(feeds, advance)
        if recipe.backend == "onnx":
            from calibrate.onnx_graph import quantize_onnx

            quantize_onnx(source.graph_path, out, recipe, counted, len(feeds))
        else:
            from calibrate.openvino_graph import quantize_openvino

            quantize_openvino(source.graph_path, out, recipe, counted, len(feeds))


def _write_for_tensorrt(
    source: Bundle, folder: Path, name: str, clips: Sequence[Clip], console: Console
) -> None:
    """Beside the INT8 graph: the same typed in 16 bits, checked, and the script that builds a plan."""
    from calibrate.half_typed import require_half, write_half_typed

    int8, half = folder / source.manifest.graph, folder / HALF_GRAPH
    write_half_typed(int8, half)
    with feeds_of(source, clips) as feeds:
        found = require_half(int8, half, feeds)
    require_fit(half, source.manifest.target, console)
    console.say(
        f"typed in 16 bits, the logits move by {found.rms:.2%} of their spread (RMS); the largest number "
        f"inside is {found.largest_inside:.3g}"
    )
    write_build_script(folder, name, "int8")


def _int8_manifest(fp32: Manifest, name: str, calibration: CalibrationRecord, recipe: Recipe) -> Manifest:
    """The FP32 contract with another precision; inputs, labels, crop and the hints of FP32 stay."""
    tools = fp32.tools | tool_versions("nncf", "onnx", "onnxruntime", "openvino")
    return fp32.model_copy(
        update={
            "format_version": FORMAT_VERSION,
            "name": name,
            "precision": "int8",
            "execution": fp32.execution | recipe.execution,
            "tools": tools,
            "calibration": calibration,
            "accuracy": None,
            "self_test": None,
        }
    )


def _measure(
    source: Bundle,
    quantized: Bundle,
    dataset: Dataset,
    evaluation: Sequence[Sample],
    options: CalibrateOptions,
    console: Console,
) -> tuple[DropReport, ClipAnswers]:
    labels = source.manifest.labels
    tally = LoadingTally()
    with open_engine(source, options.device) as fp32, open_engine(quantized, options.device) as int8:
        console.say(f"measuring FP32 and INT8 in turn: {int8.description}")
        with console.progress(
            f"measuring on {dataset.name}/{options.eval_split}", len(evaluation)
        ) as advance:
            clips = load_many(
                [sample.path for sample in evaluation],
                source.manifest.spec,
                source.manifest.crop,
                on_unreadable=tally.skip if options.skip_unreadable else None,
            )
            measured = measure_pair(fp32, int8, tally.watch(clips, advance))
        identity = int8.identity
    tally.tell(console)
    read = tally.readable(evaluation)
    truth = np.array([sample.label for sample in read], dtype=np.int64)
    answers = ClipAnswers(
        paths=tuple(relative_path(sample.path, dataset.root) for sample in read),
        truth=truth,
        fp32=measured[0].predictions,
        int8=measured[1].predictions,
    )
    sides = [
        side(bundle.manifest.name, one, truth, labels, bundle.size_bytes, options.seed)
        for bundle, one in zip((source, quantized), measured, strict=True)
    ]
    assert quantized.manifest.calibration is not None  # the manifest's own check
    report = DropReport(
        target=source.manifest.target,
        fp32=sides[0],
        int8=sides[1],
        drop=drop_between(*measured, truth, len(labels), options.seed),
        calibration=quantized.manifest.calibration,
        evaluation_data=dataset.name,
        evaluation_split=options.eval_split,
        frames=tally.frames,
        faces_missed=tally.faces_missed,
        skipped=len(tally.unreadable),
        findings=Findings(
            outcomes=outcomes_of(answers),
            worst_class=worst_class(answers, labels),
            most_changed=most_changed(answers, labels),
            clips_sha256=answers.sha256,
            engine=identity,
            at_home=is_home(source.manifest.target, identity.device),
            answer="frame" if source.manifest.mode == "stream" else "clip",
            timed_answers=len(measured[1].latency_ms),
        ),
    )
    return report, answers


def _with_layers(
    report: DropReport,
    source: Bundle,
    quantized: Bundle,
    windows: Sequence[Clip],
    options: CalibrateOptions,
    console: Console,
) -> DropReport:
    """The report with what single layers cost, where it is asked for."""
    wanted = affordable_clips(quantized.graph_path) if options.sensitivity is None else options.sensitivity
    clips = windows[:wanted]
    if not clips or report.findings is None:
        return report
    try:
        layers = layer_sensitivity(source, quantized, clips, console)
    except QuantizationError as error:
        console.warn(f"single layers were not measured: {error}")
        return report
    findings = replace(report.findings, sensitivity=layers, sensitivity_clips=len(clips))
    return replace(report, findings=findings)


def _show(report: DropReport, verdict: Verdict, console: Console) -> None:
    console.show(as_table(report))
    for sentence in verdict.sentences:
        console.say(sentence)


def _write_reports(folder: Path, report: DropReport, verdict: Verdict, answers: ClipAnswers) -> None:
    labels = tuple(report.fp32.score["per_class"])
    write_json(str(folder / REPORT), as_json(report, verdict))
    save_clips(answers, labels, folder / CLIPS)
    write_text(folder / "report.md", as_markdown(report, verdict))
    write_text(folder / HTML, as_html(report, verdict, answers))
    save_plot(report, folder / "report.png")
