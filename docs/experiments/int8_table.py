"""Measure the drop of INT8 by target and mode, on clips and on still photographs, as a Markdown table.

    python docs/experiments/int8_table.py RUN CLIPS STILLS OUT [--targets …] [--modes …] [--limit N] …

For each target and mode: exports RUN and calibrates it on CLIPS, as `s2d-edge export` and `calibrate` do,
which measures the drop on CLIPS' test split; then both bundles are evaluated on STILLS' test split, or N of
it. Nobody there may be in another split of CLIPS. Bundles and rows under OUT are kept, so an interrupted
script resumes when repeated. Rows that fail the gate say so.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from s2d_edge.api.opening import identify_model
from s2d_edge.api.stages import calibrate
from s2d_edge.calibrate.measure.drop import Drop, drop_between
from s2d_edge.calibrate.measure.pair import measure_pair
from s2d_edge.calibrate.report.report_file import read_report
from s2d_edge.calibrate.report.side import Side, score_side
from s2d_edge.calibrate.search.gate import GateLimits, allowance
from s2d_edge.contracts.bundle import Bundle, open_bundle
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError, TooLargeDropError, exit_with_a_sentence
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.reading.dataset import Sample, vote_table
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.export.command import export_run
from s2d_edge.firmware_host.engines import open_engine

MAX_DROP_PP, MIN_AGREEMENT = 0.5, 0.97
LIMIT = GateLimits(max_drop_pp=MAX_DROP_PP, min_agreement=MIN_AGREEMENT)
AIM = GateLimits(max_drop_pp=0.2, min_agreement=0.99)
ROWS = "int8.jsonl"
HEAD = (
    "target",
    "graph",
    "data",
    "n",
    "FP32 WAR, UAR",
    "INT8 WAR, UAR",
    "drop of WAR, pp",
    "drop of UAR, pp",
    "allowed of UAR",
    "agreement",
    "limits",
    "MB",
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that hold for every row."""

    run: Path
    clips: str
    stills: str
    out: Path
    subset: int
    seed: int
    limit: int | None
    max_drop: float
    min_agreement: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("run", type=Path)
    arguments.add_argument("clips")
    arguments.add_argument("stills")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--targets", nargs="+", default=["jetson", "intel-npu", "intel-cpu"])
    arguments.add_argument("--modes", nargs="+", default=["window", "stream"])
    arguments.add_argument("--subset", type=int, default=64)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--limit", type=int, help="photographs, drawn at random (default: all)")
    arguments.add_argument("--max-drop", type=float, default=MAX_DROP_PP, help="as calibrate takes it")
    arguments.add_argument("--min-agreement", type=float, default=100 * MIN_AGREEMENT, help="likewise")
    given = vars(arguments.parse_args())
    targets, modes = given.pop("targets"), given.pop("modes")
    args = Options(**given)
    stills = Stills(args)
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = [(target, mode) for target in targets for mode in modes]
    rows = [row for target, mode in wanted for row in _rows(args, target, mode, stills)]
    print(as_markdown(rows))


class Stills:
    """The photographs of the test split, cropped once for all bundles."""

    def __init__(self, args: Options) -> None:
        info, quiet = read_run(args.run), Console(quiet=True)
        opened = open_dataset(args.stills, quiet, info.labels)
        self.labels, self.data = info.labels, opened.name
        self._samples = opened.require_split("test")
        if args.limit is not None and args.limit < len(self._samples):
            drawn = np.random.default_rng(args.seed).choice(len(self._samples), args.limit, replace=False)
            self._samples = tuple(self._samples[at] for at in sorted(drawn))
        _require_unseen_people(self._samples, open_dataset(args.clips, quiet, info.labels).samples)
        self._spec, self._crop = info.spec, info.crop
        self._seed = args.seed
        self._clips: list[LoadedClip] | None = None

    def measure(self, fp32: Bundle, int8: Bundle) -> tuple[Side, Side, Drop]:
        """Both bundles on every photograph."""
        if self._clips is None:
            self._clips = list(load_many([each.path for each in self._samples], self._spec, self._crop))
        truth = np.array([sample.label for sample in self._samples], dtype=np.int64)
        with open_engine(fp32, "auto") as before, open_engine(int8, "auto") as after:
            one, other = measure_pair(before, after, self._clips)
        sides = [
            score_side(bundle, measured, truth, vote_table(self._samples), self._seed)
            for bundle, measured in ((fp32, one), (int8, other))
        ]
        classes = len(self.labels)
        drop = drop_between(one.predictions, other.predictions, truth, classes, self._seed)
        return sides[0], sides[1], drop


def _require_unseen_people(measured: tuple[Sample, ...], clips: tuple[Sample, ...]) -> None:
    """Raise if a person to measure on is in a split used to calibrate or to choose the recipe."""
    used = {sample.subject for sample in clips if sample.split != "test"} - {None}
    known = next((sample for sample in measured if sample.subject in used), None)
    if known is not None:
        raise DataError(f"{known.path} shows {known.subject!r}, who is in the clips' other splits too")


def _rows(args: Options, target: str, mode: str, stills: Stills) -> Iterator[Row]:
    """The rows of one target and mode, on clips and photographs; one without figures if the gate rejects."""
    console = Console()
    name = f"{args.run.name}-{target}-{mode}"
    fp32, int8 = args.out / name, args.out / f"{name}-int8"
    begin = time.monotonic()
    if not fp32.is_dir():
        export_run(target=target, mode=mode, run=args.run, data=args.clips, out=fp32, console=console)
    source = open_bundle(fp32)
    if not int8.is_dir():
        known = _known(args, identify_model(fp32))
        if known:
            yield known[0]
            return
        try:
            calibrate(
                fp32,
                data=args.clips,
                subset=args.subset,
                seed=args.seed,
                max_drop_pp=args.max_drop,
                min_agreement_percent=args.min_agreement if args.max_drop < inf else None,
                sensitivity=0,  # the table has no column for single layers
                out=int8,
                console=console,
            )
        except TooLargeDropError as refusal:
            made = {"target": target, "mode": mode, "refused": str(refusal)}
            yield from _keep(args, [made], identify_model(fp32), begin)
            return
    quantized = open_bundle(int8)
    model = identify_model(int8)
    known = _known(args, model)
    if known:
        yield from known
        return
    report = read_report(int8)[0]
    clips = (report.evaluation_data, report.fp32, report.int8, report.drop)
    measured: list[Row] = [
        {
            "target": target,
            "mode": mode,
            "data": data,
            "fp32": asdict(before),
            "int8": asdict(after),
            "drop": asdict(drop),
            "recipes_tried": None if report.gate is None else len(report.gate.trials),
        }
        for data, before, after, drop in (clips, (stills.data, *stills.measure(source, quantized)))
    ]
    yield from _keep(args, measured, model, begin)


def _keep(args: Options, rows: list[Row], model: dict[str, str], begin: float) -> list[Row]:
    """Append the rows, each with its model, to the file, and return them."""
    of = {"model": model, "limit": args.limit}
    rows = [row | of | {"seconds": round(time.monotonic() - begin)} for row in rows]
    with (args.out / ROWS).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return rows


def _known(args: Options, model: dict[str, str]) -> list[Row]:
    """The rows on file of this very bundle, on the same number of photographs."""
    file = args.out / ROWS
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    rows = [row for row in map(json.loads, lines) if row["model"] == model]
    return [row for row in rows if row.get("limit") == args.limit]


def as_markdown(rows: list[Row]) -> str:
    """The table, and below it the reasons for rejected bundles, if there are any."""
    refusals = [f"{row['target']}, {row['mode']}: {row['refused']}" for row in rows if "refused" in row]
    lines = [HEAD, ["---"] * len(HEAD), *map(_cells, rows)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), *refusals])


def _cells(row: Row) -> list[str]:
    if "refused" in row:
        return [row["target"], row["mode"], *["–"] * (len(HEAD) - 4), "**no recipe passed**", "–"]
    before, after, drop = (row[key] for key in ("fp32", "int8", "drop"))
    supports = [each["support"] for each in before["score"]["per_class"].values()]
    return [
        row["target"],
        row["mode"],
        row["data"],
        str(before["score"]["n"]),
        *(f"{100 * one['score']['war']:.1f}, {100 * one['score']['uar']:.1f}" for one in (before, after)),
        *(_points(drop[rate], drop[f"{rate}_ci95"]) for rate in ("war_pp", "uar_pp")),
        f"{allowance(supports, LIMIT).uar_pp:.2f}",
        f"{drop['agreement']:.1%}",
        _verdict(drop, supports),
        f"{before['size_bytes'] / 1e6:.1f} → {after['size_bytes'] / 1e6:.1f}",
    ]


def _points(drop: float, interval: list[float]) -> str:
    low, high = interval
    return f"{drop + 0.0:+.2f} ({low + 0.0:+.2f} to {high + 0.0:+.2f})"


def _verdict(drop: Row, supports: list[int]) -> str:
    """The verdict on the measured drop alone; judging its interval is left to the reader."""
    points = drop["war_pp"], drop["uar_pp"], drop["agreement"]
    limit = allowance(supports, LIMIT)
    aim = allowance(supports, AIM)
    if not limit.allows(*points):
        return "**missed**"
    if aim.allows(*points):
        return "kept, aim too"
    return "kept"


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
