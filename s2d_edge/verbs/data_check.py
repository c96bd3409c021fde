"""``data check``: data sets looked through before hours are spent on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s2d_edge.verbs.options import Debug, Json, Quiet, keep_inputs

if TYPE_CHECKING:
    from s2d_edge.core.console import Console
    from s2d_edge.data.check.report import Finding


def check(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="CSV|FOLDER|NAME:ROOT…", help="A data set, as --data takes it; or several to be joined."
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Option(help="The labels there may be: a known set, or a,b,c; default: those there are."),
    ] = None,
    frames: Annotated[int, typer.Option(help="Clips with fewer frames are too short.")] = 16,
    fps: Annotated[
        float | None, typer.Option(help="Rate at which videos are sampled; default: what training takes.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the class balance.")] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read every clip, and report what would stop a training or make its score misleading.

    Several sets are also compared with each other, as they would be joined.
    """
    from s2d_edge.contracts.labels import DEFAULT_FPS, parse_label_set
    from s2d_edge.core.claims import require_vacant
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.core.errors import ConfigError, DataError
    from s2d_edge.core.files import require_writable
    from s2d_edge.data.check.check import check as check_clips
    from s2d_edge.data.check.render import as_json, as_table, save_balance, sets_as_json
    from s2d_edge.data.check.sets import between, list_apart
    from s2d_edge.media.video import MAX_PLAUSIBLE_FPS

    if frames < 1:
        raise ConfigError(f"--frames {frames}: a clip has at least 1; give 1 or more")
    if fps is not None and not 0 < fps <= MAX_PLAUSIBLE_FPS:
        raise ConfigError(f"--fps {fps} must be above 0 and at most {MAX_PLAUSIBLE_FPS:g} frames per second")
    if out is not None and out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: the picture is a PNG; give a name that ends in .png")
    if out is not None and len(data) > 1:
        raise ConfigError(f"--out {out} draws the balance of one set; leave it out, or check one set alone")
    keep_inputs(json, data)
    console = Console(quiet=quiet)
    picture = None if out is None else require_vacant(out)
    if out is not None:
        require_writable(out, "--out")
    wanted = None if labels is None else parse_label_set(labels).labels
    reports = []
    for listing in list_apart(data, console, wanted):
        known = listing.published
        rate = fps or (known.fps if known is not None else DEFAULT_FPS)
        report = check_clips(listing, console, frames=frames, fps=rate)
        reports.append(report)
        console.show(as_table(report))
        for note in report.notes if len(data) == 1 else ():  # of several they were said with their names
            console.say(note)
        _tell(report.findings, console)
        if picture is not None:
            save_balance(report, picture)
            console.say(f"wrote {picture}")
    shared = between(reports)
    _tell(shared, console)
    if json is not None:
        write_json(json, as_json(reports[0]) if len(reports) == 1 else sets_as_json(reports, shared))
    names = "+".join(report.name for report in reports)
    faults = Counter(
        finding.kind
        for finding in (*(each for report in reports for each in report.findings), *shared)
        if finding.trouble
    )
    if faults:
        named = ", ".join(f"{kind} ({faults[kind]})" for kind in sorted(faults))
        raise DataError(f"{names} must be put right: {named}")
    console.say(f"{names}: {sum(report.clips for report in reports)} clips, nothing to put right")


def _tell(findings: Sequence[Finding], console: Console) -> None:
    from s2d_edge.data.check.render import sentences

    for trouble, sentence in sentences(findings):
        if trouble:
            console.warn(sentence)
        else:
            console.say(sentence)
