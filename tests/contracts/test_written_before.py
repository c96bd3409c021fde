"""Files that earlier versions wrote are read: beside this file lie the first ones of their format."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.contracts.bundle import MANIFEST, read_manifest
from s2d_edge.contracts.model_config import LandmarkConfig, S2DConfig, TemporalConfig, ViTConfig
from s2d_edge.contracts.runs import RUN_FILE, WEIGHTS, read_run

WRITTEN = Path(__file__).parent / "written"


def test_the_first_run_is_read_with_defaults_for_newer_fields(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_bytes((WRITTEN / RUN_FILE).read_bytes())
    (tmp_path / WEIGHTS).touch()
    run = read_run(tmp_path)
    assert (run.name, run.stage, run.labels, run.fps) == ("first", "video", tuple("abcdefg"), 4.0)
    assert run.model == S2DConfig(
        vit=ViTConfig(image_size=112, patch_size=16, width=96, depth=4, heads=4),
        landmark=LandmarkConfig(width=16, depths=(2, 3, 1)),
        temporal=TemporalConfig(ratio=0.25, heads=8, mode="bidirectional"),
        frames=8,
        grey=False,
    )


def test_the_first_manifest_is_read_without_a_self_test(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes((WRITTEN / MANIFEST).read_bytes())
    manifest = read_manifest(tmp_path)
    assert (manifest.format_version, manifest.mode, manifest.self_test) == (1, "window", None)
    assert manifest.labels == ("red", "green", "blue")
    assert manifest.spec.frames == manifest.inputs[0].shape[1]
