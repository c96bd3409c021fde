"""List the wheels that 64-bit Arm devices install; exit code 1 where any is missing.

    python -m tools.aarch64.wheels                     # what `make wheels` runs
    python -m tools.aarch64.wheels --extra ort-cuda --json -

The lists are pyproject.toml's own. Resolved are the base, which docs/guides/deploy.md has a Jetson's user
install, and the base with each ``--extra`` (default: ort, ONNX Runtime on a board's CPU). Nothing is
installed. pip's configuration counts: an index or constraints of your own are used.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.aarch64.pyproject import MACHINES, Machine, dependencies
from tools.aarch64.resolve import UnresolvedError, Wheel, resolve

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One set on one machine: its wheels, or why there are none."""

    machine: Machine
    extra: str | None
    wheels: tuple[Wheel, ...] = ()
    error: str | None = None

    @property
    def set_name(self) -> str:
        """The set as it is typed after ``pip install``."""
        return "s2d-edge" if self.extra is None else f"s2d-edge[{self.extra}]"


def check(machine: Machine, extra: str | None, pyproject: Path = PYPROJECT) -> Outcome:
    """Resolve one set on one machine."""
    wanted = dependencies(pyproject, machine, [extra] if extra else [])
    try:
        wheels = tuple(resolve(wanted, machine))
    except UnresolvedError as error:
        return Outcome(machine=machine, extra=extra, error=str(error))
    return Outcome(machine=machine, extra=extra, wheels=wheels)


def as_json(outcomes: list[Outcome]) -> dict[str, Any]:
    """``{"resolved": bool, "sets": [{"set", "machine", "python", "glibc", "wheels", "error"}]}``."""
    sets = [
        {
            "set": outcome.set_name,
            "machine": outcome.machine.name,
            "python": outcome.machine.python_minor,
            "glibc": f"2.{outcome.machine.glibc_minor}",
            "wheels": [asdict(wheel) for wheel in outcome.wheels],
            "error": outcome.error,
        }
        for outcome in outcomes
    ]
    return {"resolved": all(outcome.error is None for outcome in outcomes), "sets": sets}


def verdicts(outcomes: list[Outcome]) -> Table:
    """A row for each set on each machine."""
    table = Table("set", "machine", "Python", "glibc", "wheels")
    for outcome in outcomes:
        machine = outcome.machine
        found = str(len(outcome.wheels)) if outcome.error is None else f"none: {outcome.error}"
        table.add_row(
            outcome.set_name.replace("[", r"\["),
            machine.about,
            machine.python_minor,
            f"2.{machine.glibc_minor}",
            found,
        )
    return table


def versions(outcomes: list[Outcome]) -> Table:
    """A row for each package, a column for each machine, over all sets."""
    machines = list(dict.fromkeys(outcome.machine.name for outcome in outcomes))
    found: dict[str, dict[str, str]] = {}
    for outcome in outcomes:
        for wheel in outcome.wheels:
            found.setdefault(wheel.name, {})[outcome.machine.name] = wheel.version
    table = Table("package", *machines)
    for name, by_machine in sorted(found.items()):
        table.add_row(name, *(by_machine.get(machine, "") for machine in machines))
    return table


def main() -> int:
    """Resolve the requested sets and print them; return 1 if any has no wheels."""
    by_name = {machine.name: machine for machine in MACHINES}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machine", action="append", choices=by_name, help="default: all")
    parser.add_argument("--extra", action="append", help="default: ort")
    parser.add_argument("--json", metavar="FILE|-", help="write JSON to FILE, or alone on stdout with '-'")
    options = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    outcomes = []
    for name in options.machine or by_name:
        for extra in (None, *(options.extra or ["ort"])):
            outcome = check(by_name[name], extra)
            outcomes.append(outcome)
            console.print(f"{outcome.set_name} on {name}: {outcome.error or 'resolved'}", markup=False)
    payload = as_json(outcomes)
    if options.json == "-":
        print(json.dumps(payload, indent=1))
    else:
        if options.json:
            Path(options.json).write_text(json.dumps(payload, indent=1) + "\n", "utf-8")
        out = Console(highlight=False)
        out.print(versions(outcomes))
        out.print(verdicts(outcomes))
    return 0 if payload["resolved"] else 1


if __name__ == "__main__":
    sys.exit(main())
