"""Compare the figures of two installations: WAR, UAR, logits and self-tests, number by number.

    python -m tools.same_figures 'env PYTHONPATH=../before python -m s2d_edge' 'python -m s2d_edge'

Both commands get the same command lines, each in a folder and with a cache of its own: drawing avatars, then
selftest and evaluate with every starter. Further figures on request:

    --clips VIDEO...      predict these videos with every starter
    --data DATA           evaluate every starter on this data too
    --parity FOLDER       import the official fixture of that folder, then predict, export and predict again;
                          needs --landmark FILE
    --demos BEFORE AFTER  compare two folders that 's2d-edge demo --out FOLDER' wrote

Prints one line per command. Ends with exit code 1 if a number or a label differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

STARTERS = ("starter-intel-cpu", "starter-jetson")
# The avatars under the starters' names of the same expressions.
LABELLED = "avatars/starter.csv"
_LABELS = {
    "angry": "anger",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
# JSON that may differ between two runs: times, sizes in memory, places, what the machine and the commit are
# called, sentences, and the hashes of files that hold such things.
_NO_FIGURES = frozenset(
    (
        "path",
        "engine",
        "reference",
        "tools",
        "bundle",
        "run",
        "folder",
        "created",
        "timings",
        "speed",
        "seconds",
        "times_fp32",
        "speedup_p50",
        "verdict",
        "files",
        "git",
        "init",
    )
)
_UNITS_OF_TIME = ("_ms", "_s", "_fps", "_bytes", "sha256")
_FOUND, _FIXTURE = "s2d_small_official.pth", "s2d_small_expected.npz"

Figures = dict[str, float | str | bool | None]


class DifferentError(Exception):
    """A command of the comparison failed, or its files are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Two commands' figures side by side.

    Attributes:
        name: the command line, or the file, they come from.
        compared: how many figures both have.
        largest: largest absolute difference of two numbers.
        faults: figures that differ or that one side lacks, as text.
        shown: WAR, UAR and labels of the first side, for the reader.
    """

    name: str
    compared: int
    largest: float
    faults: tuple[str, ...]
    shown: str


def figures_of(document: object, place: str = "") -> Iterator[tuple[str, float | str | bool | None]]:
    """Yield every figure and label of a JSON document with its place, such as ``results[0].label``.

    Times, paths and names of machines are left out.
    """
    if isinstance(document, dict):
        for key, value in document.items():
            if key not in _NO_FIGURES and not key.endswith(_UNITS_OF_TIME):
                yield from figures_of(value, f"{place}.{key}" if place else key)
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from figures_of(value, f"{place}[{number}]")
    else:
        assert document is None or isinstance(document, bool | float | int | str)
        yield place, document


def compare(name: str, before: object, after: object, *, tolerance: float) -> Row:
    """Compare two JSON documents; numbers may differ by ``tolerance``, everything else must be equal."""
    one, other = dict(figures_of(before)), dict(figures_of(after))
    faults = [f"{place} is on one side only" for place in sorted(one.keys() ^ other.keys())]
    largest = 0.0
    for place in sorted(one.keys() & other.keys()):
        a, b = one[place], other[place]
        if isinstance(a, float | int) and isinstance(b, float | int):
            difference = 0.0 if a == b or (a != a and b != b) else abs(a - b)
            largest = max(largest, difference)
            same = difference <= tolerance
        else:
            same = a == b
        if not same:
            faults.append(f"{place}: {a} before, {b} after")
    if not one:
        faults.append("there is no figure in it")
    return Row(
        name=name,
        compared=len(one.keys() & other.keys()),
        largest=largest,
        faults=tuple(faults),
        shown=_shown(one),
    )


def _shown(figures: Figures) -> str:
    rates = [f"{key.upper()} {figures[key]:.4f}" for key in ("war", "uar") if key in figures]
    labels = [str(value) for place, value in figures.items() if place.endswith("].label")]
    return ", ".join(rates + labels)[:60]


@dataclass(frozen=True, slots=True)
class Side:
    """One installation: the words that start it, and the folder it works in."""

    words: tuple[str, ...]
    folder: Path

    def run(self, arguments: Sequence[str], *, json_file: str = "") -> Any:
        """Run one command line; returns what it wrote into ``json_file``, if one is named."""
        words = [*self.words, *arguments, *(["--json", json_file] if json_file else [])]
        env = {**os.environ, "S2D_EDGE_CACHE": str(self.folder / "cache")}
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise DifferentError(
                f"$ {shlex.join(words)}\nended with exit code {done.returncode}:\n{done.stderr}"
            )
        return json.loads((self.folder / json_file).read_text("utf-8")) if json_file else None


def starter_lines(clips: Sequence[Path], data: str | None) -> Iterator[tuple[str, ...]]:
    """Yield the command lines of the starters, without --json."""
    videos = tuple(str(clip.resolve()) for clip in clips)
    for starter in STARTERS:
        yield "selftest", starter, "--device", "cpu"
        for each in (LABELLED, data):
            if each is not None:
                yield "evaluate", starter, "--data", each, "--device", "cpu"
        if videos:
            yield "predict", starter, *videos, "--device", "cpu"


def parity_lines(parity: Path, landmark: Path) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """Yield (writes JSON, command line) for the official fixture."""
    names = ",".join("abcdefg")
    yield (
        False,
        (
            *("import", str((parity / _FOUND).resolve()), "--landmark", str(landmark.resolve())),
            *("--labels", names, "--heads", "4", "--out", "official"),
        ),
    )
    yield True, ("predict", "official", "fixture", "--no-crop", "--device", "cpu")
    for target in ("cpu", "intel-cpu"):
        yield False, ("export", "official", "--target", target, "--out", f"bundle-{target}")
        yield True, ("predict", f"bundle-{target}", "fixture", "--no-crop", "--device", "cpu")


def write_fixture(parity: Path, folder: Path) -> None:
    """Write the fixture's clip as a folder of PNG frames."""
    folder.mkdir()
    clip = np.load(parity / _FIXTURE)["clip"]  # (T, H, W, 3) uint8 RGB
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / f"{number:03d}.png")


def write_labels(folder: Path) -> None:
    """Write ``LABELLED``: the drawn clips whose expression the starters know, all in the test split."""
    with (folder / "avatars/labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["path"], _LABELS.get(row["label"])) for row in csv.DictReader(file)]
    with (folder / LABELLED).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        writer.writerows((path, label, "test") for path, label in rows if label)


def compare_folders(before: Path, after: Path, *, tolerance: float) -> Iterator[Row]:
    """Compare every JSON file of two folders that one verb wrote."""
    files = [{path.relative_to(top) for path in top.rglob("*.json")} for top in (before, after)]
    if missing := sorted(files[0] ^ files[1]):
        raise DifferentError(f"only one of {before} and {after} has {', '.join(map(str, missing))}")
    if not files[0]:
        raise DifferentError(
            f"{before} and {after} hold no JSON files; give two folders that 's2d-edge demo' wrote"
        )
    for name in sorted(files[0]):
        one, other = (json.loads((top / name).read_text("utf-8")) for top in (before, after))
        yield compare(str(name), one, other, tolerance=tolerance)


def rows_of(sides: tuple[Side, Side], options: argparse.Namespace) -> Iterator[Row]:
    """Run everything with both sides; yields a row per result."""
    for side in sides:
        side.run(("data", "avatars", "avatars", "--clips-per-class", "12"))
    yield compare("data avatars", *(_hashes(side.folder / "avatars") for side in sides), tolerance=0.0)
    for side in sides:
        write_labels(side.folder)
    lines = [(True, line) for line in starter_lines(options.clips, options.data)]
    if options.parity is not None:
        for side in sides:
            write_fixture(options.parity, side.folder / "fixture")
        lines += parity_lines(options.parity, options.landmark)
    for writes_json, line in lines:
        results = [side.run(line, json_file="result.json" if writes_json else "") for side in sides]
        if writes_json:
            yield compare(" ".join(line[:2]), *results, tolerance=options.tolerance)
    if options.demos is not None:
        yield from compare_folders(*options.demos, tolerance=options.tolerance)


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name."""
    from s2d_edge.core.files import sha256_of

    return {
        str(path.relative_to(folder)): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def main() -> int:
    """Run the comparison that the command line describes; 1 if anything differs."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="how to start the first s2d-edge, such as 'python -m s2d_edge'")
    parser.add_argument("after", help="how to start the second one")
    parser.add_argument(
        "--clips", type=Path, nargs="+", default=[], metavar="VIDEO", help="videos to predict"
    )
    parser.add_argument("--data", help="labelled data as evaluate takes it; a folder must be absolute")
    parser.add_argument("--parity", type=Path, metavar="FOLDER", help=f"holds {_FOUND} and {_FIXTURE}")
    parser.add_argument("--landmark", type=Path, metavar="FILE", help="landmark weights for --parity")
    parser.add_argument("--demos", type=Path, nargs=2, metavar="FOLDER", help="folders of two demos")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="allowed difference (default: %(default)s)"
    )
    options = parser.parse_args()
    if (options.parity is None) != (options.landmark is None):
        parser.error("--parity FOLDER and --landmark FILE belong together")
    different = 0
    with tempfile.TemporaryDirectory() as scratch:
        sides = []
        for name, words in (("before", options.before), ("after", options.after)):
            folder = Path(scratch) / name
            folder.mkdir()
            sides.append(Side(tuple(shlex.split(words)), folder))
        print(f"{'':>9}  {'figures':>7}  {'largest difference':>18}  from")
        try:
            for row in rows_of((sides[0], sides[1]), options):
                verdict = "different" if row.faults else "equal"
                print(
                    f"{verdict:>9}  {row.compared:7d}  {row.largest:18.3g}  {row.name}  {row.shown}",
                    flush=True,
                )
                for fault in row.faults[:10]:
                    print(f"{'':>9}  {fault}")
                different += bool(row.faults)
        except DifferentError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print("every figure is equal" if not different else f"{different} of the results differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
