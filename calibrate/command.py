"""``calibrate``: quantize an FP32 bundle to INT8, and measure what that costs in accuracy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from s2d_edge.calibrate.clips.choice import ChosenClips, ClipChoice, choose_clips
from s2d_edge.calibrate.quantize.making import Workshop
from s2d_edge.calibrate.report.measuring import add_sensitivity, measure_report
from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.calibrate.report.report_file import HTML, as_json, rejection_as_json
from s2d_edge.calibrate.report.verdict import judge, rejection
from s2d_edge.calibrate.report.writing import show_drop, show_gate, write_reports
from s2d_edge.calibrate.search.choose import Found, find_int8
from s2d_edge.calibrate.search.gate import GateLimits
from s2d_edge.calibrate.search.tuning import Tuner, prepare_tuning
from s2d_edge.contracts.bundle import (
    BUILD_SCRIPT,
    BUNDLES,
    Bundle,
    copy_face_pack,
    read_manifest,
    seal,
    writing_bundle,
)
from s2d_edge.contracts.names import name_of
from s2d_edge.contracts.provenance import copy_provenance
from s2d_edge.core.claims import choose_output, releases_claims
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.errors import BundleError, ConfigError
from s2d_edge.core.files import copy_files
from s2d_edge.core.scratch import temporary_folder
from s2d_edge.firmware_host.bundles import BundleName, find_precision
from s2d_edge.firmware_host.selftest.selftest import write_self_test
from s2d_edge.lint.check import read_graph


@releases_claims
def calibrate_bundle(
    bundle: BundleName | None,
    choice: ClipChoice,
    limits: GateLimits | None,
    *,
    tuner: Tuner | None,
    sensitivity: int | None,
    device: str,
    out: Path | None,
    json: str | None,
    console: Console,
) -> tuple[Path, DropReport]:
    """Quantize a bundle until INT8 passes the gate, and write the INT8 bundle with its report.

    Validation clips decide; the evaluation split is measured on once, with the recipe they chose.

    Args:
        bundle: the FP32 bundle; None takes the newest under ``bundles`` that ``device`` can run.
        choice: says where calibration, validation and evaluation clips come from.
        limits: of the gate; None passes any drop, and then no validation clips are needed.
        tuner: fine-tunes the bundle's weights where no recipe passes; None leaves that step out.
        sensitivity: calibration clips to measure single layers on, 0 for none; None takes as many as take
            little time.
        device: both graphs are measured on it.
        out: the INT8 bundle; None is ``bundles/NAME-int8``.
        json: file for the report as JSON, ``-`` for stdout; written too where no recipe passes.
        console: reports progress.

    Returns:
        The INT8 bundle's folder and the report.

    Raises:
        ConfigError: options that do not fit each other, or a tuner whose run is not the bundle's.
        TooLargeDropError: no recipe passes the gate; the recipes tried were shown, no bundle is left.
        QuantizationError: too little of the graph is INT8.
        UnfitGraphError: the graph breaks a rule of its target.
        DataError: no calibration clips, or a clip, a person or content in two of the three kinds of clips.
        S2DEdgeError: what opening, loading and running raise.
    """
    if sensitivity is not None and sensitivity < 0:
        raise ConfigError(f"--sensitivity {sensitivity}: give a number of clips, or 0 for none")
    if tuner is not None and limits is None:
        raise ConfigError("--max-drop inf takes the first recipe, so --run has no effect; leave out one")
    source = _open_source(bundle, device, console)
    if tuner is not None:
        tuner.check(source)
    manifest = source.manifest
    out = choose_output(out, BUNDLES / f"{manifest.name.removesuffix('-fp32')}-int8")

    clips = choose_clips(choice, manifest, console)
    tuning = None if tuner is None else prepare_tuning(tuner, clips, manifest, console)
    workshop = Workshop(source=source, name=name_of(out), clips=clips)
    console.say(
        f"quantizing {source.path} for {manifest.target} on {len(clips.calibration)} clips of "
        f"{clips.dataset.name}/{choice.split}"
    )
    with temporary_folder() as folder:
        found = find_int8(workshop, limits, tuning, folder, device, console)
        if found.gate is not None:
            show_gate(found.gate, console)
        if found.bundle is None:
            assert found.gate is not None  # without a gate there is a bundle, or an error already
            if json is not None:
                write_json(json, rejection_as_json(manifest.target, clips.dataset.name, found.gate))
            raise rejection(found.gate, out)
        with writing_bundle(out) as scratch:
            copy_files(found.bundle.path, scratch)
            report = _measure_and_seal(source, found, scratch, clips, sensitivity, device, console)
    if json is not None:  # now that the bundle is there, whatever becomes of the file
        write_json(json, as_json(report, judge(report)))
    following = f"s2d-edge run --bundle {out} --camera 0"
    if manifest.target == "jetson":
        following = f"copy it to the Jetson, and there: sh {out.name}/{BUILD_SCRIPT}"
    console.say(f"wrote {out}; read {out / HTML}; next: {following}")
    return out, report


def _open_source(given: BundleName | None, device: str, console: Console) -> Bundle:
    bundle = find_precision(given, "fp32", console, device=device)
    if bundle.manifest.precision != "fp32":
        raise BundleError(f"{bundle.path} is INT8 already; calibrate the FP32 bundle it was made from")
    read_graph(bundle.graph_path)  # its hash says only that it is what was sealed
    return bundle


def _measure_and_seal(
    source: Bundle,
    found: Found,
    folder: Path,
    clips: ChosenClips,
    sensitivity: int | None,
    device: str,
    console: Console,
) -> DropReport:
    """Measure the bundle in ``folder`` on the evaluation split, and seal it with its reports."""
    sealed = read_manifest(folder)
    int8 = Bundle(folder, sealed)
    report, predictions = measure_report(source, int8, clips, device, console)
    report = replace(report, gate=found.gate)
    report = add_sensitivity(report, found.origin, int8, clips.windows, sensitivity, console)
    verdict = judge(report)
    show_drop(report, verdict, console)
    write_reports(folder, report, verdict, predictions)
    self_test = write_self_test(int8, console)
    copy_provenance(source.path, folder)
    records = {
        "accuracy": report.as_record(),
        "self_test": self_test,
        "face": copy_face_pack(source, folder),
    }
    seal(folder, sealed.model_copy(update=records))
    return report
