"""The project's own dependency lists, read for another machine than this one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Every glibc since the first with aarch64 wheels; a wheel may require any up to the machine's.
_FIRST_GLIBC_MINOR = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A Linux aarch64 machine, as wheels and environment markers see it.

    Attributes:
        name: short, for tables and options.
        about: what it is.
        python: full version of its Python.
        glibc_minor: of its glibc 2.x.
    """

    name: str
    about: str
    python: str
    glibc_minor: int

    @property
    def python_minor(self) -> str:
        """Such as ``3.10``."""
        return ".".join(self.python.split(".")[:2])

    @property
    def platforms(self) -> list[str]:
        """The platform tags of wheels it can load, newest first."""
        tags = [
            f"manylinux_2_{minor}_aarch64" for minor in range(self.glibc_minor, _FIRST_GLIBC_MINOR - 1, -1)
        ]
        return [*tags, "manylinux2014_aarch64"]

    def wants(self, requirement: Requirement, extras: Sequence[str] = ()) -> bool:
        """Return True if the requirement's marker holds on this machine, with any of ``extras``."""
        if requirement.marker is None:
            return True
        return any(requirement.marker.evaluate(self._environment(extra)) for extra in (*extras, ""))

    def _environment(self, extra: str) -> dict[str, str]:
        # All of PEP 508's variables: one left out would be taken from the machine that runs this.
        return {
            "extra": extra,
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": "aarch64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": self.python_minor,
            "sys_platform": "linux",
        }


JETPACK_6 = Machine(name="jetpack6", about="JetPack 6 (Ubuntu 22.04)", python="3.10.12", glibc_minor=35)
UBUNTU_24 = Machine(name="ubuntu24", about="JetPack 7 (Ubuntu 24.04)", python="3.12.3", glibc_minor=39)
BOOKWORM = Machine(name="bookworm", about="Debian 12, as emulated", python="3.11.2", glibc_minor=36)
MACHINES = (JETPACK_6, UBUNTU_24, BOOKWORM)


def dependencies(pyproject: Path, machine: Machine, extras: Sequence[str] = ()) -> list[Requirement]:
    """The requirements of an install on ``machine``: the base's and those of ``extras``, markers evaluated.

    Raises:
        KeyError: there is no such extra.
    """
    project: dict[str, Any] = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    lines: list[str] = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [requirement for requirement in map(Requirement, lines) if machine.wants(requirement)]
