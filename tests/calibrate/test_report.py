"""Measure two engines, judge the drop, and write the report."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from math import inf
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from s2d_edge.calibrate.measure.pair import measure_pair
from s2d_edge.calibrate.report.figures import recall_figure
from s2d_edge.calibrate.report.render import as_markdown, as_table, gate_rows, save_plot
from s2d_edge.calibrate.report.report_file import as_json, rejection_as_json, save_clips
from s2d_edge.calibrate.report.scope import not_measured
from s2d_edge.calibrate.report.verdict import gate_sentence, judge, rejection
from s2d_edge.calibrate.search.gate import GateLimits, Trial, allowance, gate_limits
from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Logits, Numbers
from s2d_edge.core.errors import DataError
from s2d_edge.data.preparing.loaded import LoadedClip
from tests.calibrate import reports
from tests.calibrate.reports import GOOD, LABELS, TRUTH, clips_of, gate_of, report_of, trial_of, worsened


class FakeEngine:
    """Takes a clip's first pixel for its logits, and adds its name to ``log`` at each call."""

    def __init__(self, name: str, log: list[str], shift: float = 0.0) -> None:
        self.description = name
        self.spec = ClipSpec(frames=2, fps=5, size=32)
        self.labels = LABELS
        self._log = log
        self._shift = np.array([0, shift, 0], dtype=np.float32)

    def infer(self, clip: Clip, numbers: Numbers | None = None) -> Logits:
        self._log.append(self.description)
        return clip[:, 0, 0, 0].astype(np.float32) / 50 + self._shift

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def loaded(*pixels: tuple[int, int, int], windows: int = 1) -> list[LoadedClip]:
    return [
        LoadedClip(
            path=Path(f"{k}.png"),
            frames=np.full((1, 32, 32, 3), pixel, dtype=np.uint8),
            index=np.zeros((windows, 2), dtype=np.int64),
            faces_found=1,
            faces_missed=0,
            repeated=False,
        )
        for k, pixel in enumerate(pixels)
    ]


def test_both_engines_predict_every_window_of_the_same_clips() -> None:
    log: list[str] = []
    clips = loaded((200, 0, 0), (0, 200, 0), (0, 0, 200), windows=2)
    fp32, int8 = measure_pair(FakeEngine("fp32", log), FakeEngine("int8", log, shift=5), iter(clips))
    assert log[:12] == ["fp32", "fp32", "int8", "int8"] * 3
    assert log[12:] == ["fp32", "int8", "int8", "fp32", "fp32", "int8"]  # timed in turns
    assert fp32.predictions.predicted.tolist() == [0, 1, 2]
    assert int8.predictions.predicted.tolist() == [1, 1, 1]
    assert len(fp32.latency_ms) == len(int8.latency_ms) == 3
    assert (fp32.latency_ms > 0).all()


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(DataError):
        measure_pair(FakeEngine("fp32", []), FakeEngine("int8", []), [])


def test_drop_is_in_points_with_a_paired_interval() -> None:
    drop = report_of(TRUTH, GOOD, worsened(12)).drop
    assert drop.war_pp == pytest.approx(10)
    assert drop.uar_pp == pytest.approx(10)
    assert drop.agreement == pytest.approx(0.9)
    assert (drop.lost, drop.won) == (12, 0)
    # Of 120 clips 12 move two of their three logits by 4 (see ``measured``).
    assert drop.rms_logit_diff == pytest.approx((12 / 120 * 2 * 4**2 / 3) ** 0.5)
    assert drop.mcnemar_p == pytest.approx(2 * 0.5**12)
    low, high = drop.war_pp_ci95
    assert 4 < low < 10 < high < 16


def test_verdicts() -> None:
    proved = judge(report_of(TRUTH, GOOD, worsened(12)))
    assert proved.passed
    assert "costs accuracy" in proved.sentences[0]
    assert "10.00 pp" in proved.sentences[0]
    small = judge(report_of(TRUTH, GOOD, worsened(1)))
    assert "No drop" in small.sentences[0]
    assert "0.83 pp" in small.sentences[0]
    swapped = GOOD.copy()
    swapped[0], swapped[-1] = TRUTH[0], (TRUTH[-1] + 1) % 3
    assert "WAR does not change" in judge(report_of(TRUTH, GOOD, swapped)).sentences[0]
    none = judge(report_of(TRUTH, GOOD, GOOD))
    assert "rule of three" in none.sentences[0]
    assert "2.50 pp" in none.sentences[0]
    better = judge(report_of(TRUTH, worsened(12), GOOD))
    assert "better" in better.sentences[0]
    assert "10.00 pp" in better.sentences[0]


def test_verdict_states_the_decision_of_the_gate() -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    first = judge(replace(report, gate=gate_of(trial_of(TRUTH, GOOD, GOOD, passed=True))))
    assert first.passed
    for figure in ("120 validation clips", "100.00 %", "0.5 pp", "0.83 pp", "'red'", "97 %"):
        assert figure in first.sentences[1]
    bad = trial_of(TRUTH, GOOD, worsened(12), passed=False)
    good = trial_of(TRUTH, GOOD, GOOD, passed=True, step="ranges", change="ranges quantile")
    second = judge(replace(report, gate=gate_of(bad, good)))
    assert second.passed
    assert "number 2 " in second.sentences[1]
    assert "ranges quantile" in second.sentences[1]


def _clips(counts: list[int]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(
    ("counts", "min_agreement", "max_drop_pp", "decisive"),
    [
        ([3, 2, 2], 0.97, 0.5, False),  # 7 clips
        ([33, 33, 33], 0.97, 0.5, False),
        ([34, 33, 33], 0.97, 0.5, True),  # 3 / 100 is 3 %
        ([10, 10, 9], 0.5, 20.0, False),
        ([10, 10, 10], 0.5, 20.0, True),
        ([150, 149, 0], 1.0, 0.5, False),
        ([150, 150, 0], 1.0, 0.5, True),
        ([300, 300, 5], 0.97, 0.5, False),  # one clip of the rarest class is 6.7 points of UAR
        ([300, 300, 5], 0.97, 7.0, True),
        ([300, 300, 12], 0.97, 0.5, True),
    ],
)
def test_a_pass_on_too_few_clips_is_no_plain_pass(
    counts: list[int], min_agreement: float, max_drop_pp: float, decisive: bool
) -> None:
    truth = _clips(counts)
    allowed = allowance(counts, GateLimits(max_drop_pp=max_drop_pp, min_agreement=min_agreement))
    gate = replace(
        gate_of(trial_of(truth, truth, truth, passed=True), n=len(truth)),
        max_drop_pp=max_drop_pp,
        uar_allowed_pp=allowed.uar_pp,
        granularity_pp=allowed.granularity_pp,
        min_agreement=min_agreement,
    )
    report = replace(report_of(TRUTH, GOOD, GOOD), gate=gate)
    verdict = judge(report)
    assert verdict.passed is (True if decisive else None)
    assert as_json(report, verdict)["gate"]["is_decisive"] is decisive
    failed = replace(gate, trials=(trial_of(truth, truth, truth, passed=False),))
    assert judge(replace(report, gate=failed)).passed is False


@pytest.mark.parametrize("passed", [True, False])
def test_a_gate_of_time_alone_decides_on_any_number_of_clips(passed: bool) -> None:
    limits = gate_limits(inf, None, 1.5)
    assert limits is not None
    truth = _clips([3, 2, 2])
    allowed = allowance([3, 2, 2], limits)
    gate = replace(
        gate_of(trial_of(truth, truth, truth, passed=passed), n=len(truth)),
        max_drop_pp=limits.max_drop_pp,
        uar_allowed_pp=allowed.uar_pp,
        granularity_pp=allowed.granularity_pp,
        min_agreement=limits.min_agreement,
        min_speedup=limits.min_speedup,
    )
    report = replace(report_of(TRUTH, GOOD, GOOD), gate=gate)
    verdict = judge(report)
    assert verdict.passed is passed
    assert not any("100 pp" in sentence for sentence in verdict.sentences)
    assert any("1.5 times as fast" in sentence for sentence in verdict.sentences)
    assert as_json(report, verdict)["gate"]["is_decisive"]


def test_speed_is_told_against_fp32_in_the_same_runtime_with_the_reason_where_it_is_not_faster() -> None:
    report = report_of(TRUTH, GOOD, GOOD)  # 40 and 10 ms
    assert any("4.00 times as fast on this machine" in sentence for sentence in judge(report).sentences)
    assert report.details is not None
    slow = replace(report, int8=replace(report.int8, latency_p50_ms=50.0))
    hindered = replace(slow, details=replace(report.details, int8_hindrance="the processor has no VNNI"))
    for told, reason in ((slow, "quantizing"), (hindered, "the processor has no VNNI")):
        (sentence,) = (each for each in judge(told).sentences if "not faster on this machine" in each)
        for part in ("50.0 ms", "40.0 ms", "0.80 times", reason, "run the FP32 bundle b"):
            assert part in sentence
        assert sentence in as_markdown(told, judge(told))
    elsewhere = replace(slow, details=replace(report.details, at_home=False), target="jetson")
    (sentence,) = (each for each in judge(elsewhere).sentences if "0.80 times" in each)
    assert "run the FP32" not in sentence
    assert "jetson" in sentence
    old = replace(slow, details=None)
    assert any("not faster on this machine" in sentence for sentence in judge(old).sentences)


def test_larger_drop_on_the_test_split_is_reported_and_decides_nothing() -> None:
    report = report_of(TRUTH, GOOD, worsened(12))
    verdict = judge(replace(report, gate=gate_of(trial_of(TRUTH, GOOD, GOOD, passed=True))))
    assert verdict.passed
    for figure in ("'test'", "10.00 pp", "0.5 pp", "90.00 %", "97 %"):
        assert figure in verdict.sentences[2]


def test_rejection_names_the_recipe_nearest_to_passing() -> None:
    worse, bad = (trial_of(TRUTH, GOOD, worsened(k), passed=False, step=str(k)) for k in (12, 3))
    without_graph = Trial(
        step="sensitive layers", change="", passed=False, outcome="no group is small enough"
    )
    gate = gate_of(worse, bad, without_graph)
    assert not gate.passed
    sentence = gate_sentence(gate)
    assert "(2)" in sentence  # were measured
    assert " 3, WAR falls by 2.50 pp" in sentence  # the best of them
    payload = json.loads(json.dumps(rejection_as_json("cpu", "colours", gate), allow_nan=False))
    assert (payload["passed"], len(payload["gate"]["trials"])) == (False, 3)
    assert payload["gate"]["trials"][1]["drop"]["war_pp"] == pytest.approx(2.5)
    assert payload["verdict"] == [sentence]
    assert [row[-1] for row in gate_rows(gate)][-1] == "no group is small enough"
    error = rejection(gate, Path("bundles/colours"))
    assert sentence in str(error)
    assert error.war_drop_pp == pytest.approx(2.5)
    assert error.agreement == pytest.approx(117 / 120)


def test_model_that_predicts_one_class_is_named() -> None:
    one_class = np.zeros(120, dtype=np.int64)
    sentences = judge(report_of(TRUTH, one_class, one_class)).sentences
    assert "FP32 itself predicts no better (WAR 33.3 %)" in sentences[-1]


def test_renderings_agree_with_the_numbers(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, worsened(12))
    verdict = judge(report)
    payload = json.loads(json.dumps(as_json(report, verdict), allow_nan=False))
    assert payload["fp32"]["score"]["war"] == pytest.approx(0.9)
    assert payload["drop"]["war_pp"] == pytest.approx(10)
    assert payload["drop_recall_pp"]["red"] == pytest.approx(10)
    assert payload["speedup_p50"] == pytest.approx(4)
    assert payload["passed"] is True
    assert payload["gate"] is None
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(as_table(report))
    table = console.export_text()
    markdown = as_markdown(report, verdict)
    for text in (table, markdown):
        for shown in ("90.00 %", "80.00 %", "-10.00 pp", "4.00× as fast", "95.0 %", "12, 0"):
            assert shown in text
    assert verdict.sentences[0] in markdown
    for shown in ("clips/108.png", "blocks.0.fc1", "INT8 hurts 'red' most", "What was not measured"):
        assert shown in markdown
    save_plot(report, tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_labels_are_drawn_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = (r"$\bad{$", "$x$", f"{'long ' * 50}$")
    monkeypatch.setattr(reports, "LABELS", labels)
    report = report_of(TRUTH, GOOD, GOOD)
    save_plot(report, tmp_path / "report.png")
    assert all(label[:20] in recall_figure(report) for label in labels)


def test_unchanged_rates_show_no_minus_zero() -> None:
    markdown = as_markdown(*(r := report_of(TRUTH, GOOD, GOOD), judge(r)))
    assert "-0.00" not in markdown
    assert "+0.00 pp" in markdown


def test_class_without_clips_is_left_out_of_the_recalls() -> None:
    truth = np.array([0, 0, 1, 1])
    report = report_of(truth, truth, truth)
    payload = as_json(report, judge(report))
    assert payload["drop_recall_pp"] == {"red": 0, "green": 0, "blue": None}
    assert "blue" not in as_markdown(report, judge(report))
    assert replace(report, frames=9).as_record().n == 4


def test_details_name_the_class_and_the_clips_that_changed() -> None:
    found = report_of(TRUTH, GOOD, worsened(12)).details
    assert found is not None
    outcomes = found.outcomes
    assert (outcomes.both_right, outcomes.only_fp32_right, outcomes.only_int8_right) == (96, 12, 0)
    assert (outcomes.both_wrong_alike, outcomes.both_wrong_differently) == (12, 0)
    assert found.worst_class is not None
    assert (found.worst_class.label, found.worst_class.lost, found.worst_class.won) == ("red", 4, 0)
    assert found.worst_class.drop_pp == pytest.approx(10)
    assert [clip.path for clip in found.most_changed] == [f"clips/{k}.png" for k in range(108, 118)]
    first = found.most_changed[0]
    assert (first.label, first.fp32, first.int8) == ("red", "red", "green")
    low, high = first.fp32_probabilities[1], first.int8_probabilities[1]
    assert first.distance == pytest.approx(high - low)  # what one class wins another loses


def test_without_a_change_no_class_and_no_clip_is_named() -> None:
    found = report_of(TRUTH, GOOD, GOOD).details
    assert found is not None
    assert found.worst_class is None
    assert found.most_changed == ()


def test_reports_on_other_clips_differ() -> None:
    same, other = clips_of(TRUTH, GOOD, GOOD), clips_of(TRUTH, GOOD, TRUTH)
    assert same.sha256 == other.sha256  # of the clips, not of the predictions
    assert clips_of(np.roll(TRUTH, 1), GOOD, GOOD).sha256 != same.sha256


def test_device_that_was_not_measured_is_named() -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    assert report.details is not None
    assert not any("device" in sentence for sentence in not_measured(report))
    elsewhere = replace(report, target="jetson", details=replace(report.details, at_home=False))
    assert "nothing was run on a Jetson, nor with TensorRT" in not_measured(elsewhere)[0]
    assert "INT8 on X" in not_measured(elsewhere)[0]
    unlayered = replace(report, details=replace(report.details, sensitivity=()))
    assert any("--sensitivity" in sentence for sentence in not_measured(unlayered))


def test_clips_are_written_with_their_logits(tmp_path: Path) -> None:
    save_clips(clips_of(TRUTH, GOOD, worsened(12)), LABELS, tmp_path / "clips.csv")
    head, first, *others = (tmp_path / "clips.csv").read_text().splitlines()
    assert head.startswith("path,label,fp32,int8,distance,fp32_logit_red")
    assert first == "clips/0.png,red,green,green,0.000000,0,4,0,0,4,0"
    assert len(others) == 119
