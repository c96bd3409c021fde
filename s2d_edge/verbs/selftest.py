"""``selftest``: a device's logits compared with those that a bundle records."""

from __future__ import annotations

from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Device, Json, Quiet


def selftest(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Default: the newest under bundles/ that fits this machine, else the starter.",
        ),
    ] = None,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare a device's logits with those that the bundle records; exit code 1 if they do not agree."""
    from s2d_edge.core.console import Console
    from s2d_edge.firmware_host.selftest.selftest import check_bundle

    check_bundle(bundle, device, json, Console(quiet=quiet))
