"""``evaluate``: a model and labelled clips in, its accuracy out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import s2d_edge
from s2d_edge.verbs.options import Data, Debug, Device, Json, Protocol, Quiet, SkipUnreadable

if TYPE_CHECKING:
    from rich.table import Table


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN_OR_BUNDLE]",
            help="Default: the newest bundle that fits this machine, else the newest run, else the starter.",
        ),
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split to score.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap behind the intervals.")] = 0,
    protocol: Protocol = "default",
    skip_unreadable: SkipUnreadable = False,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score a run or a bundle: WAR, UAR, F1, recall per class, confusion matrix, 95 % intervals."""
    from s2d_edge.core.console import write_json

    console = s2d_edge.Console(quiet=quiet)
    result = s2d_edge.evaluate(
        model,
        data=data,
        split=split,
        seed=seed,
        protocol=protocol,
        skip_unreadable=skip_unreadable,
        device=device,
        console=console,
    )
    console.show(_score_table(result))
    console.show(_confusion_table(result))
    if json is not None:
        write_json(json, result)


def _score_table(result: dict[str, Any]) -> Table:
    """Return WAR, UAR and F1 with their intervals, and each class's recall, in percent."""
    from rich.table import Table

    table = Table("measure", "%", "95 % interval", "clips", title=f"{result['data']}/{result['split']}")
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


def _confusion_table(result: dict[str, Any]) -> Table:
    """Return counts of clips; rows are the true classes, columns the predicted ones."""
    from rich.table import Table

    labels = list(result["per_class"])
    table = Table("true \\ predicted", *labels, title="confusion")
    for label, row in zip(labels, result["confusion"], strict=True):
        table.add_row(label, *(str(count) for count in row))
    return table
