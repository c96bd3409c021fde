"""Train image models with and without pre-training and teachers, all else equal, and evaluate them.

    python docs/experiments/starts.py DATA OUT --model starter --recipe faces --seeds 0 1 2 --split val \\
        --landmark OUT/landmark --pretrain-data FACES --teacher runs/big

Rows: ``neither``; ``pretrained`` starts from the ViT that ``--stage pretrain`` made of FACES (by default of
DATA's own training pictures); ``taught`` follows the teachers; ``both``. Every row has the image stage's
recipe, epochs and seed; ``--set`` changes all of them, ``--pretrain-set`` the pre-training. Without
``--teacher``, the rows that need one are left out. Runs that exist under OUT are kept, so an interrupted
table resumes when repeated. OUT/starts.jsonl has the figures of every row, and the seconds of every training.
A row trained on val's best epoch is scored on it too, if ``--split val`` says so: equally for all rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from s2d_edge import evaluate
from s2d_edge.contracts.runs import RUN_FILE
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.train.command import train
from s2d_edge.train.record.record import is_finished

# Which row starts from a pre-training, and which follows teachers.
ROWS = {
    "neither": (False, False),
    "pretrained": (True, False),
    "taught": (False, True),
    "both": (True, True),
}


def main() -> None:
    """Train what is missing, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("data")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--model", default="starter")
    arguments.add_argument("--recipe", default="faces")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments.add_argument("--split", default="val")
    arguments.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    arguments.add_argument("--landmark", type=Path)
    arguments.add_argument("--pretrain-data")
    arguments.add_argument("--teacher", type=Path, action="append", default=[])
    arguments.add_argument("--set", dest="changes", action="append", default=[])
    arguments.add_argument("--pretrain-set", dest="pretrain_changes", action="append", default=[])
    args = arguments.parse_args()
    print("| row | seed | WAR | UAR |")
    print("| --- | --- | --- | --- |")
    for name in args.rows:
        pretrained, taught = ROWS[name]
        if taught and not args.teacher:
            continue
        for seed in args.seeds:
            options: dict[str, Any] = {"landmark": args.landmark, "model": args.model}
            if pretrained:
                options["init"] = _pretrained(args, seed)
            if taught:
                options["teacher"] = args.teacher
            run = _train(
                args,
                f"{name}-{seed}",
                stage="image",
                data=args.data,
                recipe=args.recipe,
                changes=tuple(args.changes),
                seed=seed,
                **options,
            )
            scored = evaluate(run, data=args.data, split=args.split, device="cpu")
            kept = ("n", "war", "uar", "war_ci95", "uar_ci95", "per_class")
            _record(args, {"row": name, "seed": seed, **{key: scored[key] for key in kept}})
            print(f"| {name} | {seed} | {scored['war']:.3f} | {scored['uar']:.3f} |", flush=True)


def _pretrained(args: argparse.Namespace, seed: int) -> Path:
    """The pre-training that a seed's rows start from."""
    return _train(
        args,
        f"encoder-{seed}",
        stage="pretrain",
        data=args.pretrain_data or args.data,
        model=args.model,
        changes=tuple(args.pretrain_changes),
        seed=seed,
    )


def _train(args: argparse.Namespace, name: str, **options: Any) -> Path:
    """The run ``name``, trained to its end unless it is there; how long that took goes into the record."""
    run: Path = args.out / name
    if is_finished(run):
        return run
    began = time.perf_counter()
    if (run / RUN_FILE).is_file():
        train(resume=run, console=Console())
    else:
        train(out=run, **options, console=Console())
    _record(args, {"run": name, "seconds": round(time.perf_counter() - began)})
    return run


def _record(args: argparse.Namespace, figures: dict[str, Any]) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "starts.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
