"""The self-test passes on the right graph, and on nothing else."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.calibrate.graphs.feeds import feeds_of
from s2d_edge.calibrate.quantize.onnx_graph import quantize_onnx
from s2d_edge.calibrate.quantize.openvino_graph import quantize_openvino
from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import Bundle, EngineIdentity, open_bundle, seal
from s2d_edge.contracts.engine import Clip, Logits
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, SelfTestError
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.base import GraphEngine
from s2d_edge.firmware_host.live import run_live
from s2d_edge.firmware_host.selftest.agreement import LIMITS, compare, faults
from s2d_edge.firmware_host.selftest.selftest import check_bundle, self_test, write_self_test
from s2d_edge.firmware_host.selftest.trust import require_trust
from tests.firmware_host.damage import Damage, damaged, flipped, zeroed
from tests.firmware_host.graphs import CALIBRATED, make_bundle
from tests.firmware_host.stand_engine import StandIn
from tests.models import CAUSAL, TINY, random_clip
from tests.pictures import with_square, write_video
from tests.shared import Shared

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)
NPU = EngineIdentity(runtime="OpenVINO 1", device="npu", name="Intel AI Boost", driver="1730970000")


@pytest.fixture(scope="module")
def streamed(shared: Shared) -> Bundle:
    """OpenVINO, FP32, frame by frame."""
    return shared.exported("intel-cpu", "stream", CAUSAL)


@pytest.fixture(scope="module")
def windowed(shared: Shared) -> Bundle:
    """ONNX Runtime, FP32, clip by clip."""
    return shared.exported("jetson", "window", TINY)


def _int8(fp32: Bundle, folder: Path) -> Bundle:
    """Quantized on noise, with a self-test of its own."""
    manifest = fp32.manifest
    folder.mkdir()
    clips = [random_clip(TINY, seed=k).numpy() for k in range(2)]
    recipe = recipe_for(manifest.target, manifest.graph, manifest.mode)
    quantize = quantize_onnx if manifest.graph == "model.onnx" else quantize_openvino
    with feeds_of(fp32, clips) as feeds:
        quantize(fp32.graph_path, folder / manifest.graph, recipe, feeds, len(feeds))
    changes = {"precision": "int8", "calibration": CALIBRATED, "self_test": None, "face": None}
    sealed = seal(folder, manifest.model_copy(update=changes))
    record = write_self_test(Bundle(folder, sealed), QUIET)
    seal(folder, sealed.model_copy(update={"self_test": record}))
    return open_bundle(folder)


@pytest.fixture(scope="module")
def streamed_int8(streamed: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _int8(streamed, tmp_path_factory.mktemp("streamed") / "int8")


@pytest.fixture(scope="module")
def windowed_int8(windowed: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _int8(windowed, tmp_path_factory.mktemp("windowed") / "int8")


KINDS = ("streamed", "windowed", "streamed_int8", "windowed_int8")


@pytest.mark.slow(seconds=17)
@pytest.mark.parametrize("kind", KINDS)
def test_passes_on_the_right_graph(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    record = bundle.manifest.self_test
    assert record is not None
    frames = TINY.frames
    assert record.answers == (8 if bundle.manifest.mode == "window" else 2 * (frames + 2) - 2)
    assert (bundle.path / record.file).stat().st_size < 4096
    report = check_bundle(bundle.path, "CPU", str(tmp_path / "report.json"), QUIET)
    assert report.passed
    assert report.agreement.rms < 1e-5
    assert report.agreement.variation > 0.03  # the logits vary with the clips
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["passed"] is True
    assert written["agreement"]["correlation"] == pytest.approx(1)
    assert written["latency_p50_ms"] > 0


@pytest.mark.slow(seconds=2)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [zeroed, flipped])
def test_one_damaged_weight_tensor_is_caught(
    kind: str, damage: Damage, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle = damaged(request.getfixturevalue(kind), tmp_path / "damaged", damage, 0.4)
    report_file = tmp_path / "report.json"
    with pytest.raises(SelfTestError, match="logits"):
        check_bundle(bundle.path, "cpu", str(report_file), QUIET)
    assert json.loads(report_file.read_text())["passed"] is False


def _constant(wanted: Bundle) -> GraphEngine:
    """An engine whose logits are always the mean of the reference logits."""
    assert wanted.manifest.self_test is not None
    mean = np.load(wanted.path / wanted.manifest.self_test.file).mean(axis=0, keepdims=True)
    return StandIn(wanted, NPU, lambda clip: mean)


def test_an_engine_of_constant_logits_is_caught_by_their_correlation(windowed_int8: Bundle) -> None:
    """The mean of the reference logits is within INT8's limits, so the correlation must reject it."""
    report = self_test(windowed_int8, _constant(windowed_int8))
    assert report.agreement.correlation == 0
    assert any(f"{report.limits.correlation}" in fault for fault in report.faults)


def test_rounding_passes_and_nonsense_does_not() -> None:
    generator = np.random.default_rng(0)
    wanted = generator.normal(0, 2, (8, 7)).astype(np.float32)
    noise = generator.normal(0, 1, (8, 7)).astype(np.float32)
    for limits in LIMITS.values():
        assert not faults(compare(wanted, wanted + limits.rms * noise), limits)
        assert faults(compare(wanted, wanted + 10 * limits.rms * noise), limits)
        for nonsense in (np.zeros_like(wanted), -wanted, wanted[::-1], noise, np.full_like(wanted, 1e4)):
            assert faults(compare(wanted, nonsense), limits)
    same = np.ones((8, 7), np.float32)  # a model that has not learnt anything is no fault of the device
    assert not faults(compare(same, same), LIMITS["fp32"])


def test_damaged_and_foreign_self_tests_are_refused(windowed: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(windowed.path, copy)
    record = windowed.manifest.self_test
    assert record is not None
    np.save(copy / record.file, np.zeros((3, 3), np.float64))
    seal(copy, windowed.manifest)
    with pytest.raises(BundleError, match=r"float64 \(3, 3\)"):
        check_bundle(copy, "cpu", None, QUIET)
    (copy / record.file).write_bytes(b"no array")
    seal(copy, windowed.manifest)
    with pytest.raises(BundleError, match=record.file):
        check_bundle(copy, "cpu", None, QUIET)
    newer = record.model_copy(update={"generator": 2})
    seal(copy, windowed.manifest.model_copy(update={"self_test": newer}))
    with pytest.raises(BundleError, match="generator 2"):
        check_bundle(copy, "cpu", None, QUIET)
    (copy / record.file).unlink()
    with pytest.raises(BundleError, match=record.file):
        check_bundle(copy, "cpu", None, QUIET)


def test_older_bundle_loads_and_says_how_to_get_a_self_test(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "old", format_version=1)
    assert bundle.manifest.self_test is None
    with pytest.raises(BundleError, match="s2d-edge export"):
        check_bundle(bundle.path, "cpu", None, QUIET)
    with open_engine(bundle, "cpu") as engine:
        require_trust(bundle, engine, QUIET)
    assert capfd.readouterr().err == ""
    require_trust(bundle, StandIn(bundle, NPU, lambda clip: np.zeros((1, 3), np.float32)), QUIET)
    assert "npu Intel AI Boost" in " ".join(capfd.readouterr().err.split())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class _Counted:
    """Predicts as the CPU does, and counts the predictions."""

    def __init__(self, engine: GraphEngine) -> None:
        self.engine = engine
        self.count = 0

    def __call__(self, clip: Clip) -> Logits:
        self.count += 1
        return self.engine.infer(clip)


def test_a_pass_is_remembered_for_this_bundle_device_driver_and_runtime(
    windowed: Bundle, windowed_int8: Bundle, cache: Path
) -> None:
    with open_engine(windowed, "cpu") as real:
        counted = _Counted(real)

        def predictions_by(identity: EngineIdentity, bundle: Bundle = windowed) -> int:
            before = counted.count
            require_trust(bundle, StandIn(bundle, identity, counted), QUIET)
            return counted.count - before

        assert predictions_by(real.identity) == 0  # it computed the reference logits
        assert predictions_by(NPU) == 8
        assert predictions_by(NPU) == 0
        assert predictions_by(NPU.model_copy(update={"driver": "1759450000"})) == 8
        assert predictions_by(NPU.model_copy(update={"runtime": "OpenVINO 2"})) == 8
        assert predictions_by(NPU) == 0
        with pytest.raises(SelfTestError):  # an FP32 graph computes other logits than the INT8 one
            predictions_by(NPU, windowed_int8)
        assert len(list((cache / "selftest").iterdir())) == 3


def test_failure_is_never_remembered_and_stops_run(
    windowed: Bundle, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2d_edge.firmware_host import live

    monkeypatch.setattr(live, "open_engine", lambda bundle, *_, **__: _constant(bundle))
    clip = write_video(tmp_path / "clip.avi", [with_square((220, 20, 20))] * 4)
    run = partial(run_live, QUIET, source=clip, bundle=windowed.path, json=str(tmp_path / "results.jsonl"))
    for _ in range(2):
        with pytest.raises(SelfTestError, match=r"correlation 0\.000"):
            run()
    assert not (tmp_path / "results.jsonl").exists()
    assert not cache.exists()

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(live, "open_face_finder", refuse)
    with pytest.raises(NotImplementedError):
        run(skip_selftest=True)


def test_skipping_is_said_loudly(windowed: Bundle, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    require_trust(windowed, _constant(windowed), QUIET, skip=True)
    assert "--skip-selftest: npu Intel AI Boost" in " ".join(capfd.readouterr().err.split())
    assert not cache.exists()


def test_cache_that_cannot_be_written_costs_only_the_memory(
    windowed: Bundle, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache.write_text("a file where the folder should be")
    with open_engine(windowed, "cpu") as real:
        require_trust(windowed, StandIn(windowed, NPU, real.infer), QUIET)
    assert str(cache) in "".join(capfd.readouterr().err.split())


def test_limits_follow_the_arithmetic(windowed: Bundle, windowed_int8: Bundle) -> None:
    with open_engine(windowed, "cpu") as one, open_engine(windowed_int8, "cpu") as other:
        assert (one.arithmetic, other.arithmetic) == ("fp32", "int8")
