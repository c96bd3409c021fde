"""Fixtures every test may use, and the order in which tests run."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from s2d_edge.contracts.bundle import FaceRecord
from s2d_edge.data.preparing import parallel
from s2d_edge.firmware_host import bundles
from tests.shared import Shared
from tests.watchdog.cpu_time import CpuTimes
from tests.watchdog.plugin import Watchdog, add_options
from tests.watchdog.signal_stack import SignalStack

# A shell starts background jobs with SIGINT ignored, and every test's process would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" in os.environ:  # tests beside others: threads and processes would only contend
    os.environ["OMP_NUM_THREADS"] = "1"
    setattr(parallel, "usable_cores", lambda: 1)  # noqa: B010  before others take the function from there

# No example may fail because the machine is busy, and every run draws the same ones.
settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

SHARED_DATA = Path(__file__).parents[1] / "../shared/data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the limits by which a test hangs."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Measure the tests of this process, and watch them for hangs."""
    config.pluginmanager.register(CpuTimes())
    if Path("/proc/self/stat").exists():
        config.pluginmanager.register(Watchdog(config))
        config.pluginmanager.register(SignalStack())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with most slow work first, so that no worker is left with a long one at the end."""
    seconds: dict[Path, float] = {}
    for item in items:
        slow = item.get_closest_marker("slow")
        seconds[item.path] = seconds.get(item.path, 0) + (slow.kwargs.get("seconds", 3) if slow else 0)
    items.sort(key=lambda item: -seconds[item.path])  # stable: the order in a file stays


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Folders that are made once in a session."""
    return Shared(tmp_path_factory)


@pytest.fixture(scope="session")
def face_video(shared: Shared) -> Path:
    """Seven seconds of one drawn face, 12.5 frames a second, 256 pixels wide and high."""

    def draw(folder: Path) -> None:
        from s2d_edge.data.avatars.clips import write_avatar_video  # with MediaPipe, which few tests need

        write_avatar_video(folder / "face.mp4", seed=3, seconds=7, fps=12.5, size=256)

    return shared.folder("face-video", draw) / "face.mp4"


@pytest.fixture(scope="session", autouse=True)
def face_graphs_compiled_once() -> Iterator[None]:
    """OpenVINO compiles each of MediaPipe's graphs once in a process, not for each of many searches."""
    import openvino

    compile_model, compiled = openvino.Core.compile_model, dict[str, Any]()

    def compile_once(core: Any, model: Any, *given: Any, **further: Any) -> Any:
        if not str(model).endswith(".tflite"):
            return compile_model(core, model, *given, **further)
        key = repr((model, given, further))
        if key not in compiled:
            compiled[key] = compile_model(core, model, *given, **further)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino.Core, "compile_model", compile_once)
        yield


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are written empty: drawing takes half a second each, and other tests look at them."""
    from matplotlib.figure import Figure

    def write(figure: Figure, out: Any, **how: Any) -> None:
        if hasattr(out, "write"):
            out.write("<svg></svg>")
        else:
            Path(out).touch()

    monkeypatch.setattr(Figure, "savefig", write)


@pytest.fixture(scope="session")
def face_pack(shared: Shared) -> tuple[Path, FaceRecord]:
    """A folder with the face pack of the installed MediaPipe in it, and its record."""

    def make(folder: Path) -> None:
        from s2d_edge.export.faces.pack import write_pack

        (folder / "record.json").write_text(write_pack(folder).model_dump_json(), encoding="utf-8")

    folder = shared.folder("face-pack", make)
    return folder, FaceRecord.model_validate_json((folder / "record.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def shellcheck() -> str:
    """The shellcheck that the development environment installs, on PATH or not."""
    found = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert found, "shellcheck is in the extra 'dev': pip install -e '.[dev]'"
    return found


@pytest.fixture
def no_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships no starter; the empty folder where it would be."""
    folder = tmp_path / "no-starter"
    folder.mkdir()
    monkeypatch.setattr(bundles, "STARTER_FOLDER", folder)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the development data in ../shared/data, which is not here")
    return SHARED_DATA.resolve()
