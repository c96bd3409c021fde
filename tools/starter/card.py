"""The starter's model card, written from what was measured; make.sh calls it as its last step.

    python -m tools.starter.card --run RUN --photographs DATA --clips DATA --scores FOLDER > CARD.md

The words stand in card_template.md; every figure comes from a file (:mod:`tools.starter.evidence`).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from s2d_edge.core import metrics
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.firmware_host.bundles import STARTER_FOLDER
from tools.starter.evidence import SPLIT, Evidence, Scored, gather
from tools.starter.faces import hash_lines

_TEMPLATE = Path(__file__).with_name("card_template.md")


def as_markdown(evidence: Evidence) -> str:
    """The whole card."""
    run, manifest = evidence.run, evidence.shipped[0].bundle.manifest
    fields = {
        "labels": _listed(run.labels),
        "class_count": len(run.labels),
        "pace": "frame by frame" if manifest.mode == "stream" else "clip by clip",
        "names": _listed([f"`{each.name}`" for each in evidence.shipped]),
        "network": _network(evidence),
        "weights_mb": f"{evidence.weights_bytes / 1e6:.1f}",
        "weights_sha256": run.weights_sha256,
        "fps": f"{manifest.fps:g}",
        "frames": manifest.frames,
        "seconds": f"{manifest.frames / manifest.fps:g}",
        "bundles": _bundles(evidence),
        "on_photographs": _accuracy(evidence, evidence.photographs),
        "on_clips": _accuracy(evidence, evidence.clips),
        "devices": _listed(sorted({_device(each.accuracy.device) for each in evidence.shipped})),
        "drops": _drops(evidence),
        "speed": _speed(evidence.timings),
        "clips": f"{len(evidence.clips.samples):,}",
        "splits": _splits(evidence.photographs),
        "tools": ", ".join(
            f"{name} {version}" for name, version in sorted((run.tools | manifest.tools).items())
        ),
        "commands": evidence.commands.rstrip(),
        "hashes": "\n".join(hash_lines(each.bundle for each in evidence.shipped)),
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        fields | _about_people(evidence.photographs) | _skew(evidence)
    )


def _network(evidence: Evidence) -> str:
    model = evidence.run.model
    vit, temporal = model.vit, model.temporal
    text = (
        f"ViT of {vit.depth} blocks, {vit.width} wide, {vit.heads} heads, on {vit.image_size}×"
        f"{vit.image_size} pixels in patches of {vit.patch_size}; landmark network {model.landmark.width} "
        "wide"
    )
    return text if temporal is None else f"{text}; {temporal.mode} temporal adapters"


def _bundles(evidence: Evidence) -> str:
    rows = []
    for each in evidence.shipped:
        bundle, int8 = each.bundle, each.calibration.int8_mac_fraction
        rows.append(
            (
                f"`{each.name}`",
                bundle.manifest.graph,
                f"{bundle.size_bytes / 1e6:.1f}",
                f"{100 * int8:.1f} %",
                f"{bundle.manifest.state_bytes / 2**20:.2f} MiB",
            )
        )
    return _table(("bundle", "graph", "MB", "multiplications in INT8", "kept per face"), rows)


def _accuracy(evidence: Evidence, data: Dataset) -> str:
    """Three tables on one test split: rates, recalls, and the first bundle's confusion."""
    scores = [(model.title, model.on[data.name]) for model in evidence.scored]
    bundle, first = scores[1]
    labels, support = evidence.run.labels, np.asarray(first["confusion"]).sum(axis=1)
    always = int(support.argmax())
    rates = [(title, *_rates(score)) for title, score in scores]
    recalls = [
        (label, str(support[k]), *(_recall(score["confusion"][k], k) for _, score in scores))
        for k, label in enumerate(labels)
    ]
    confusion = [(label, *map(str, row)) for label, row in zip(labels, first["confusion"], strict=True)]
    return "\n\n".join(
        (
            f"{first['n']} in `{data.name}/{SPLIT}`. Always to predict *{labels[always]}* would have a WAR "
            f"of {100 * support[always] / support.sum():.1f} and a UAR of "
            f"{100 / np.count_nonzero(support):.1f}.",
            _table(("model", "WAR", "UAR", "macro F1"), rates),
            _table(("recall of", "clips", *(title for title, _ in scores)), recalls),
            f"Confusion of {bundle}; rows are the labels, columns the predictions:",
            _table(("", *labels), confusion),
        )
    )


def _rates(score: dict[str, Any]) -> tuple[str, str, str]:
    counts = np.asarray(score["confusion"], dtype=np.int64)  # (K, K)
    truth, predictions = np.nonzero(counts)
    times = counts[truth, predictions]
    f1 = metrics.macro_f1_interval(np.repeat(truth, times), np.repeat(predictions, times), len(counts))
    return (
        _rate(score["war"], score["war_ci95"]),
        _rate(score["uar"], score["uar_ci95"]),
        _rate(score["macro_f1"], f1),
    )


def _recall(row: Sequence[int], label: int) -> str:
    clips = sum(row)
    return _rate(row[label] / clips, metrics.wilson_interval(row[label], clips)) if clips else "–"


def _drops(evidence: Evidence) -> str:
    rows = []
    for each in evidence.shipped:
        found = each.accuracy
        rows.append(
            (
                f"`{each.name}`",
                f"{found.n} in `{found.data}/{found.split}`",
                _points(found.drop_war_pp, found.drop_war_pp_ci95),
                _points(found.drop_uar_pp, found.drop_uar_pp_ci95),
                f"{100 * found.agreement:.1f} %",
            )
        )
    return _table(("bundle", "clips", "drop of WAR", "drop of UAR", "agreement"), rows)


def _speed(timings: Sequence[dict[str, Any]]) -> str:
    """The section on speed, or empty text if speed was not measured."""
    if not timings:
        return ""
    rows = [
        (
            f"`{timing['name']}`",
            f"{timing['p50_ms']:.1f} ms",
            f"{timing['p95_ms']:.1f} ms",
            f"{timing['peak_memory_bytes'] / 2**20:.0f} MiB",
            _device(timing["engine"]),
        )
        for timing in timings
    ]
    table = _table(("bundle", "a prediction, p50", "p95", "peak memory", "on"), rows)
    return f"### How fast it is\n\nIn turn, in one run of `s2d-edge benchmark`:\n\n{table}\n\n"


def _about_people(photographs: Dataset) -> dict[str, str]:
    people = Counter(sample.subject for sample in photographs.samples)
    often = sum(count for _, count in people.most_common(len(people) // 10))
    return {
        "photographs": f"{len(photographs.samples):,}",
        "kinds": _kinds(photographs),
        "people": f"{len(people):,}",
        "often": _share(often / len(photographs.samples)),
    }


def _kinds(data: Dataset) -> str:
    """Sizes and formats of the pictures, as their files have them."""
    kinds: Counter[str] = Counter()
    for sample in data.samples:
        with Image.open(sample.path) as picture:
            kinds[f"{picture.format} of {picture.width}×{picture.height} pixels"] += 1
    (kind, count), *others = kinds.most_common()
    return f"{count:,} {kind}, {sum(n for _, n in others):,} others" if others else kind


def _splits(data: Dataset) -> str:
    counts = Counter((sample.split, sample.label) for sample in data.samples)
    rows = []
    for split in data.splits:
        people = {sample.subject for sample in data.split(split)}
        clips = [counts[split, label] for label in range(len(data.labels))]
        rows.append((split, f"{len(people):,}", f"{sum(clips):,}", *(f"{count:,}" for count in clips)))
    rows.sort(key=lambda row: -int(row[2].replace(",", "")))
    return _table(("split", "people", "photographs", *data.labels), rows)


def _skew(evidence: Evidence) -> dict[str, str]:
    """Shares of the classes, and where the first bundle does worst and best."""
    data, bundle = evidence.photographs, evidence.scored[1]
    shares = Counter(data.labels[sample.label] for sample in data.samples)
    recalls = _known_recalls(bundle, data)
    worst, best = (
        min(recalls, key=lambda label: recalls[label]),
        max(recalls, key=lambda label: recalls[label]),
    )
    return {
        "shares": _listed([f"{label} {_share(n / len(data.samples))}" for label, n in shares.most_common()]),
        "first": f"`{evidence.shipped[0].name}`",
        "worst": worst,
        "worst_recall": _share(recalls[worst]),
        "best": best,
        "best_recall": _share(recalls[best]),
    }


def _known_recalls(model: Scored, data: Dataset) -> dict[str, float]:
    entries = model.on[data.name]["per_class"].items()
    return {label: entry["recall"] for label, entry in entries if entry["recall"] is not None}


def _device(engine: str) -> str:
    """Runtime and device of an engine's description, which begins with the bundle and its precision."""
    return engine.split(" on ", 1)[-1].split(", frame by frame")[0].split(" (")[0]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _rate(value: float, interval: Sequence[float]) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} … {100 * interval[1]:.1f})"


def _points(value: float, interval: Sequence[float]) -> str:
    return f"{value:+.2f} ({interval[0]:+.2f} … {interval[1]:+.2f})"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def main() -> None:
    """Write the card to stdout."""
    arguments = argparse.ArgumentParser(description="Write the starter's model card from what was measured.")
    arguments.add_argument("--run", type=Path, required=True)
    arguments.add_argument("--photographs", metavar="DATA", required=True)
    arguments.add_argument("--clips", metavar="DATA", required=True)
    arguments.add_argument("--scores", type=Path, metavar="FOLDER", required=True)
    arguments.add_argument("--timings", type=Path, metavar="FILE.json")
    arguments.add_argument("--folder", type=Path, metavar="FOLDER", default=STARTER_FOLDER)
    options = arguments.parse_args()
    with exit_with_a_sentence():
        sys.stdout.write(as_markdown(gather(**vars(options))))


if __name__ == "__main__":
    main()
