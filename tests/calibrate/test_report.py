"""Measuring two engines, and the verdict on what was measured."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from s2d_edge.calibrate.measure.pair import measure_pair
from s2d_edge.calibrate.report.render import as_markdown, as_table, gate_rows, save_plot
from s2d_edge.calibrate.report.report import gate_sentence, judge, not_measured
from s2d_edge.calibrate.report.report_file import as_json, read_report, refusal_as_json, save_clips
from s2d_edge.calibrate.search.gate import Trial
from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Logits
from s2d_edge.core.errors import BundleError, DataError
from s2d_edge.data.preparing.clips import LoadedClip
from tests.calibrate.reports import LABELS, clips_of, gate_of, report_of, trial_of


class FakeEngine:
    """Answers with a clip's first pixel, and notes in ``log`` that it was asked."""

    def __init__(self, name: str, log: list[str], shift: float = 0.0) -> None:
        self.description = name
        self.spec = ClipSpec(frames=2, fps=5, size=32)
        self.labels = LABELS
        self._log = log
        self._shift = np.array([0, shift, 0], dtype=np.float32)

    def infer(self, clip: Clip) -> Logits:
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


def test_both_engines_answer_every_window_of_the_same_clips() -> None:
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
    with pytest.raises(DataError, match="no clip to measure on"):
        measure_pair(FakeEngine("fp32", []), FakeEngine("int8", []), [])


TRUTH = np.tile([0, 1, 2], 40)
GOOD = np.where(np.arange(120) < 12, (TRUTH + 1) % 3, TRUTH)  # 108 of 120 right


def worsened(clips: int) -> NDArray[np.int64]:
    answers = GOOD.copy()
    answers[-clips:] = (TRUTH[-clips:] + 1) % 3
    return answers


def test_drop_is_in_points_with_a_paired_interval() -> None:
    drop = report_of(TRUTH, GOOD, worsened(12)).drop
    assert drop.war_pp == pytest.approx(10)
    assert drop.uar_pp == pytest.approx(10)
    assert drop.agreement == pytest.approx(0.9)
    assert (drop.lost, drop.won) == (12, 0)
    # Of 120 clips 12 move two of their three logits by 4 (see ``answering``).
    assert drop.rms_logit_diff == pytest.approx((12 / 120 * 2 * 4**2 / 3) ** 0.5)
    assert drop.mcnemar_p == pytest.approx(2 * 0.5**12)
    low, high = drop.war_pp_ci95
    assert 4 < low < 10 < high < 16


def test_verdicts() -> None:
    proved = judge(report_of(TRUTH, GOOD, worsened(12)))
    assert proved.passed
    assert proved.sentences[0].startswith("INT8 costs accuracy: WAR falls by 10.00 pp")
    small = judge(report_of(TRUTH, GOOD, worsened(1)))
    assert small.sentences[0].startswith("No drop is proved: WAR falls by 0.83 pp")
    swapped = GOOD.copy()
    swapped[0], swapped[-1] = TRUTH[0], (TRUTH[-1] + 1) % 3
    assert "WAR does not change" in judge(report_of(TRUTH, GOOD, swapped)).sentences[0]
    none = judge(report_of(TRUTH, GOOD, GOOD))
    assert "rule of three" in none.sentences[0]
    assert "2.50 pp" in none.sentences[0]
    better = judge(report_of(TRUTH, worsened(12), GOOD))
    assert better.sentences[0].startswith("INT8 answers better on this split: WAR rises by 10.00 pp")


def test_verdict_tells_what_the_gate_decided() -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    first = judge(replace(report, gate=gate_of(trial_of(TRUTH, GOOD, GOOD, passed=True))))
    assert first.passed
    assert (
        "own recipe is good enough: WAR does not change and UAR does not change on the 120 validation clips, "
        "100.00 % of which are answered alike"
    ) in first.sentences[1]
    allowed = "allowed are 0.5 pp, and of UAR 0.83 pp, one clip of 'red'; wanted are 97 % alike"
    assert allowed in first.sentences[1]
    bad = trial_of(TRUTH, GOOD, worsened(12), passed=False)
    good = trial_of(TRUTH, GOOD, GOOD, passed=True, step="ranges", change="ranges quantile")
    second = judge(replace(report, gate=gate_of(bad, good)))
    assert second.passed
    assert "number 2 of those measured is: ranges (ranges quantile)" in second.sentences[1]


def test_larger_drop_on_the_test_split_is_told_and_decides_nothing() -> None:
    report = report_of(TRUTH, GOOD, worsened(12))
    verdict = judge(replace(report, gate=gate_of(trial_of(TRUTH, GOOD, GOOD, passed=True))))
    assert verdict.passed
    assert (
        "On 'test' the larger drop of WAR and UAR, 10.00 pp, is above the allowed 0.5 pp"
        " and 90.00 % are answered alike, fewer than the wanted 97 %, all the same"
    ) in verdict.sentences[2]


def test_none_that_passes_is_told_with_the_best() -> None:
    worse, bad = (trial_of(TRUTH, GOOD, worsened(k), passed=False, step=str(k)) for k in (12, 3))
    refused = Trial(step="sensitive layers", change="", passed=False, outcome="no group is small enough")
    gate = gate_of(worse, bad, refused)
    assert not gate.passed
    sentence = gate_sentence(gate)
    assert "None of the recipes that were measured (2) is good enough" in sentence
    assert "With the best of them, 3, WAR falls by 2.50 pp" in sentence
    payload = json.loads(json.dumps(refusal_as_json("cpu", "colours", gate, sentence), allow_nan=False))
    assert (payload["passed"], len(payload["gate"]["trials"])) == (False, 3)
    assert payload["gate"]["trials"][1]["drop"]["war_pp"] == pytest.approx(2.5)
    assert [row[-1] for row in gate_rows(gate)][-1] == "no group is small enough"


def test_model_that_knows_one_class_is_named() -> None:
    one_class = np.zeros(120, dtype=np.int64)
    sentences = judge(report_of(TRUTH, one_class, one_class)).sentences
    assert "FP32 itself answers no better (WAR 33.3 %)" in sentences[-1]


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


def test_findings_name_the_class_and_the_clips_that_changed() -> None:
    found = report_of(TRUTH, GOOD, worsened(12)).findings
    assert found is not None
    ended = found.outcomes
    assert (ended.both_right, ended.only_fp32_right, ended.only_int8_right) == (96, 12, 0)
    assert (ended.both_wrong_alike, ended.both_wrong_differently) == (12, 0)
    assert found.worst_class is not None
    assert (found.worst_class.label, found.worst_class.lost, found.worst_class.won) == ("red", 4, 0)
    assert found.worst_class.drop_pp == pytest.approx(10)
    assert [clip.path for clip in found.most_changed] == [f"clips/{k}.png" for k in range(108, 118)]
    first = found.most_changed[0]
    assert (first.label, first.fp32, first.int8) == ("red", "red", "green")
    low, high = first.fp32_probabilities[1], first.int8_probabilities[1]
    assert first.distance == pytest.approx(high - low)  # what one class wins another loses


def test_nothing_changed_is_no_finding() -> None:
    found = report_of(TRUTH, GOOD, GOOD).findings
    assert found is not None
    assert found.worst_class is None
    assert found.most_changed == ()


def test_reports_on_other_clips_differ() -> None:
    same, other = clips_of(TRUTH, GOOD, GOOD), clips_of(TRUTH, GOOD, TRUTH)
    assert same.sha256 == other.sha256  # of the clips, not of the answers
    assert clips_of(np.roll(TRUTH, 1), GOOD, GOOD).sha256 != same.sha256


def test_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    gate = gate_of(trial_of(TRUTH, GOOD, GOOD, passed=True))
    report = replace(report_of(TRUTH, GOOD, worsened(12)), gate=gate)
    verdict = judge(report)
    payload = as_json(report, verdict)
    (tmp_path / "report.json").write_text(json.dumps(payload))
    again, same_verdict, read = read_report(tmp_path)
    assert (
        as_json(again, same_verdict)
        == payload
        == read
        | {"drop": payload["drop"]}
        | {key: payload[key] for key in ("fp32", "int8", "findings", "gate")}
    )
    assert again.findings == report.findings
    assert again.gate == gate
    assert "Recipes tried" in as_markdown(again, same_verdict)


def test_reports_of_version_2_are_read(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    payload = as_json(report, judge(report)) | {"format_version": 2}
    del payload["gate"]
    (tmp_path / "report.json").write_text(json.dumps(payload))
    old, _, _ = read_report(tmp_path)
    assert (old.gate, old.findings) == (None, report.findings)


def test_reports_of_version_1_are_read(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    payload = as_json(report, judge(report))
    del payload["format_version"], payload["findings"], payload["gate"]
    (tmp_path / "report.json").write_text(json.dumps(payload))
    old, _, _ = read_report(tmp_path)
    assert old.findings is None
    assert "version 1" in not_measured(old)[0]
    assert "answered alike" in as_markdown(old, judge(old))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable JSON"),
        ("[]", "format_version None"),
        ('{"format_version": 4}', "format_version 4"),
        ('{"format_version": 3}', "field 'data' is missing"),
        ('{"data": "a", "split": "b"}', "field 'target'"),
    ],
)
def test_damaged_reports_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BundleError, match=said):
        read_report(tmp_path)


def test_device_that_was_not_measured_is_named() -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    assert report.findings is not None
    assert not any("device" in sentence for sentence in not_measured(report))
    elsewhere = replace(report, target="jetson", findings=replace(report.findings, at_home=False))
    assert "nothing was run on a Jetson, nor with TensorRT" in not_measured(elsewhere)[0]
    assert "INT8 on X" in not_measured(elsewhere)[0]
    unlayered = replace(report, findings=replace(report.findings, sensitivity=()))
    assert any("--sensitivity" in sentence for sentence in not_measured(unlayered))


def test_clips_are_written_with_their_logits(tmp_path: Path) -> None:
    save_clips(clips_of(TRUTH, GOOD, worsened(12)), LABELS, tmp_path / "clips.csv")
    head, first, *others = (tmp_path / "clips.csv").read_text().splitlines()
    assert head.startswith("path,label,fp32,int8,distance,fp32_logit_red")
    assert first == "clips/0.png,red,green,green,0.000000,0,4,0,0,4,0"
    assert len(others) == 119
