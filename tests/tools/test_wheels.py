"""Reading dependency sets for another machine, and pip's reports with that machine's markers. No network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.aarch64 import resolve as module
from tools.aarch64 import wheels
from tools.aarch64.pyproject import BOOKWORM, JETPACK_6, MACHINES, UBUNTU_24, Machine, dependencies
from tools.aarch64.resolve import Report, UnresolvedError, Wheel, resolve

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def report(**packages: tuple[str, list[str]]) -> Report:
    """pip's report of packages, each a version and what it requires."""
    return {
        "install": [
            {
                "metadata": {"name": name, "version": version, "requires_dist": requires},
                "download_info": {"url": f"https://index.invalid/{name}-{version}%2Blocal-py3-none-any.whl"},
            }
            for name, (version, requires) in packages.items()
        ]
    }


class Index:
    """Stands for pip: knows packages, and like pip resolves with the markers of the machine it runs on."""

    def __init__(self, **packages: tuple[str, list[str]]) -> None:
        self.packages = packages
        self.requested: list[list[str]] = []

    def __call__(self, requirements: Sequence[Requirement], machine: Machine) -> Report:
        self.requested.append([str(requirement) for requirement in requirements])
        found: dict[str, tuple[str, list[str]]] = {}
        wanted = list(requirements)
        while wanted:
            name = wanted.pop().name
            if name in found:
                continue
            if name not in self.packages:
                raise UnresolvedError(f"No matching distribution found for {name}")
            found[name] = self.packages[name]
            brought = map(Requirement, found[name][1])
            wanted += [one for one in brought if one.marker is None or one.marker.evaluate()]
        return report(**found)


def test_the_base_requires_no_openvino_on_arm() -> None:
    for machine in MACHINES:
        names = {requirement.name for requirement in dependencies(PYPROJECT, machine)}
        assert {"numpy", "opencv-python-headless", "pillow", "pydantic", "rich", "typer"} <= names
        assert not names & {"openvino", "onnxruntime", "onnxruntime-gpu", "torch", "mediapipe"}
        assert ("tomli" in names) is (machine.python_minor == "3.10")


def test_an_extra_adds_its_list() -> None:
    base, more = (
        {requirement.name for requirement in dependencies(PYPROJECT, JETPACK_6, extras)}
        for extras in ((), ["ort"])
    )
    assert more - base == {"onnxruntime"}
    with pytest.raises(KeyError):
        dependencies(PYPROJECT, JETPACK_6, ["no-such-extra"])


def test_a_machine_loads_wheels_up_to_its_glibc() -> None:
    assert JETPACK_6.platforms[0] == "manylinux_2_35_aarch64"
    assert "manylinux_2_39_aarch64" in UBUNTU_24.platforms
    assert "manylinux_2_39_aarch64" not in BOOKWORM.platforms
    for machine in MACHINES:
        assert {"manylinux2014_aarch64", "manylinux_2_17_aarch64"} <= set(machine.platforms)
        assert len(set(machine.platforms)) == len(machine.platforms)


def test_packages_that_only_this_machine_requires_are_left_out() -> None:
    here = f'tool; python_version == "{sys.version_info[0]}.{sys.version_info[1]}"'
    elsewhere = Machine(name="other", about="", python="3.99.0", glibc_minor=40)
    index = Index(app=("1", [here]), tool=("2", []))
    assert resolve([Requirement("app")], elsewhere, index) == [
        Wheel(name="app", version="1", file="app-1+local-py3-none-any.whl")
    ]


def test_packages_that_only_the_target_machine_requires_are_requested() -> None:
    index = Index(
        app=("1", ['arm; platform_machine == "aarch64" and python_version == "3.99"']),
        arm=("3", ['deeper>=1; python_version == "3.99"']),
        deeper=("1.5", []),
    )
    machine = Machine(name="other", about="", python="3.99.0", glibc_minor=40)
    assert [wheel.name for wheel in resolve([Requirement("app")], machine, index)] == ["app", "arm", "deeper"]
    assert index.requested == [["app"], ["app", "arm"], ["app", "arm", "deeper>=1"]]


def test_extras_of_dependencies_are_followed() -> None:
    index = Index(
        app=("1", ["lib[fast]"]),
        lib=("2", ['speed; extra == "fast"', 'docs; extra == "doc"']),
        speed=("1", []),
    )
    found = resolve([Requirement("app")], JETPACK_6, index)
    assert [wheel.name for wheel in found] == ["app", "lib", "speed"]


def test_versions_outside_the_target_machine_s_bounds_are_rejected() -> None:
    index = Index(app=("1", ['lib<2; platform_machine == "aarch64"']), lib=("2", []))
    with pytest.raises(UnresolvedError, match="lib<2"):
        resolve([Requirement("app")], BOOKWORM, index)


def test_pip_resolves_wheels_of_the_target_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        if "broken" in words:
            return subprocess.CompletedProcess(
                words, 1, "", "WARNING: x\nERROR: No matching distribution found\n"
            )
        Path(words[words.index("--report") + 1]).write_text(json.dumps(report()), "utf-8")
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    wanted = [Requirement("lib[b,a]>=1,<2; platform_machine == 'aarch64'")]
    assert module.resolve_with_pip(wanted, JETPACK_6) == report()
    (words,) = commands
    assert {"--dry-run", "--only-binary=:all:", "manylinux_2_35_aarch64"} <= set(words)
    assert words[words.index("--python-version") + 1] == "3.10.12"
    assert words[-1].startswith("lib[a,b]")
    assert ";" not in words[-1]
    with pytest.raises(UnresolvedError, match=r"^No matching distribution found$"):
        module.resolve_with_pip([Requirement("broken")], JETPACK_6)


def test_the_script_fails_and_names_the_set_without_wheels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def resolve_all(wanted: Sequence[Requirement], machine: Machine) -> list[Wheel]:
        if machine is JETPACK_6 and any(requirement.name == "onnxruntime" for requirement in wanted):
            raise UnresolvedError("No matching distribution found for onnxruntime")
        return [Wheel(name="numpy", version="1.26.4", file="numpy.whl")]

    monkeypatch.setattr(wheels, "resolve", resolve_all)
    monkeypatch.setattr(sys, "argv", ["wheels", "--json", "-"])
    assert wheels.main() == 1
    payload = json.loads(capsys.readouterr().out)
    assert not payload["resolved"]
    faulty = [(entry["set"], entry["machine"]) for entry in payload["sets"] if entry["error"]]
    assert faulty == [("s2d-edge[ort]", "jetpack6")]
    monkeypatch.setattr(sys, "argv", ["wheels", "--machine", "ubuntu24"])
    assert wheels.main() == 0
    assert "1.26.4" in capsys.readouterr().out
