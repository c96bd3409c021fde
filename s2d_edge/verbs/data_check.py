"""``data check``: a dataset looked through before hours are spent on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.labels import DEFAULT_FPS, parse_label_set
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.core.files import choose_output
from s2d_edge.data.check.check import CheckReport, check
from s2d_edge.data.check.render import as_json, as_table, save_balance, sentences
from s2d_edge.data.reading.open import list_data


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What the user asked for.

    Attributes:
        data: as ``--data`` takes it.
        labels: the only ones there may be: a known set, or names between commas; None takes those there are.
        frames: clips with fewer are too short.
        fps: rate at which videos are sampled, frames per second; None takes the one training would.
        out: where the picture goes.
        json: where the report goes as JSON, ``-`` for stdout.
    """

    data: str
    labels: str | None = None
    frames: int = 16
    fps: float | None = None
    out: Path | None = None
    json: str | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"--frames {self.frames}: a clip has at least 1")
        if self.fps is not None and not self.fps > 0:
            raise ConfigError(f"--fps {self.fps} must be positive")
        if self.out is not None and self.out.suffix.lower() != ".png":
            raise ConfigError(f"--out {self.out}: the picture is a PNG; give a name that ends in .png")


def check_data(options: CheckOptions, console: Console) -> CheckReport:
    """Check a dataset, print what was found, and write what was asked for.

    Returns:
        The report, if nothing must be put right.

    Raises:
        DataError: something must be put right, or nothing can be read; the report was written before.
    """
    out = None if options.out is None else choose_output(options.out, options.out)
    labels = None if options.labels is None else parse_label_set(options.labels).labels
    listing = list_data(options.data, console, labels)
    known = listing.published
    fps = options.fps or (known.fps if known is not None else DEFAULT_FPS)
    report = check(listing, console, frames=options.frames, fps=fps)
    console.show(as_table(report))
    for note in report.notes:
        console.say(note)
    for trouble, sentence in sentences(report):
        if trouble:
            console.warn(sentence)
        else:
            console.say(sentence)
    if out is not None:
        save_balance(report, out)
        console.say(f"wrote {out}")
    if options.json is not None:
        write_json(options.json, as_json(report))
    if not report.passed:
        kinds = {finding.kind for finding in report.findings if finding.trouble}
        named = ", ".join(f"{kind} ({report.kinds[kind]})" for kind in sorted(kinds))
        raise DataError(f"{report.name} must be put right: {named}")
    console.say(f"{report.name}: {report.clips} clips, nothing to put right")
    return report
