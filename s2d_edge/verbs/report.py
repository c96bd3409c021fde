"""``report``: what INT8 cost a bundle."""

from __future__ import annotations

from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Json, Quiet


def report(
    bundle: Annotated[
        str | None,
        typer.Argument(metavar="[BUNDLE]", help="An INT8 bundle; default: the newest under bundles/."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page with its plots in a browser.")] = False,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what INT8 cost a bundle, and where the page with the plots is."""
    from s2d_edge.core.console import Console
    from s2d_edge.verbs.report_text import show_report

    show_report(bundle, open_page=open_, json=json, console=Console(quiet=quiet))
