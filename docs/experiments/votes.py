"""Train on FER+ by hard labels, by people's votes and by SDL on hard labels, and compare the scores.

    python docs/experiments/votes.py FERPLUS OUT [--seeds 0 1 2] [--epochs 12] [--model starter] [--rows ...]

FERPLUS is the folder of the official label file and pictures. All rows see the same pictures in the same
order, but for the row with undecided ones; none mixes pictures, since SDL's anchors come from unmixed ones.
Runs that exist under OUT are kept, and one that was interrupted is resumed, so an interrupted table resumes
when repeated. Several processes may each make some rows. Scores are those of `s2d-edge evaluate --split val`,
kept in OUT/RUN.json; the same split chose the epoch, in every row. OUT/votes.md has the table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import s2d_edge
from s2d_edge.contracts.runs import RUN_FILE
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.core.files import whole_file
from s2d_edge.train.record.record import is_finished

SEVEN = "anger,disgust,fear,happiness,neutral,sadness,surprise"
_VOTES = ("image.targets=votes", "image.label_smoothing=0")
ROWS: dict[str, tuple[str, ...]] = {
    "hard labels": ("image.label_smoothing=0",),
    "hard labels, smoothed": ("image.label_smoothing=0.1",),
    "votes": _VOTES,
    "votes, undecided too": (*_VOTES, "undecided=true"),
    "SDL on hard labels": ("image.label_smoothing=0", "image.sdl.weight=1"),
}
# Title, and where the figure lies in the score; percentages have two decimals, the others four.
FIGURES = (
    ("WAR, %", ("war",), 100),
    ("UAR, %", ("uar",), 100),
    ("cross-entropy to the votes, nats", ("votes", "cross_entropy_nats"), 1),
    ("Jensen-Shannon, bits", ("votes", "jensen_shannon_bits"), 1),
    ("ECE, %", ("ece",), 100),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("ferplus", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--labels", default=SEVEN)
    arguments.add_argument("--model", default="starter")
    arguments.add_argument("--recipe", default="faces")
    arguments.add_argument("--landmark", type=Path, help="default: one is taught on the avatars")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--image-size", type=int)
    arguments.add_argument("--set", dest="changes", action="append", default=[])
    arguments.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    args = arguments.parse_args()
    for seed in args.seeds:  # all rows with one seed tell more than one row with all
        for name in args.rows:
            _score(args, name, seed)
    table = _table(args)
    with whole_file(args.out / "votes.md") as scratch:
        scratch.write_text(table, encoding="utf-8")
    print(table)


def _run_of(args: argparse.Namespace, name: str, seed: int) -> Path:
    folder: Path = args.out / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    return folder


def _score(args: argparse.Namespace, name: str, seed: int) -> None:
    """Train one run to its end, and score it, where that was not done."""
    run = _run_of(args, name, seed)
    scored = run.with_suffix(".json")
    if scored.is_file():
        return
    console = Console()
    console.say(f"{name}, seed {seed}: {run}")
    if not is_finished(run):
        if (run / RUN_FILE).is_file():
            s2d_edge.train(resume=run, console=console)
        else:
            s2d_edge.train(
                stage="image",
                data=f"ferplus:{args.ferplus}",
                labels=args.labels,
                model=args.model,
                recipe=args.recipe,
                landmark=args.landmark,
                image_size=args.image_size,
                epochs=args.epochs,
                seed=seed,
                changes=("image.augment.mixup=0", "image.augment.cutmix=0", *ROWS[name], *args.changes),
                out=run,
                console=console,
            )
    score = s2d_edge.evaluate(run, data=f"ferplus:{args.ferplus}", split="val", console=console)
    with whole_file(scored) as scratch:
        scratch.write_text(json.dumps(score), encoding="utf-8")


def _table(args: argparse.Namespace) -> str:
    """The scores of all rows as Markdown: the mean over the seeds, and their range."""
    lines = [
        "| trained on | " + " | ".join(title for title, _, _ in FIGURES) + " |",
        "| --- |" + " --- |" * len(FIGURES),
    ]
    for name in args.rows:
        scores = [
            json.loads(_run_of(args, name, seed).with_suffix(".json").read_text(encoding="utf-8"))
            for seed in args.seeds
        ]
        cells = [
            _cell([factor * _at(score, keys) for score in scores], factor) for _, keys, factor in FIGURES
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    one = scores[0]
    lines += [
        "",
        f"{args.model}, {args.epochs} epochs, seeds {', '.join(map(str, args.seeds))}; {one['n']} pictures "
        f"of FER+ val by majority of eight classes, labels {args.labels}; the votes' own entropy is "
        f"{one['votes']['entropy_nats']:.4f} nats. Means over the seeds, with the least and the largest.",
        "",
    ]
    return "\n".join(lines)


def _at(score: dict[str, Any], keys: Sequence[str]) -> float:
    found: Any = score
    for key in keys:
        found = found[key]
    return float(found)


def _cell(values: Sequence[float], factor: int) -> str:
    digits = 2 if factor == 100 else 4
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
