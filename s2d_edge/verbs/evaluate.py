"""``evaluate``: a model and labelled clips in, its accuracy out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import s2d_edge
from s2d_edge.core.names import cut_apart
from s2d_edge.verbs.options import Debug, Device, Json, Protocol, Quiet, Sets, SkipUnreadable, keep_inputs

if TYPE_CHECKING:
    from rich.table import Table

_CORNER = "true \\ predicted"
_LONGEST_NAME = 24  # characters of a label in a table
_MOST_FREQUENT = 30


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN_OR_BUNDLE]",
            help="Default: the newest bundle that fits this machine, else the newest run, else the starter.",
        ),
    ] = None,
    data: Sets = None,
    split: Annotated[str, typer.Option(help="Which split to score.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap behind the intervals.")] = 0,
    protocol: Protocol = "default",
    skip_unreadable: SkipUnreadable = False,
    device: Device = "auto",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw accuracy over confidence to FILE (.png, .svg or .pdf)."),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score a run or a bundle: WAR, UAR, F1, recall per class, confusion matrix, 95 % intervals.

    Also how sure it is against how right (expected calibration error), and how near its probabilities are to
    people's votes where the data has them.
    """
    from s2d_edge.contracts.provenance import sentences
    from s2d_edge.core.console import write_json
    from s2d_edge.verbs.evaluate_probabilities import probability_table, save_reliability
    from s2d_edge.verbs.plot_file import check_plot_file

    keep_inputs(json, data or [])
    if plot is not None:
        check_plot_file(plot, list(map(Path, data or [])))
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
    if "sets" in result:
        console.show(_sets_table(result))
    if result["ci95_method"] == "wilson":
        console.say(
            "the intervals of WAR and UAR are Wilson's: the clips of each class are all right or all wrong, "
            "so resampling them would show no width"
        )
    elif result["ci95_method"] != "bootstrap":
        console.say(
            "the interval of UAR holds Wilson's intervals of the classes whose clips are all right or all "
            "wrong, since resampling them would show no width"
        )
    console.show(probability_table(result))
    console.show(_confusion_table(result, console.rich.width))
    if plot is not None:
        save_reliability(plot, result)
        console.say(f"accuracy over confidence: {plot}")
    for sentence in sentences(result.get("made_from", {})):
        console.say(sentence)
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
    if among := result.get("restricted"):
        for key, name in (("war", "WAR"), ("uar", "UAR")):
            low, high = among[f"{key}_ci95"]
            interval = f"{100 * low:.2f} … {100 * high:.2f}"
            table.add_row(
                f"{name} among a set's labels", f"{100 * among[key]:.2f}", interval, str(among["n"])
            )
        table.add_section()
    names = cut_apart(list(result["per_class"]), _LONGEST_NAME)
    for name, entry in zip(names, result["per_class"].values(), strict=True):
        recall, interval = "–", ""
        if entry["support"]:
            recall = f"{100 * entry['recall']:.2f}"
            interval = " … ".join(f"{100 * end:.2f}" for end in entry["recall_ci95"])
        table.add_row(f"recall {name}", recall, interval, str(entry["support"]))
    lacking = list(result["left_out"])
    for name, label in zip(cut_apart(lacking, _LONGEST_NAME), lacking, strict=True):
        table.add_row(f"left out: {name}", "–", "no such label", str(result["left_out"][label]))
    if lacking:
        share = f"{100 * result['war_with_left_out']:.2f}"
        clips = str(result["n"] + sum(result["left_out"].values()))
        table.add_row("WAR, left out = wrong", share, "", clips)
    return table


def _sets_table(result: dict[str, Any]) -> Table:
    """Return the scores of each set, in percent; where it lacks labels, also those among its own."""
    from rich.table import Column, Table

    table = Table(Column("set", overflow="fold"), "WAR", "UAR", "macro F1", "clips", title="each set")
    for name, found in result["sets"].items():
        rows = [(name, found)]
        if among := found.get("restricted"):
            rows.append((f"  among its {len(found['labels'])} labels", among))
        for title, figures in rows:
            rates = [f"{100 * figures[key]:.2f}" for key in ("war", "uar", "macro_f1")]
            table.add_row(title, *rates, str(figures["n"]))
    return table


def _confusion_table(result: dict[str, Any], width: int) -> Table:
    """Return counts of clips; rows are the true classes, columns the predicted ones.

    Where the names are too wide for the terminal, columns have the numbers of the rows; where these are, too,
    a row is a kind of wrong prediction, the most frequent ones first.
    """
    from rich.cells import cell_len
    from rich.table import Table

    names, counts = cut_apart(list(result["per_class"]), _LONGEST_NAME), result["confusion"]
    digits = [max(len(str(row[k])) for row in counts) for k in range(len(names))]
    heads = [str(k) for k in range(1, len(names) + 1)]
    numbered = [f"{head} {name}" for head, name in zip(heads, names, strict=True)]
    for rows, columns in ((names, names), (numbered, heads)):
        cells = [max(map(cell_len, (*rows, _CORNER)))]
        cells += [max(cell_len(column), most) for column, most in zip(columns, digits, strict=True)]
        if sum(cells) + 3 * len(cells) + 1 <= width:  # with lines and blanks between them
            table = Table(_CORNER, *columns, title="confusion")
            for name, row in zip(rows, counts, strict=True):
                table.add_row(name, *map(str, row))
            return table
    pairs = [(row[j], i, j) for i, row in enumerate(counts) for j in range(len(names)) if i != j and row[j]]
    table = Table("true", "predicted", "clips", title="confusion, the most frequent")
    for count, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_MOST_FREQUENT]:
        table.add_row(names[i], names[j], str(count))
    return table
