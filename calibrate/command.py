"""``calibrate``: an FP32 bundle and clips in, an INT8 bundle and what INT8 costs out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isnan
from pathlib import Path

import numpy as np

from s2d_edge.calibrate.graphs.sensitivity import affordable_clips, layer_sensitivity
from s2d_edge.calibrate.measure.drop import drop_between
from s2d_edge.calibrate.measure.pair import measure_pair
from s2d_edge.calibrate.quantize.float_layers import affordable_landmark
from s2d_edge.calibrate.quantize.making import Workshop
from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.calibrate.report.page import as_html
from s2d_edge.calibrate.report.render import as_markdown, as_table, gate_table, save_plot, tuning_sentences
from s2d_edge.calibrate.report.report import (
    ClipAnswers,
    DropReport,
    Findings,
    Verdict,
    gate_sentence,
    judge,
    most_changed,
    outcomes_of,
    side,
    worst_class,
)
from s2d_edge.calibrate.report.report_file import CLIPS, HTML, REPORT, as_json, refusal_as_json, save_clips
from s2d_edge.calibrate.samples import choose_samples, record, relative_path, require_disjoint, with_content
from s2d_edge.calibrate.search.choose import choose_recipe
from s2d_edge.calibrate.search.gate import GateReport
from s2d_edge.calibrate.search.tuning import Tuner, Tuning
from s2d_edge.calibrate.search.validation import ValidationClips, choose_validation, validating
from s2d_edge.contracts.bundle import (
    BUILD_SCRIPT,
    BUNDLES,
    Bundle,
    Manifest,
    open_bundle,
    read_manifest,
    seal,
    writing_bundle,
)
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.errors import BundleError, ConfigError, DataError, QuantizationError, TooLargeDropError
from s2d_edge.core.files import choose_output, write_text
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.data.reading.splits import carve_validation
from s2d_edge.firmware_host.bundles import BundleName, find_precision
from s2d_edge.firmware_host.engines import is_home, open_engine
from s2d_edge.firmware_host.selftest.selftest import write_self_test

MIN_AGREEMENT_PERCENT = 97.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """What the user asked for.

    Attributes:
        bundle: the FP32 bundle; None takes the newest under ``bundles`` that ``device`` can run.
        data: what ``--data`` names; None is the embedded avatars.
        split: calibration clips come from it.
        eval_split: the drop is measured on it.
        subset: calibration clips wanted.
        seed: of the choice of clips and of the bootstraps.
        max_drop_pp: largest allowed drop of WAR and UAR on the validation clips, percentage points; ``inf``
            allows any, and then no clips are needed to decide.
        min_agreement_percent: of the validation clips, to be answered as FP32 does; None is
            :data:`MIN_AGREEMENT_PERCENT`.
        val_split: of the validation clips; None is ``val``, or a part of ``split`` where the data has none.
        skip_unreadable: leave out, and count, clips that cannot be read.
        sensitivity: calibration clips to measure single layers on, 0 for none; None takes as many as do not
            take long.
        device: both graphs are measured on it.
        out: the INT8 bundle; None is ``bundles/NAME-int8``.
        json: where the report goes as JSON too, ``-`` for stdout; also when the drop is too large.
    """

    bundle: BundleName | None = None
    data: str | None = None
    split: str = "train"
    eval_split: str = "test"
    subset: int = 64
    seed: int = 0
    max_drop_pp: float = 0.5
    min_agreement_percent: float | None = None
    val_split: str | None = None
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
        if isnan(self.max_drop_pp) or self.max_drop_pp == -inf:
            raise ConfigError(f"--max-drop {self.max_drop_pp}: give percentage points, or inf for any drop")
        if self.min_agreement_percent is not None:
            if not 0 <= self.min_agreement_percent <= 100:
                raise ConfigError(f"--min-agreement {self.min_agreement_percent}: give 0 to 100 percent")
            if not self.is_gated:
                raise ConfigError(
                    "--max-drop inf takes the first recipe, so --min-agreement is of no use; leave out one"
                )
        if self.is_gated and self.val_split in (self.split, self.eval_split):
            raise ConfigError(
                f"--val-split {self.val_split!r} is --split or --eval-split too: the clips that decide which "
                "recipe is good enough must be neither calibrated nor measured on; name a third split"
            )
        if self.subset < 1:
            raise ConfigError(f"--subset {self.subset}: at least one calibration clip is needed")
        if self.sensitivity is not None and self.sensitivity < 0:
            raise ConfigError(f"--sensitivity {self.sensitivity}: give a number of clips, or 0 for none")

    @property
    def is_gated(self) -> bool:
        """Whether any drop is too large."""
        return self.max_drop_pp < inf

    @property
    def min_agreement(self) -> float:
        """The share of the validation clips to be answered as FP32 does."""
        given = self.min_agreement_percent
        return (MIN_AGREEMENT_PERCENT if given is None else given) / 100


def calibrate(
    options: CalibrateOptions, console: Console, tuner: Tuner | None = None
) -> tuple[Path, DropReport]:
    """Quantize a bundle until INT8 answers well enough, and write the INT8 bundle with its report.

    Validation clips decide; the evaluation split is measured on once, with the recipe they chose.

    Args:
        tuner: fine-tunes the bundle's weights where no recipe is good enough; None leaves that step out.

    Returns:
        The INT8 bundle's folder and the report.

    Raises:
        ConfigError: the tuner's run is not the bundle's, or nothing could come to its turn.
        TooLargeDropError: no recipe's drop is within ``max_drop_pp`` with enough clips answered alike; what
            was tried was printed, no bundle is left.
        QuantizationError: the graph is not INT8 enough.
        UnfitGraphError: the graph is not what the target needs.
        DataError: no calibration clips, or clips, people or content in two of the three kinds of clips.
        S2DEdgeError: what opening, loading and running raise.
    """
    source = _open_source(options, console)
    if tuner is not None:
        if not options.is_gated:
            raise ConfigError("--max-drop inf takes the first recipe, so --run is of no use; leave out one")
        tuner.check(source)
    manifest = source.manifest
    out = choose_output(options.out, BUNDLES / f"{manifest.name.removesuffix('-fp32')}-int8")
    dataset = open_dataset(options.data, console, manifest.labels, missing_ok=options.skip_unreadable)
    evaluation = dataset.require_split(options.eval_split)
    deciding = None
    if options.is_gated:
        dataset, deciding = choose_validation(
            dataset, options.val_split, options.split, options.seed, console
        )
    chosen = choose_samples(dataset, options.split, options.subset, options.seed)
    if len(chosen) < options.subset:
        console.warn(
            f"split {options.split!r} has {len(chosen)} clips to calibrate on, fewer than --subset "
            f"{options.subset}; all are used"
        )
    chosen, windows = _load(manifest, chosen, options, "calibration", console)
    clips = record(chosen, dataset.root)
    require_disjoint(chosen, clips, evaluation)
    if deciding is not None:
        require_disjoint(chosen, clips, deciding.samples, split="validation")
        readable = with_content(deciding.samples)
        require_disjoint(readable, record(readable, dataset.root), evaluation, kind="validation")

    tuning = None
    if tuner is not None:
        assert deciding is not None  # a tuner is for a gate
        tuning = _tuning(tuner, source, dataset, evaluation, deciding, options, console)

    workshop = Workshop(
        source=source,
        name=out.name,
        windows=windows,
        data=dataset.name,
        split=options.split,
        seed=options.seed,
        clips=clips,
    )
    console.say(
        f"quantizing {source.path} for {manifest.target} on {len(chosen)} clips of "
        f"{dataset.name}/{options.split}"
    )
    with tempfile.TemporaryDirectory(prefix="s2d-edge-") as folder:
        made, origin, gate = _make(workshop, deciding, Path(folder), options, tuning, console)
        if made is None:
            assert gate is not None  # without a gate, the one graph is made or an error tells why not
            raise TooLargeDropError(_refusal(workshop, gate, out, options))
        with writing_bundle(out) as scratch:
            shutil.copytree(made.path, scratch, dirs_exist_ok=True)
            report = _finish(workshop, origin, scratch, dataset, evaluation, gate, options, console)
    following = f"s2d-edge run --bundle {out} --camera 0"
    if manifest.target == "jetson":
        following = f"copy it to the Jetson, and there: sh {out.name}/{BUILD_SCRIPT}"
    console.say(f"wrote {out}; read {out / HTML}; next: {following}")
    return out, report


def _tuning(
    tuner: Tuner,
    source: Bundle,
    dataset: Dataset,
    evaluation: Sequence[Sample],
    deciding: ValidationClips,
    options: CalibrateOptions,
    console: Console,
) -> Tuning:
    """What fine-tuning may learn from: clips of the calibration split, none of which is measured on.

    Raises:
        DataError: some are, or too few people are in them to hold any out.
    """
    settings, spec = tuner.settings, source.manifest.spec
    count = settings.affordable(spec.frames * spec.size**2 * 3)
    samples = choose_samples(dataset, options.split, count, options.seed)
    clips = record(samples, dataset.root)
    require_disjoint(samples, clips, evaluation, kind="training")
    require_disjoint(samples, clips, deciding.samples, kind="training", split="validation")
    learnt, held_out = carve_validation(samples, fraction=settings.held_out, seed=options.seed)

    def load(chosen: Sequence[Sample], kind: str) -> Sequence[Clip]:
        _, windows = _load(source.manifest, chosen, options, kind, console)
        return windows

    return Tuning(tuner=tuner, load=lambda: (load(learnt, "training"), load(held_out, "held-out")))


def _make(
    workshop: Workshop,
    deciding: ValidationClips | None,
    folder: Path,
    options: CalibrateOptions,
    tuning: Tuning | None,
    console: Console,
) -> tuple[Bundle | None, Bundle, GateReport | None]:
    """The INT8 bundle that the gate lets through, if any, or without a gate that of the target's recipe.

    Beside it the FP32 bundle that it was quantized from, the given one or a fine-tuned one.
    """
    source = workshop.source
    manifest = source.manifest
    landmark = affordable_landmark(source.graph_path)
    usual = recipe_for(manifest.target, manifest.graph, manifest.mode, landmark)
    if deciding is None:
        return workshop.complete(workshop.make(folder, usual, console), console), source, None
    with validating(
        source,
        deciding.samples,
        f"{workshop.data}/{deciding.split}",
        max_drop_pp=options.max_drop_pp,
        min_agreement=options.min_agreement,
        device=options.device,
        seed=options.seed,
        skip_unreadable=options.skip_unreadable,
        console=console,
    ) as validation:
        chosen, gate = choose_recipe(workshop, usual, validation, deciding, folder, console, tuning)
    if len(gate.trials) > 1 or chosen is None:
        console.show(gate_table(gate))
    for sentence in tuning_sentences(gate):
        console.say(sentence)
    if chosen is None:
        return None, source, gate
    return chosen.bundle, chosen.origin or source, gate


def _refusal(workshop: Workshop, gate: GateReport, out: Path, options: CalibrateOptions) -> str:
    """Why there is no bundle; also as JSON, where it is wanted."""
    sentence = gate_sentence(gate)
    if options.json is not None:
        payload = refusal_as_json(workshop.source.manifest.target, workshop.data, gate, sentence)
        write_json(options.json, payload)
    return (
        f"{sentence} No bundle was written to {out}; allow more with --max-drop or --min-agreement, "
        "calibrate on more clips with --subset, or take another target"
    )


def _finish(
    workshop: Workshop,
    origin: Bundle,
    folder: Path,
    dataset: Dataset,
    evaluation: Sequence[Sample],
    gate: GateReport | None,
    options: CalibrateOptions,
    console: Console,
) -> DropReport:
    """Measure the bundle in ``folder`` on the evaluation split, and seal it with its reports.

    It is compared with the FP32 bundle that was given, and layer by layer with ``origin``, which it was
    quantized from: after fine-tuning, layers of the two FP32 models make no model together.
    """
    source = workshop.source
    sealed = read_manifest(folder)
    quantized = Bundle(folder, sealed)
    report, answers = _measure(source, quantized, dataset, evaluation, options, console)
    report = replace(report, gate=gate)
    report = _with_layers(report, origin, quantized, workshop.windows, options, console)
    verdict = judge(report)
    _show(report, verdict, console)
    if options.json is not None:
        write_json(options.json, as_json(report, verdict))
    _write_reports(folder, report, verdict, answers)
    self_test = write_self_test(quantized, console)
    seal(folder, sealed.model_copy(update={"accuracy": report.as_record(), "self_test": self_test}))
    return report


def _open_source(options: CalibrateOptions, console: Console) -> Bundle:
    path = find_precision(options.bundle, "fp32", console, device=options.device)
    bundle = open_bundle(path)
    if bundle.manifest.precision != "fp32":
        raise BundleError(f"{path} is INT8 already; calibrate the FP32 bundle it was made from")
    return bundle


def _load(
    manifest: Manifest, chosen: Sequence[Sample], options: CalibrateOptions, kind: str, console: Console
) -> tuple[tuple[Sample, ...], list[Clip]]:
    """The clips that can be read, and of each its first window; ``kind`` is what they are for, for people."""
    tally = LoadingTally()
    with console.progress(f"loading {kind} clips", len(chosen)) as advance:
        loading = load_many(
            [sample.path for sample in chosen],
            manifest.spec,
            manifest.crop,
            on_unreadable=tally.skip if options.skip_unreadable else None,
        )
        windows = [clip.windows[:1] for clip in tally.watch(loading, advance)]
    tally.report(console)
    if not windows:
        raise DataError(f"none of the {len(chosen)} {kind} clips can be read, such as {chosen[0].path}")
    return tally.readable(chosen), windows


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
    tally.report(console)
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
        drop=drop_between(measured[0].predictions, measured[1].predictions, truth, len(labels), options.seed),
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
