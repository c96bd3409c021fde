"""Scoring a model on one split of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s2d_edge.api.given import set_names
from s2d_edge.api.model import Model, PathLike, opened
from s2d_edge.api.opening import identify_model
from s2d_edge.api.scoring import score_sets
from s2d_edge.contracts.clip import as_protocol
from s2d_edge.contracts.evaluation import predict_clips
from s2d_edge.contracts.provenance import read_provenance
from s2d_edge.contracts.runs import FRESH_HEAD, HEAD_IS_UNTRAINED, RUN_FILE, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.data.reading.joined import open_sets, require_splits
from s2d_edge.data.reading.open import require_published


def evaluate(
    model: Model | PathLike | None = None,
    *,
    data: PathLike | Sequence[PathLike] | None = None,
    split: str = "test",
    seed: int = 0,
    protocol: str = "default",
    skip_unreadable: bool = False,
    device: str = "auto",
    console: Console | None = None,
) -> dict[str, Any]:
    """Score a bundle or a run on one split of a dataset.

    Args:
        model: an opened model, or what :func:`load` takes.
        data: a CSV file, a folder with ``labels.csv``, a folder laid out as ``SPLIT/LABEL/*``, or a published
            dataset as ``NAME:ROOT``; several are scored together, and each by itself; None draws avatars.
        split: which split to score; every set must have it.
        seed: of the bootstrap behind the 95 % intervals.
        protocol: ``default``, or ``paper`` to take the first and the last consecutive frames of a published
            dataset's clips, uncropped, as the official code does.
        skip_unreadable: leave out, and count, clips that cannot be read.
        device: as :func:`load` takes it; an opened model stays on its own.
        console: shows progress; None prints warnings only.

    Returns:
        ``n`` (clips), ``war`` (weighted average recall, the share of clips predicted correctly), ``uar``
        (unweighted average recall, the mean over the classes), ``macro_f1``, all as fractions; ``war_ci95``,
        ``uar_ci95``, ``per_class``, ``confusion`` (rows truth, columns prediction); ``ece`` and
        ``reliability``, and ``votes`` where the data has people's votes, as
        :func:`s2d_edge.contracts.probability_scores.score_probabilities` has them; ``model`` (its ``name``
        and the ``sha256`` of a bundle's manifest or a run's weights), ``data``, ``split``, ``protocol``,
        ``skipped`` (how many), ``skipped_clips`` (which, and why), ``left_out`` (labels that the model
        lacks, each with the number of its clips) and ``war_with_left_out`` where there are some, which counts
        them as wrong. Where a run chose its best epoch on the test split, also ``selected_on``. Where a set
        lacks labels of the model, ``restricted`` has the scores of predictions among those it knows. Of
        several sets ``sets`` has the scores of each.

    Raises:
        ConfigError: an unknown protocol, ``paper`` on data that was never published, or a negative seed.
        DataError: no such dataset or split, or no clip with a label of the model.
        MediaError: a clip that cannot be read, unless these are skipped.
        S2DEdgeError: what :func:`load` raises.
    """
    console = console or Console(quiet=True)
    paper = as_protocol(protocol) == "paper"
    if seed < 0:
        raise ConfigError(f"--seed {seed} must be a whole number, at least 0")
    with opened(model, device, console) as chosen:
        engine = chosen.engine
        console.say(engine.description)
        dataset = open_sets(set_names(data), console, engine.labels, missing_ok=skip_unreadable)
        if paper:
            require_published(dataset)
        samples = require_splits(dataset, split)
        tally = LoadingTally()
        with console.progress(f"evaluating {dataset.name}/{split}", len(samples)) as advance:
            clips = load_many(
                [sample.path for sample in samples],
                engine.spec,
                None if paper else chosen.crop,
                windows="ends" if paper else "spread",
                bundle=chosen.bundle,
                on_unreadable=tally.skip if skip_unreadable else None,
            )
            predictions = predict_clips(engine, tally.watch(clips, advance))
        tally.report(console)
        readable = tally.readable(samples)
        result = score_sets(dataset, readable, predictions, seed=seed)
        left_out = dataset.left_out_of(split)
        result |= {
            "model": identify_model(chosen.path),
            "data": dataset.name,
            "split": split,
            "protocol": protocol,
            "skipped": len(tally.unreadable),
            "skipped_clips": dict(zip(map(str, tally.unreadable), tally.reasons, strict=True)),
            "left_out": left_out,
        }
        if left_out:
            scored = len(readable)
            result["war_with_left_out"] = result["war"] * scored / (scored + sum(left_out.values()))
        if made_from := read_provenance(chosen.path):
            result["made_from"] = made_from
        run = read_run(chosen.path) if (chosen.path / RUN_FILE).is_file() else None
        if run is not None and run.head_is_untrained:
            result["head"] = FRESH_HEAD
            console.warn(f"{HEAD_IS_UNTRAINED} {chosen.path}")
        if split == "test" and run is not None and run.settings.get("protocol") == "paper":
            result["selected_on"] = "test"
            console.warn(
                "this run's best epoch was chosen on 'test' (--protocol paper); its score there flatters it"
            )
    return result
