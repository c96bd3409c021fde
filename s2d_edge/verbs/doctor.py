"""``doctor``: what this machine has, and what it lacks for each target."""

from __future__ import annotations

from s2d_edge.verbs.options import Debug, Json, Quiet


def doctor(json: Json = None, quiet: Quiet = False, debug: Debug = False) -> None:
    """Report which runtimes, devices and cameras this machine has, and what is missing for each target."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.verbs.doctor_report import report

    diagnoses = report(Console(quiet=quiet))
    if json is not None:
        write_json(json, diagnoses)
