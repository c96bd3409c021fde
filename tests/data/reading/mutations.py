"""Labels files with everything that goes wrong with them, drawn from a seed, and a run through thousands.

python -m tests.data.reading.mutations 20000
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.data.check.training import open_training_data, training_findings
from s2d_edge.data.reading.open import list_data, open_dataset
from s2d_edge.data.reading.splits import carve_validation

QUIET = Console(quiet=True)

HEADERS = [
    "path",
    "label",
    "subject",
    "split",
    "Path",
    "LABEL",
    "Split",
    "splits",
    "subject_id",
    "",
    "x",
    "x",
]
CLIPS = [
    "a.png",
    "b.png",
    "./a.png",
    "clip",
    "clip/",
    "../SET/b.png",
    " c.png",
    "gone.png",
    "",
    "\0",
    "..",
    "/",
]
LABELS = [
    "happy",
    "sad",
    "Happy",
    "sad ",
    "f\u00e4hig",
    "fa\u0308hig",
    "",
    "\ufeff",
    "a/b",
    "$\\bad{$",
    "[/]",
    "x" * 300,
]
SPLITS = ["train", "val", "test", "Train", "valid", "dev", "eval", "", "train ", "\u00a0", "fold 1", "../.."]
ODD = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b'"',
    b",",
    b"\n",
    b"\r",
    b";",
    b"\t",
    b"\xef\xbb\xbf",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
]

Mutation = Callable[[random.Random, bytes], bytes]


def table(rng: random.Random) -> bytes:
    """A labels file that is right more often than not."""
    columns = ["path", "label", "subject", "split"][: rng.choice((2, 3, 4, 4, 4))]
    if rng.random() < 0.3:
        rng.shuffle(columns)
    if rng.random() < 0.2:
        columns[rng.randrange(len(columns))] = rng.choice(HEADERS)
    known: dict[str, Callable[[], str]] = {
        "path": lambda: rng.choice(CLIPS[:8] if rng.random() < 0.8 else CLIPS),
        "label": lambda: rng.choice(LABELS[:2] if rng.random() < 0.9 else LABELS),
        "subject": lambda: rng.choice(("", "ann", "Ann", "bo", "cy", "A\u0308", "\u00c4")),
        "split": lambda: rng.choice(SPLITS[:3] if rng.random() < 0.95 else SPLITS),
    }
    rows = []
    for number in range(rng.randrange(1, 9)):
        cells = {name: draw() for name, draw in known.items()}
        if rng.random() < 0.9:
            cells["path"] = f"{number}.png"
        rows.append([cells.get(column.lower(), "1") for column in columns])
    lines = [",".join(cells) for cells in (columns, *rows)]
    return rng.choice(("\n", "\n", "\r\n", "\r")).join(lines).encode()


def _odd(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.choice(ODD) + content[place:]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _flip(rng: random.Random, content: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]


def _repeat(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return content + b"".join(rng.choices(lines, k=3)) if lines else content


def _recode(rng: random.Random, content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode(
        rng.choice(("utf-16", "utf-8-sig", "latin-1")), "replace"
    )


def _swell(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice([*ODD, b"a"]) * rng.choice((10, 200_000))


MUTATIONS: tuple[Mutation, ...] = (_odd, _odd, _cut, _flip, _flip, _repeat, _recode, _swell)


def mutated(seed: int) -> bytes:
    """The labels file of a seed."""
    rng = random.Random(seed)  # noqa: S311 - nothing is secret
    content = table(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        content = rng.choice(MUTATIONS)(rng, content)
    return content


def make_clips(folder: Path) -> None:
    """Files with the names of the clips, none of which is read."""
    (folder / "clip").mkdir()
    for name in ("a.png", "b.png", " c.png", *(f"{number}.png" for number in range(9))):
        (folder / name).touch()


def use(file: Path) -> str:
    """Do with a labels file what ``data check``, ``train`` and ``evaluate`` do before they read a clip.

    Returns:
        ``trained`` where a training would begin, else the class of the error.
    """
    ending = ""
    for step in (_listed, _evaluated, _trained):
        try:
            step(file)
            ending = "trained"
        except S2DEdgeError as error:
            ending = type(error).__name__
            lines = str(error).count("\n")
            os.fsencode(str(error))
            if lines:
                raise ValueError(f"an error of {lines + 1} lines") from error
    if is_refused(file) == (ending == "trained"):
        raise ValueError(f"the check and the training do not agree: {ending}")
    return ending


def is_refused(file: Path) -> bool:
    """True if ``data check`` finds a fault before it reads a clip."""
    try:
        listing = list_data(str(file), QUIET)
    except S2DEdgeError:
        return True
    found = any(finding.trouble for finding in training_findings(listing))
    return found or any(
        any(faults) for faults in (listing.unknown_labels(), listing.repeats(), listing.missing())
    )


def _listed(file: Path) -> None:
    listing = list_data(str(file), QUIET)
    told = [f"{finding.kind}{finding.what}{finding.detail}" for finding in training_findings(listing)]
    told += [listing.relative(entry.path) for entry in (*listing.entries, *listing.missing())]
    told += [entry.where for pair in listing.repeats() for entry in pair]
    "".join(told).encode()


def _evaluated(file: Path) -> None:
    dataset = open_dataset(str(file), QUIET, ("happy", "sad"), missing_ok=True)
    dataset.require_split("test")


def _trained(file: Path) -> None:
    dataset = open_training_data([str(file)], QUIET)
    training = dataset.require_split("train")
    if not dataset.split("val"):
        carve_validation(training, fraction=0.2, seed=0)


def run(count: int, folder: Path, first: int = 0) -> Counter[str]:
    """Use ``count`` mutated labels files in ``folder``; returns how often each ending came.

    Raises:
        Exception: what one ended in that is no error of ours; its seed is printed.
    """
    make_clips(folder)
    file, endings = folder / "labels.csv", Counter[str]()
    for seed in range(first, first + count):
        content = mutated(seed)
        file.write_bytes(content)
        try:
            endings[use(file)] += 1
        except Exception:
            print(f"seed {seed}: {content[:300]!r}")
            raise
    return endings


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "SET").mkdir()
        print(run(int(sys.argv[1]), Path(scratch) / "SET"))
