"""Reports are read as they were written, of every version, and damaged ones are refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.calibrate.report.render import as_markdown
from s2d_edge.calibrate.report.report_file import as_json, read_report
from s2d_edge.calibrate.report.scope import not_measured
from s2d_edge.calibrate.report.verdict import judge
from s2d_edge.core.errors import BundleError
from tests.calibrate.reports import GOOD, TRUTH, gate_of, report_of, trial_of, worsened
from tests.hostile import DAMAGED, JSON, mutated, places


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
    assert again.details == report.details
    assert again.gate == gate
    assert "Recipes tried" in as_markdown(again, same_verdict)


def test_reports_of_version_2_are_read(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    payload = as_json(report, judge(report)) | {"format_version": 2}
    del payload["gate"]
    (tmp_path / "report.json").write_text(json.dumps(payload))
    old, _, _ = read_report(tmp_path)
    assert (old.gate, old.details) == (None, report.details)


def test_reports_from_before_probabilities_were_scored_are_read(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, worsened(12))
    payload = as_json(report, judge(report))
    assert "calibration error" in as_markdown(report, judge(report))
    assert "to the votes" in as_markdown(report, judge(report))
    for side in ("fp32", "int8"):
        for key in ("ece", "reliability", "votes"):
            del payload[side]["score"][key]
    (tmp_path / "report.json").write_text(json.dumps(payload))
    old, verdict, _ = read_report(tmp_path)
    assert "calibration error" not in as_markdown(old, verdict)
    payload["fp32"]["score"]["ece"] = "low"
    (tmp_path / "report.json").write_text(json.dumps(payload))
    with pytest.raises(BundleError, match="ece"):
        read_report(tmp_path)


def test_reports_of_version_3_are_read_and_name_no_graph(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    payload = as_json(report, judge(report)) | {"format_version": 3}
    for side in ("fp32", "int8"):
        del payload[side]["graph_sha256"]
    (tmp_path / "report.json").write_text(json.dumps(payload))
    old, _, _ = read_report(tmp_path)
    assert (old.fp32.graph_sha256, old.int8.graph_sha256) == (None, None)


def test_reports_of_version_1_are_read(tmp_path: Path) -> None:
    report = report_of(TRUTH, GOOD, GOOD)
    payload = as_json(report, judge(report))
    del payload["format_version"], payload["findings"], payload["gate"]
    (tmp_path / "report.json").write_text(json.dumps(payload))
    old, _, _ = read_report(tmp_path)
    assert old.details is None
    assert "version 1" in not_measured(old)[0]
    assert "| agreement |" in as_markdown(old, judge(old))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"format_version": 5}', "format_version 5"),
        ('{"format_version": 3, "target": "cpu"}', "'fp32'"),
        ('{"data": "a", "split": "b"}', "'target'"),
    ],
)
def test_incomplete_reports_are_rejected_with_the_field(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BundleError, match=named):
        read_report(tmp_path)


@pytest.mark.slow(seconds=2)
@given(st.sampled_from(DAMAGED) | st.binary(max_size=100) | JSON.map(lambda tree: json.dumps(tree).encode()))
def test_random_bytes_are_no_report(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "report.json").write_bytes(content)
    with pytest.raises(BundleError):
        read_report(folder)


_GATE = gate_of(trial_of(TRUTH, GOOD, GOOD, passed=True))
_REPORT = replace(report_of(TRUTH, GOOD, worsened(12)), gate=_GATE)
_PAYLOAD = json.loads(json.dumps(as_json(_REPORT, judge(_REPORT))))


@pytest.mark.slow(seconds=2)
@given(st.sampled_from(list(places(_PAYLOAD))[1:]), JSON)
def test_a_report_with_one_other_value_is_rejected_or_read(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "report.json").write_text(json.dumps(mutated(_PAYLOAD, place, value)))
    with suppress(BundleError):
        report, verdict, payload = read_report(folder)
        assert as_json(report, verdict)["format_version"] == 4
        json.dumps(payload, allow_nan=False)  # as `report --json` writes it
        assert not_measured(report)
        assert as_markdown(report, verdict)
