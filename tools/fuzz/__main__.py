"""Read many damaged pictures and videos; anything but a result or an error of the project is a fault.

    python -m tools.fuzz                                   # 20,000 files
    python -m tools.fuzz --count 500 --seed 7 --keep faults
    python -m tools.fuzz --only 1234                       # one file again, here, with its traceback

Files are damaged reproducibly by the seed. They are read in processes of their own, so that a crash of a
decoder is one fault and not the end. Exit code 1 says that there were faults; --keep keeps their files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from s2d_edge.core.console import Console
from tools.fuzz.media import read_to_the_end, sound_media
from tools.fuzz.reading import damaged_file, read_all

COUNT = 20_000


def main() -> None:
    """Read the files and report."""
    parser = argparse.ArgumentParser(prog="tools.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help=f"damaged files (default {COUNT})")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--only", type=int, help="read the file of this number alone, in this process")
    parser.add_argument("--keep", type=Path, help="folder for the files that are faults")
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = sound_media(folder)
        if given.only is not None:
            suffix, content = damaged_file(files, given.only, given.seed)
            path = folder / f"only{suffix}"
            path.write_bytes(content)
            read_to_the_end(path)
            return
        counts: Counter[str] = Counter()
        with console.progress("reading damaged files", given.count) as advance:
            for number, outcome in read_all(files, given.count, given.seed, folder, given.workers):
                advance(1)
                counts[outcome if outcome in ("read", "refused") else "faults"] += 1
                if outcome in ("read", "refused"):
                    continue
                suffix, content = damaged_file(files, number, given.seed)
                console.fault(f"file {number} ({suffix}) {outcome}")
                if given.keep is not None:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{number}{suffix}").write_bytes(content)
    console.say(", ".join(f"{counts[kind]} {kind}" for kind in ("read", "refused", "faults")))
    sys.exit(1 if counts["faults"] else 0)


if __name__ == "__main__":
    main()
