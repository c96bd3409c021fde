"""The verdict: what the drop proves, and what the gate decided."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.calibrate.measure.drop import Drop
from s2d_edge.calibrate.report.records import DropReport, Verdict
from s2d_edge.calibrate.report.speed import speed_sentence
from s2d_edge.calibrate.search.gate import NO_CHANGE, GateLimits, GateReport, allowance
from s2d_edge.core.errors import TooLargeDropError


def judge(report: DropReport) -> Verdict:
    """State what the drop proves, and what the gate decided."""
    n = report.fp32.score["n"]
    sentences = [_drop_sentence(report.drop, n)]
    if report.gate is not None:
        sentences.append(gate_sentence(report.gate))
        if not report.gate.is_decisive:
            sentences.append(doubt_sentence(report.gate))
        sentences += _split_sentences(report, report.gate)
    sentences.append(speed_sentence(report))
    majority = max(entry["support"] for entry in report.fp32.score["per_class"].values()) / n
    if report.fp32.score["war"] <= majority:
        sentences.append(
            f"FP32 itself predicts no better (WAR {100 * report.fp32.score['war']:.1f} %) than always naming "
            f"the most frequent class ({100 * majority:.1f} %): a drop of such a model says nothing."
        )
    passed: bool | None = report.gate is None or report.gate.passed
    if passed and report.gate is not None and not report.gate.is_decisive:
        passed = None
    return Verdict(passed=passed, sentences=tuple(sentences))


def doubt_sentence(gate: GateReport) -> str:
    """State why the validation clips are too few for the gate to decide."""
    if gate.n < gate.clips_needed:
        why = (
            f"even if all {gate.n} clips agree, this excludes, with 95 % confidence, only a disagreement of "
            f"more than {min(300 / gate.n, 100):.1f} %; at least {gate.clips_needed} clips are needed"
        )
    else:
        why = f"one clip of {gate.rarest_class!r} alone moves UAR by {gate.granularity_pp:.1f} pp"
    return f"The validation clips are too few to decide: {why}. Name more with --val-split."


def gate_sentence(gate: GateReport) -> str:
    """State the decision of the gate, and the figures behind it."""
    best, count = gate.best, sum(trial.drop is not None for trial in gate.trials)
    assert best.drop is not None  # the first recipe was measured, or nothing would be reported
    lost = (
        f"WAR {_loss(best.drop.war_pp)} and UAR {_loss(best.drop.uar_pp)} on the {gate.n} validation clips, "
        f"and FP32 and INT8 agree on {100 * best.drop.agreement:.2f} % of them"
    )
    limits = f"drops of {gate.max_drop_pp:g} pp" if gate.limits_accuracy else "any drop"
    if gate.uar_allowed_pp > gate.max_drop_pp:
        limits += f", and of UAR {gate.uar_allowed_pp:.2f} pp, one clip of {gate.rarest_class!r}"
    if gate.min_agreement > 0:
        limits += f"; {100 * gate.min_agreement:g} % agreement"
    if gate.min_speedup > 0:
        assert best.times_fp32 is not None  # measured with its drop
        lost += f"; INT8 is {1 / best.times_fp32:.2f} times as fast as FP32"
        limits += f"; {gate.min_speedup:g} times as fast"
    if not gate.passed:
        nearest = f"{best.step}" + (f" ({best.change})" if best.change != NO_CHANGE else "")
        return (
            f"None of the recipes that were measured ({count}) passes the gate. With the best of them, "
            f"{nearest}, {lost}. The limits are {limits}."
        )
    if count == 1:
        return f"The target's own recipe passes the gate: {lost}. The limits are {limits}."
    return (
        f"The target's own recipe fails the gate, and number {count} of those measured passes: {best.step} "
        f"({best.change}). With it {lost}. The limits are {limits}."
    )


def rejection(gate: GateReport, out: Path) -> TooLargeDropError:
    """Return the error for a bundle none of whose recipes passes, so that ``out`` is not written."""
    best = gate.best.drop
    assert best is not None  # the first recipe was measured
    assert gate.best.times_fp32 is not None  # with it
    advice = (
        "allow more with --max-drop or --min-agreement, calibrate on more clips with --subset, or take "
        "another target"
    )
    if gate.best.too_slow:
        advice = "run the FP32 bundle on this machine, or ask for less with --min-speedup"
    return TooLargeDropError(
        f"{gate_sentence(gate)} No bundle was written to {out}; {advice}",
        war_drop_pp=best.war_pp,
        uar_drop_pp=best.uar_pp,
        agreement=best.agreement,
        speedup=1 / gate.best.times_fp32,
    )


def _split_sentences(report: DropReport, gate: GateReport) -> list[str]:
    """Warn where the evaluation split shows a larger loss than passes on the validation clips."""
    drop, split = report.drop, report.evaluation_split
    supports = [entry["support"] for entry in report.fp32.score["per_class"].values()]
    limits = GateLimits(max_drop_pp=gate.max_drop_pp, min_agreement=gate.min_agreement)
    allowed = allowance(supports, limits)
    missed = []
    if not allowed.allows(drop.war_pp, drop.uar_pp, agreement=1.0):
        worst = max(drop.war_pp, drop.uar_pp)
        missed.append(
            f"the larger drop of WAR and UAR, {worst:.2f} pp, is above the limit of {gate.max_drop_pp:g} pp"
        )
    if drop.agreement < allowed.agreement:
        missed.append(
            f"the agreement, {100 * drop.agreement:.2f} %, is below the limit of "
            f"{100 * allowed.agreement:g} %"
        )
    if not missed:
        return []
    return [
        f"On {split!r}, however, {' and '.join(missed)}. The validation clips decide, and {split!r} was "
        "measured once, with the recipe they chose; the intervals say how much of this may be chance."
    ]


def _drop_sentence(drop: Drop, n: int) -> str:
    low, high = drop.war_pp_ci95
    if not drop.lost and not drop.won:
        return (
            f"INT8 is right and wrong on the same clips as FP32, all {n} of them; by the rule of three this "
            f"excludes, with 95 % confidence, only a WAR drop of more than {min(300 / n, 100):.2f} pp."
        )
    measured = (
        f"WAR {_loss(drop.war_pp)} (paired 95 % interval of the drop {low:+.2f} … {high:+.2f} pp, "
        f"McNemar p = {drop.mcnemar_p:.2g})"
    )
    if low > 0 and drop.mcnemar_p < 0.05:
        return f"INT8 costs accuracy: {measured} on {n} clips."
    if high < 0 and drop.mcnemar_p < 0.05:
        return f"INT8 predicts better on this split: {measured} on {n} clips."
    return f"No drop is proved: {measured}; the interval is what {n} clips can show."


def _loss(points: float) -> str:
    if points == 0:
        return "does not change"
    return f"falls by {points:.2f} pp" if points > 0 else f"rises by {-points:.2f} pp"
