"""Names that are cut stay apart, in tables and plots; labels are drawn as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from s2d_edge.core.console import Console
from s2d_edge.core.names import cut_apart
from s2d_edge.core.plots import draw_confusion, plain_text
from s2d_edge.data.check.render import as_table, save_balance
from s2d_edge.data.check.report import CheckReport
from s2d_edge.train.record.curves import draw_best, draw_curves
from s2d_edge.verbs.evaluate import _confusion_table

# What a plotting library, a table or a terminal could take for something else than text.
HOSTILE = (
    r"$\bad{$",
    "$x$",
    "a_{b}^{",
    "[bold]x[/bold]",
    "[/]",
    ":one:",
    "愤怒",
    "😀",
    "x" * 300,
    "100 %",
    "\\",
)
MAFW = (
    *("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety"),
    *("helplessness", "disappointment"),
)


@given(st.lists(st.text("ab…1", min_size=1, max_size=12), unique=True), st.integers(4, 10))
def test_cut_names_stay_apart_and_short_ones_stay_as_they_are(names: list[str], longest: int) -> None:
    short = cut_apart(names, longest)
    assert all(len(name) <= longest for name in short)
    assert all(name == cut for name, cut in zip(names, short, strict=True) if len(name) <= longest)
    # A short name may look like a cut one, "aaa…" for instance: those alone may become equal.
    assert len({*short}) == len(names) or any("…" in name for name in names)


def test_names_are_cut_where_they_differ() -> None:
    assert cut_apart(["disgust", "disappointment", "disappearance"], 8) == ["disgust", "disappo…", "disappe…"]
    assert cut_apart(["very long name one", "very long name two"], 10) == ["very … one", "very … two"]
    assert cut_apart(["a" * 20 + "b" + "c" * 20, "a" * 20 + "d" + "c" * 20], 10) == [
        "aaaaaaaa…1",
        "aaaaaaaa…2",
    ]


def test_hostile_labels_are_drawn(tmp_path: Path) -> None:
    counts = [[int(i == j) for j in range(len(HOSTILE))] for i in range(len(HOSTILE))]
    history = [{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_war": 0.5, "val_uar": 0.5}]
    draw_best(counts, HOSTILE, tmp_path, title=f"{HOSTILE[0]}\nbest")
    draw_curves(history, tmp_path, title=HOSTILE[0])
    report = CheckReport(
        name=HOSTILE[0],
        labels=HOSTILE,
        counts={HOSTILE[1]: dict.fromkeys(HOSTILE, 1)},
        notes=(),
        findings=(),
    )
    save_balance(report, tmp_path / "balance.png")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


@plain_text()
def test_ticks_of_a_confusion_matrix_stay_apart() -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    long = [f"{'a' * 40}{end}" for end in ("one", "two")]
    draw_confusion(panel, [[1, 0], [0, 1]], long)
    ticks = [tick.get_text() for tick in panel.get_xticklabels()]
    assert len({*ticks}) == 2
    assert all(len(tick) <= 24 for tick in ticks)


@pytest.mark.parametrize("width", [60, 80, 300])
@pytest.mark.parametrize("labels", [MAFW, HOSTILE, tuple(f"emotion number {k}" for k in range(60))])
def test_the_columns_of_a_confusion_table_stay_apart(width: int, labels: tuple[str, ...]) -> None:
    k = len(labels)
    result = {
        "per_class": dict.fromkeys(labels),
        "confusion": [[7 if i == j else (i + j) % 2 for j in range(k)] for i in range(k)],
    }
    console = Console()
    console.rich.width = width
    with console.rich.capture() as capture:
        console.show(_confusion_table(result, width))
    lines = capture.get().splitlines()
    names = cut_apart(labels, 24)
    heads = [cell.strip() for cell in lines[2].strip("┃").split("┃")]
    assert len({*heads}) == len(heads)
    if len(heads) == k + 1:  # a matrix: every row has its name
        assert heads[1:] in (names, [str(n + 1) for n in range(k)])
        assert all(any(name in line for line in lines) for name in names)
    else:
        assert heads == ["true", "predicted", "clips"]
    assert "…" not in "".join(heads) or width == 300


def test_tables_of_classes_fold_long_labels_and_cut_none() -> None:
    long = tuple(f"{'a' * 70}{end}" for end in ("one", "two"))
    report = CheckReport(
        name="d", labels=long, counts={"train": dict.fromkeys(long, 1)}, notes=(), findings=()
    )
    console = Console()
    console.rich.width = 60
    with console.rich.capture() as capture:
        console.show(as_table(report))
    cells = [line.split("│")[1].strip() for line in capture.get().splitlines() if "│" in line]
    assert all(label in "".join(cells) for label in long)


def test_brackets_and_colons_are_text_in_tables() -> None:
    console = Console()
    table = Table("[red]head[/red]")
    table.add_row("[x9] :one: [/]")
    with console.rich.capture() as capture:
        console.show(table)
    assert "[red]head[/red]" in capture.get()
    assert "[x9] :one: [/]" in capture.get()
