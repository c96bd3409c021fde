"""``data check``: a data set looked through before hours are spent on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Json, Quiet, keep_inputs


def check(
    data: Annotated[
        str, typer.Argument(metavar="CSV|FOLDER|NAME:ROOT", help="A data set, as --data takes it.")
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
    """Read every clip, and report what would stop a training or make its score misleading."""
    from s2d_edge.contracts.labels import DEFAULT_FPS, parse_label_set
    from s2d_edge.core.claims import require_vacant
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.core.errors import ConfigError, DataError
    from s2d_edge.core.files import require_writable
    from s2d_edge.data.check.check import check as check_clips
    from s2d_edge.data.check.render import as_json, as_table, save_balance, sentences
    from s2d_edge.data.reading.open import list_data

    if frames < 1:
        raise ConfigError(f"--frames {frames}: a clip has at least 1; give 1 or more")
    if fps is not None and not fps > 0:
        raise ConfigError(f"--fps {fps} must be positive; give frames per second")
    if out is not None and out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: the picture is a PNG; give a name that ends in .png")
    keep_inputs(json, [data])
    console = Console(quiet=quiet)
    picture = None if out is None else require_vacant(out)
    if out is not None:
        require_writable(out, "--out")
    wanted = None if labels is None else parse_label_set(labels).labels
    listing = list_data(data, console, wanted)
    known = listing.published
    rate = fps or (known.fps if known is not None else DEFAULT_FPS)
    report = check_clips(listing, console, frames=frames, fps=rate)
    console.show(as_table(report))
    for note in report.notes:
        console.say(note)
    for trouble, sentence in sentences(report.findings):
        if trouble:
            console.warn(sentence)
        else:
            console.say(sentence)
    if picture is not None:
        save_balance(report, picture)
        console.say(f"wrote {picture}")
    if json is not None:
        write_json(json, as_json(report))
    if not report.passed:
        kinds = {finding.kind for finding in report.findings if finding.trouble}
        named = ", ".join(f"{kind} ({report.kinds[kind]})" for kind in sorted(kinds))
        raise DataError(f"{report.name} must be put right: {named}")
    console.say(f"{report.name}: {report.clips} clips, nothing to put right")
