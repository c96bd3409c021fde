"""Copy labelled photographs under names that do not reveal people; make.sh calls it as its first step.

    python -m tools.starter.pseudonyms DATA OUT

A shipped bundle lists the clips it was calibrated and measured on, and photographs are often named after
people.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from s2d_edge.core.claims import choose_output
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError, exit_with_a_sentence
from s2d_edge.core.files import sha256_of, whole_folder
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.data.reading.readers import LABELS_FILE
from s2d_edge.media.kinds import IMAGE_SUFFIXES

_DIGITS = 16  # of a file's SHA-256; enough to distinguish photographs, and to find each again


def rename_photographs(data: str, out: Path, console: Console) -> None:
    """Copy photographs and their labels, in their order: files named by content, subjects numbered.

    Args:
        data: what ``--data`` names; pictures only.
        out: the folder to write.

    Raises:
        DataError: a clip that is no picture, or is there twice.
        S2DEdgeError: ``out`` is in use, or what opening the data raises.
    """
    choose_output(out, out)
    dataset = open_dataset(data, console)
    people: dict[str, str] = {}
    rows, taken = [], set()
    with whole_folder(out) as scratch, console.progress("renaming", len(dataset.samples)) as advance:
        (scratch / "images").mkdir()
        for sample in dataset.samples:
            suffix = sample.path.suffix.lower()
            if suffix not in IMAGE_SUFFIXES:
                raise DataError(f"{sample.path} is no picture; only photographs are renamed here")
            name = f"images/{sha256_of(sample.path)[:_DIGITS]}{suffix}"
            if name in taken:
                raise DataError(f"{sample.path} is there twice; 's2d-edge data check' lists duplicates")
            taken.add(name)
            shutil.copyfile(sample.path, scratch / name)
            subject = sample.subject
            number = "" if subject is None else people.setdefault(subject, f"p{len(people) + 1:05d}")
            rows.append((name, dataset.labels[sample.label], number, sample.split))
            advance(1)
        with (scratch / LABELS_FILE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label", "subject", "split"))
            writer.writerows(rows)


def main() -> None:
    """Copy the photographs named on the command line."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split(";")[0])
    arguments.add_argument("data", metavar="DATA")
    arguments.add_argument("out", metavar="OUT", type=Path)
    options = arguments.parse_args()
    with exit_with_a_sentence():
        rename_photographs(options.data, options.out, Console())


if __name__ == "__main__":
    main()
