"""``lint``: a bundle checked against the documented rules of its target."""

from __future__ import annotations

from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Json, Quiet


def lint(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="What export or calibrate wrote, or starter.")
    ],
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a bundle against the documented rules of its target; exit code 1 if it breaks one."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.firmware_host.bundles import resolve
    from s2d_edge.lint.command import lint_bundle

    console = Console(quiet=quiet)
    result = lint_bundle(resolve(bundle, None, console), console)
    if json is not None:
        write_json(json, result)
    if not result["fits"]:
        raise typer.Exit(1)
