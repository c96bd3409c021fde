"""Doctor's lines on OpenCV, MediaPipe and the face search."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from s2d_edge import starter
from s2d_edge.media.faces import graphs
from s2d_edge.verbs import doctor_vision
from s2d_edge.verbs.doctor_devices import Runtimes
from s2d_edge.verbs.doctor_vision import (
    diagnose_faces,
    diagnose_mediapipe,
    diagnose_opencv,
    one_opencv,
    remedy_of,
)
from tests.firmware_host.graphs import Pack, add_pack, make_bundle
from tools import one_opencv as tool

CONTRIB, HEADLESS, PLAIN = "opencv-contrib-python", "opencv-python-headless", "opencv-python"


def _install(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    there = dict.fromkeys(packages, "4.11.0.86")
    monkeypatch.setattr(doctor_vision, "tool_versions", lambda *_: {"python": "3.11"} | there)


@pytest.mark.parametrize("packages", [(CONTRIB, HEADLESS), (HEADLESS, PLAIN), (PLAIN, CONTRIB, HEADLESS)])
def test_two_opencvs_are_named_with_the_way_to_one(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...]
) -> None:
    _install(monkeypatch, *packages)
    found = diagnose_opencv()
    assert not found.ready
    kept, others = one_opencv()
    assert {kept.partition("==")[0], *others} == set(packages)
    assert f"uninstall --yes {' '.join(others)};" in found.next_step
    assert found.next_step.endswith(f"--no-deps {kept}")
    assert kept.startswith(CONTRIB) == (CONTRIB in packages)  # MediaPipe wants it


@pytest.mark.parametrize("packages", [(), (HEADLESS,), (CONTRIB,)])
def test_one_opencv_is_left_alone(monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...]) -> None:
    _install(monkeypatch, *packages)
    assert diagnose_opencv().ready
    assert one_opencv()[1] == []
    monkeypatch.setattr(tool, "one_opencv", one_opencv)
    monkeypatch.setattr(tool, "run", lambda *_: pytest.fail("it was installed again"))
    tool.main()


def test_the_tool_leaves_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, CONTRIB, HEADLESS)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(tool, "run", lambda *words: ran.append(words))
    tool.main()
    (removed, installed) = ran
    assert (removed[0], removed[-1]) == ("uninstall", HEADLESS)
    assert (installed[0], installed[-1]) == ("install", f"{CONTRIB}==4.11.0.86")


def test_a_machine_without_mediapipe_has_a_face_search_where_the_starter_has_a_pack(
    face_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (graphs, doctor_vision):
        monkeypatch.setattr(module, "has_mediapipe", lambda: False)
    shipped = tmp_path / "starter"
    monkeypatch.setattr(starter, "__path__", [str(shipped)])
    absent = diagnose_mediapipe()
    assert (absent.ready, absent.needed, absent.found) == (False, False, "not installed")
    runtimes = Runtimes(openvino="2026.4.1")
    assert not diagnose_faces(runtimes).ready
    add_pack(face_pack, make_bundle(shipped / "intel-cpu"))
    found = diagnose_faces(runtimes)
    assert found.ready
    assert face_pack[1].source in found.found
    assert "s2d-edge[ort]" in diagnose_faces(Runtimes()).next_step
    file = shipped / "intel-cpu/face/mesh.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    assert "mesh.onnx" in diagnose_faces(runtimes).found


def test_a_missing_opencv_is_installed_under_its_packages_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    found = diagnose_opencv()
    assert (found.ready, found.needed) == (False, True)
    assert found.next_step == f"pip install {HEADLESS}"


def test_the_system_package_of_a_missing_library_is_named() -> None:
    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    assert "apt-get install libgl1" in remedy_of(error)
