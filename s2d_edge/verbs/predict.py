"""Answering with one model: a labelled split (``evaluate``), or whatever paths are given (``predict``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from s2d_edge.api.opening import choose_model, identify_model, open_engine_of
from s2d_edge.contracts.clip import as_protocol
from s2d_edge.contracts.evaluation import Predictions, predict_clips, score
from s2d_edge.contracts.runs import RUN_FILE, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import MediaError
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.data.reading.open import open_dataset, require_published
from s2d_edge.firmware_host.bundles import BundleName


def evaluate_model(
    given: BundleName | None,
    *,
    data: str | None,
    split: str,
    device: str,
    seed: int,
    console: Console,
    protocol: str = "default",
    skip_unreadable: bool = False,
) -> dict[str, Any]:
    """Score a bundle or run on one split of a dataset, and print the table.

    Args:
        protocol: ``paper`` takes the first and the last consecutive frames of a published dataset's clips, as
            they are.
        skip_unreadable: leave out, and count, clips that cannot be read.

    Returns:
        The result of :func:`s2d_edge.contracts.evaluation.score`, with ``model`` (its ``name`` and the
        ``sha256`` of a bundle's manifest or a run's weights), ``data``, ``split``, ``protocol``, ``skipped``
        (how many) and, where a run chose its best epoch on the test split, ``selected_on``.

    Raises:
        ConfigError: no such protocol, or ``paper`` on data that was never published.
        DataError: no such split.
        MediaError: a clip that cannot be read, unless these are skipped.
    """
    chosen, paper = choose_model(given, device, console), as_protocol(protocol) == "paper"
    engine, crop, _ = open_engine_of(chosen, device)
    with engine:
        console.say(f"{engine.description}")
        dataset = open_dataset(data, console, engine.labels, missing_ok=skip_unreadable)
        if paper:
            require_published(dataset)
        samples = dataset.require_split(split)
        tally = LoadingTally()
        with console.progress(f"evaluating {dataset.name}/{split}", len(samples)) as advance:
            clips = load_many(
                [sample.path for sample in samples],
                engine.spec,
                None if paper else crop,
                windows="ends" if paper else "spread",
                on_unreadable=tally.skip if skip_unreadable else None,
            )
            predictions = predict_clips(engine, (clip.windows for clip in tally.watch(clips, advance)))
        tally.report(console)
        truth = np.array([sample.label for sample in tally.readable(samples)], dtype=np.int64)
        result = score(truth, predictions.predicted, engine.labels, seed=seed)
    result |= {
        "model": identify_model(chosen),
        "data": dataset.name,
        "split": split,
        "protocol": protocol,
        "skipped": len(tally.unreadable),
    }
    if split == "test" and _chosen_on_test(chosen):
        result["selected_on"] = "test"
        console.warn(
            "this run's best epoch was chosen on 'test' (--protocol paper); its score there flatters it"
        )
    console.show(score_table(result, f"{dataset.name}/{split}"))
    console.show(confusion_table(result))
    return result


def _chosen_on_test(model: Path) -> bool:
    """Whether it is a run trained by the papers' protocol."""
    return (model / RUN_FILE).is_file() and read_run(model).settings.get("protocol") == "paper"


def predict_paths(
    given: BundleName | None, inputs: Sequence[Path], *, device: str, crop: bool, console: Console
) -> dict[str, Any]:
    """Answer each path with its own clip, and print the table.

    Args:
        given: a bundle, a run folder, or a name of the starter.
        inputs: videos, pictures or folders of frames.
        crop: find and crop the face; False takes the frames as they are.

    Returns:
        ``{"results": [{"path", "label", "probabilities": {label: p}, "logits": [...]}]}``.

    Raises:
        MediaError: a path cannot be used; nothing is answered before all exist.
    """
    for entry in inputs:
        if not entry.exists():
            raise MediaError(f"{entry} does not exist; give a video, a picture or a folder of frames")
    engine, recipe, _ = open_engine_of(choose_model(given, device, console), device)
    with engine:
        console.say(f"{engine.description}")
        tally = LoadingTally()
        with console.progress("predicting", len(inputs)) as advance:
            clips = load_many(inputs, engine.spec, recipe if crop else None)
            predictions = predict_clips(engine, (clip.windows for clip in tally.watch(clips, advance)))
        tally.report(console)
        results = _results(inputs, predictions, engine.labels)
    table = Table("path", "label", "probability")
    for result in results:
        table.add_row(result["path"], result["label"], f"{result['probabilities'][result['label']]:.3f}")
    console.show(table)
    return {"results": results}


def _results(inputs: Sequence[Path], predictions: Predictions, labels: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "path": str(entry),
            "label": labels[answer],
            "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
            "logits": logits.tolist(),
        }
        for entry, answer, probabilities, logits in zip(
            inputs, predictions.predicted, predictions.probabilities, predictions.logits, strict=True
        )
    ]


def score_table(result: dict[str, Any], title: str) -> Table:
    """WAR, UAR, F1 with their intervals, and each class's recall, in per cent."""
    table = Table("measure", "%", "95 % interval", "clips", title=title)
    for key, name in (("war", "WAR"), ("uar", "UAR")):
        low, high = result[f"{key}_ci95"]
        table.add_row(
            name, f"{100 * result[key]:.2f}", f"{100 * low:.2f} … {100 * high:.2f}", str(result["n"])
        )
    table.add_row("macro F1", f"{100 * result['macro_f1']:.2f}", "", "", end_section=True)
    for label, entry in result["per_class"].items():
        recall, interval = "–", ""
        if entry["support"]:
            recall = f"{100 * entry['recall']:.2f}"
            interval = " … ".join(f"{100 * end:.2f}" for end in entry["recall_ci95"])
        table.add_row(f"recall {label}", recall, interval, str(entry["support"]))
    return table


def confusion_table(result: dict[str, Any]) -> Table:
    """Counts; rows are the true classes, columns the answers."""
    labels = list(result["per_class"])
    table = Table("true \\ answer", *labels, title="confusion")
    for label, row in zip(labels, result["confusion"], strict=True):
        table.add_row(label, *(str(count) for count in row))
    return table
