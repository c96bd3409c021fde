"""Sizes, modes, saving, and initial weights from other models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from s2d_edge.contracts.model_config import S2DConfig, TemporalConfig, ViTConfig, preset
from s2d_edge.contracts.runs import WEIGHTS
from s2d_edge.core.errors import CheckpointError, ConfigError, DeviceError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.engine import open_run
from s2d_edge.model.initialise import initialise, resample_positions
from s2d_edge.model.s2d import S2D
from tests.models import TINY, random_clip, random_model, with_vit, write_random_run


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ViTConfig(width=100, heads=3), "width=100.*heads=3"),
        (lambda: ViTConfig(image_size=100), "image_size=100"),
        (lambda: ViTConfig(depth=0), "depth=0"),
        (lambda: S2DConfig(classes=1), "classes=1"),
        (lambda: S2DConfig(temporal=None), "frames=1"),
        (lambda: S2DConfig(temporal=TemporalConfig(ratio=0.25, heads=7)), "temporal.heads=7"),
        (lambda: TemporalConfig(ratio=0), "ratio=0"),
        (lambda: S2DConfig(dropout=1.0), "dropout=1.0"),
        (lambda: preset("huge"), "'huge'"),
    ],
)
def test_impossible_sizes_are_refused(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(ConfigError, match=message):
        build()


def test_wrong_clip_shape_is_refused() -> None:
    model = random_model(TINY)
    with pytest.raises(ConfigError, match=r"\(1, 5, 64, 64, 3\)"):
        model(torch.zeros(1, 5, 64, 64, 3, dtype=torch.uint8))


def test_a_grey_model_depends_on_luma_alone() -> None:
    clip = random_clip(TINY)
    frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip[0].numpy()]
    grey = torch.from_numpy(np.stack(frames))[None, ..., None].expand(-1, -1, -1, -1, 3)
    coloured, luma = random_model(TINY), random_model(replace(TINY, grey=True))
    with torch.inference_mode():
        assert not torch.allclose(coloured(clip), coloured(grey), atol=1e-2)
        torch.testing.assert_close(luma(clip), luma(grey), atol=2e-3, rtol=0)  # OpenCV rounds
        torch.testing.assert_close(luma(grey), coloured(grey), atol=1e-5, rtol=1e-5)


def test_a_change_to_luma_is_noted(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run", TINY)
    notes = initialise(S2D(replace(TINY, grey=True)), tmp_path / "run")
    assert any("luma" in note and "colours" in note for note in notes)
    assert not any("luma" in note and "colours" in note for note in initialise(S2D(TINY), tmp_path / "run"))


def test_uint8_and_float_pixels_give_equal_logits() -> None:
    model, clip = random_model(TINY), random_clip(TINY)
    with torch.inference_mode():
        torch.testing.assert_close(model(clip), model(clip.float()), atol=0, rtol=0)


def test_clips_of_a_batch_do_not_affect_each_other() -> None:
    model = random_model(TINY)
    one, other = random_clip(TINY, 1), random_clip(TINY, 2)
    with torch.inference_mode():
        both = model(torch.cat((one, other)))
        torch.testing.assert_close(both, torch.cat((model(one), model(other))), atol=1e-5, rtol=0)


def test_the_order_of_frames_changes_the_logits() -> None:
    model, clip = random_model(TINY), random_clip(TINY)
    with torch.inference_mode():
        assert (model(clip) - model(clip.flip(1))).abs().max() > 1e-3


def test_fresh_video_model_has_its_image_models_logits_on_stills() -> None:
    image = random_model(TINY.as_image())
    assert TINY.temporal is not None
    video = S2D(TINY.as_image().as_video(4, TINY.temporal)).eval()
    video.load_state_dict(image.state_dict(), strict=False)
    picture = random_clip(image.config)
    with torch.inference_mode():
        torch.testing.assert_close(
            video(picture.expand(-1, 4, -1, -1, -1)), image(picture), atol=1e-5, rtol=0
        )


def test_stage_two_trains_only_the_last_norm_of_the_vit() -> None:
    model = S2D(TINY)
    model.freeze_backbone()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name in trained if name.startswith("vit.")} == {"vit.norm.weight", "vit.norm.bias"}
    assert {name.split(".")[0] for name in trained} == {
        "vit", "prompt_embed", "prompt_norms", "prompters", "adapters", "temporal_embedding", "head",
    }  # fmt: skip


def test_run_folder_round_trip_and_tampering(tmp_path: Path) -> None:
    model = write_random_run(tmp_path / "run")
    loaded, info = load_run(tmp_path / "run")
    assert info.model == TINY
    with torch.inference_mode():
        torch.testing.assert_close(loaded(random_clip(TINY)), model(random_clip(TINY)), atol=0, rtol=0)
    weights = tmp_path / "run" / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        load_run(tmp_path / "run")
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        load_run(tmp_path / "run")


def test_engine_refuses_wrong_clips_and_absent_devices(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run")
    with open_run(tmp_path / "run", "cpu") as engine:
        with pytest.raises(DeviceError, match="uint8"):
            engine.infer(random_clip(with_vit(TINY, image_size=32)).numpy())
        assert engine.infer(random_clip(TINY).numpy()).shape == (1, 3)
    with pytest.raises(DeviceError, match="npu"):
        open_run(tmp_path / "run", "npu")


def test_not_finite_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    write_random_run(path)
    model, info = load_run(path)
    with torch.no_grad():
        model.head.bias[0] = float("nan")
    from s2d_edge.model.checkpoint import save_run

    save_run(path, info, model)
    with pytest.raises(CheckpointError, match=r"head\.bias"):
        load_run(path)


def test_initialise_from_an_image_run_takes_its_head(tmp_path: Path) -> None:
    image = write_random_run(tmp_path / "image", TINY.as_image())
    video = S2D(TINY)
    notes = initialise(video, tmp_path / "image")
    assert any("adapters" in note for note in notes)
    torch.testing.assert_close(video.head.weight, image.head.weight, atol=0, rtol=0)
    other = S2D(replace(TINY, classes=5))
    assert any("head" in note for note in initialise(other, tmp_path / "image"))


def test_a_head_of_other_labels_is_not_loaded_even_if_as_many(tmp_path: Path) -> None:
    run = write_random_run(tmp_path / "run")
    model = S2D(TINY)
    initialise(model, tmp_path / "run", ("a", "b", "c"))
    assert torch.equal(model.head.weight, run.head.weight)
    model = S2D(TINY)
    notes = initialise(model, tmp_path / "run", ("b", "a", "c"))
    assert any("(a, b, c), 3 here" in note for note in notes)
    assert not torch.equal(model.head.weight, run.head.weight)
    assert torch.equal(model.vit.norm.weight, run.vit.norm.weight)


def test_kinds_of_a_class_start_from_its_weights_plus_fresh_ones(tmp_path: Path) -> None:
    run = write_random_run(tmp_path / "run")  # of a, b and c
    model = S2D(replace(TINY, classes=4))
    fresh = model.head.weight.detach().clone()
    notes = initialise(model, tmp_path / "run", ("b-onset", "a", "b-offset", "c"))
    assert any("(a, b, c), 4 here" in note for note in notes)
    torch.testing.assert_close(model.head.weight, run.head.weight[[1, 0, 1, 2]] + fresh)
    other = S2D(replace(TINY, classes=4))
    notes = initialise(other, tmp_path / "run", ("b-onset", "a", "b-offset", "d"))
    assert any("fresh: 3 classes there (a, b, c), 4 here" in note for note in notes)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_initialise_from_a_plain_vit(suffix: str, tmp_path: Path) -> None:
    source = random_model(with_vit(TINY, image_size=96)).vit
    tensors = dict(source.state_dict()) | {"head.weight": torch.zeros(10, 48), "head.bias": torch.zeros(10)}
    path = tmp_path / f"vit{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save({"model": tensors}, path)
    model = S2D(TINY)
    notes = initialise(model, path)
    assert any("4×4" in note for note in notes)
    torch.testing.assert_close(
        model.vit.state_dict()["blocks.1.mlp.fc1.weight"], tensors["blocks.1.mlp.fc1.weight"], atol=0, rtol=0
    )


def test_a_run_on_pictures_of_another_size_keeps_all_but_its_positions(tmp_path: Path) -> None:
    run = write_random_run(tmp_path / "run", with_vit(TINY, image_size=96))
    model = S2D(TINY)
    assert any("4×4" in note for note in initialise(model, tmp_path / "run"))
    torch.testing.assert_close(model.vit.pos_embed, resample_positions(run.vit.pos_embed, 4))
    torch.testing.assert_close(model.vit.norm.weight, run.vit.norm.weight, atol=0, rtol=0)


def test_initialise_refuses_a_file_without_a_vit(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        initialise(S2D(TINY), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"absent\.pth"):
        initialise(S2D(TINY), tmp_path / "absent.pth")


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    embedding = torch.randn(1, 17, 8)
    torch.testing.assert_close(resample_positions(embedding, 4), embedding, atol=1e-5, rtol=0)
