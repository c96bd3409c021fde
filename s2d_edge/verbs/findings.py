"""What ``doctor`` finds: one line of its report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        part: what was looked at.
        ready: whether it works.
        found: what is there.
        next_step: what to do where it is not ready; empty otherwise.
        needed: whether the toolkit is of no use without it.
    """

    part: str
    ready: bool
    found: str
    next_step: str = ""
    needed: bool = False
