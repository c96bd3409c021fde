"""Find the wheels that an aarch64 machine would install, with pip on any other machine.

pip chooses wheels for the platform given, but evaluates the environment markers *of dependencies* on the
machine it runs on (a report names that environment). So pip's report is read again with the environment of
the target machine. Packages that only this machine requires are left out. Packages that pip did not look for
are requested by name, until none is missing. A package that only this machine requires, and that has no
aarch64 wheel, would still make pip fail, which is the safe error.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.aarch64.pyproject import Machine

Report = dict[
    str, Any
]  # of `pip install --report`, https://pip.pypa.io/en/stable/reference/installation-report/
PipResolver = Callable[[Sequence[Requirement], Machine], Report]


class UnresolvedError(Exception):
    """No set of wheels fits; the message is pip's own."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Wheel:
    """One wheel of a resolved set, by its normalized name."""

    name: str
    version: str
    file: str


def resolve(wanted: Sequence[Requirement], machine: Machine, pip: PipResolver | None = None) -> list[Wheel]:
    """The wheels that ``wanted`` resolves to on ``machine``, sorted by name.

    Raises:
        UnresolvedError: pip finds none, or what it finds does not hold with the machine's own markers.
    """
    pip = pip or resolve_with_pip
    requested = list(wanted)
    while True:
        report = pip(requested, machine)
        needed, missing = _walk(report, wanted, machine)
        if not missing:
            return sorted(needed)
        new = [requirement for requirement in missing if requirement not in requested]
        if not new:
            raise UnresolvedError(
                f"pip was given {', '.join(map(str, missing))} and chose others; check their bounds"
            )
        requested += new


def _walk(
    report: Report, wanted: Iterable[Requirement], machine: Machine
) -> tuple[set[Wheel], list[Requirement]]:
    """Split into wheels of the report that are needed, and requirements that the report lacks."""
    chosen = {canonicalize_name(entry["metadata"]["name"]): entry for entry in report["install"]}
    needed: set[Wheel] = set()
    missing: list[Requirement] = []
    open_, seen = list(wanted), set()
    while open_:
        requirement = open_.pop()
        if (key := str(requirement)) in seen:
            continue
        seen.add(key)
        name = canonicalize_name(requirement.name)
        entry = chosen.get(name)
        if entry is None or not requirement.specifier.contains(
            entry["metadata"]["version"], prereleases=True
        ):
            bare = Requirement(str(requirement))
            bare.marker = None
            missing.append(bare)
            continue
        url = entry["download_info"]["url"]
        file = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        needed.add(Wheel(name=name, version=entry["metadata"]["version"], file=file))
        extras = sorted(requirement.extras)
        brought = map(Requirement, entry["metadata"].get("requires_dist", ()))
        open_ += [other for other in brought if machine.wants(other, extras)]
    return needed, missing


def resolve_with_pip(requirements: Sequence[Requirement], machine: Machine) -> Report:
    """Resolve with pip; nothing but metadata is downloaded where the index serves it.

    Raises:
        UnresolvedError: pip found no wheels.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", str(report)]
        words += ["--target", str(Path(folder) / "nothing"), *pip_platform(machine)]
        # Markers are evaluated already; pip would evaluate them again, for this machine.
        words += [f"{_with_extras(requirement)}{requirement.specifier}" for requirement in requirements]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            raise UnresolvedError(" ".join(errors or [done.stderr.strip()]).replace("ERROR: ", ""))
        found: Report = json.loads(report.read_text("utf-8"))
        return found


def pip_platform(machine: Machine) -> list[str]:
    """The options that make pip choose wheels for ``machine``."""
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", machine.python]
    for platform in machine.platforms:
        options += ["--platform", platform]
    return options


def _with_extras(requirement: Requirement) -> str:
    return requirement.name + (f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else "")
