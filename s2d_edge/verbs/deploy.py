"""``deploy``: a bundle in, the model repository of a server out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Quiet


def deploy(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="What export or calibrate wrote, or starter.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="triton|ovms",
            help="Triton takes ONNX bundles, OpenVINO Model Server IR. Both are experimental: built to the "
            "documentation, not run.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: deploy/NAME-SERVER.")] = None,
    root: Annotated[
        str, typer.Option(metavar="PATH", help="Where the server will see that folder.")
    ] = "/models",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a bundle as the model repository of a server."""
    from s2d_edge.core.console import Console
    from s2d_edge.deploy.command import deploy_bundle

    deploy_bundle(bundle, to=to, out=out, root=root, console=Console(quiet=quiet))
