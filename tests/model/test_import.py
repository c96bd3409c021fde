"""Official checkpoints in all their forms, and those that are refused."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from s2d_edge.contracts.model_config import preset
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, S2DEdgeError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.official import import_official
from s2d_edge.model.s2d import S2D
from s2d_edge.verbs.import_ import import_run
from tests.model.official_names import official_tensors
from tests.models import TINY, random_clip, random_model

QUIET = Console(quiet=True)
_LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def model() -> S2D:
    return random_model(TINY)


@pytest.fixture
def landmark(model: S2D, tmp_path: Path) -> Path:
    path = tmp_path / "landmark.pth"
    torch.save({"state_dict": model.landmark.state_dict()}, path)
    return path


def _save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def _same_logits(imported: S2D, model: S2D) -> None:
    clip = random_clip(model.config)
    with torch.inference_mode():
        torch.testing.assert_close(imported(clip), model(clip), atol=1e-6, rtol=0)


@pytest.mark.parametrize("wrapper", ["model", "model_state_dict", "module", None])
def test_video_checkpoint_under_every_wrapper(
    wrapper: str | None, model: S2D, landmark: Path, tmp_path: Path
) -> None:
    tensors = official_tensors(model)
    path = _save(tmp_path / "official.pth", tensors if wrapper is None else {wrapper: tensors, "epoch": 3})
    imported = import_official(path, landmark, _LABELS, heads=4)
    assert imported.model.config.vit == TINY.vit
    assert imported.model.config.frames == TINY.frames
    # The official adapters always have 8 heads, which are in no shape; a bottleneck of 16 allows them.
    assert imported.model.config.temporal is not None
    assert imported.model.config.temporal.heads == 8


def test_video_checkpoint_has_the_logits_of_its_model(landmark: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    assert TINY.temporal is not None
    source = random_model(replace(TINY, temporal=replace(TINY.temporal, heads=8)), seed=0)
    checkpoint = {
        "model": {f"module.{name}": value for name, value in official_tensors(source).items()},
        "args": argparse.Namespace(lr=1e-5),
    }
    path = _save(tmp_path / "official.pth", checkpoint)
    torch.save(source.landmark.state_dict(), landmark)
    _same_logits(import_official(path, landmark, _LABELS, heads=4).model, source)


def test_landmark_file_with_module_prefix(model: S2D, landmark: Path, tmp_path: Path) -> None:
    prefixed = {f"module.{name}": value for name, value in model.landmark.state_dict().items()}
    torch.save(prefixed, landmark)
    path = _save(tmp_path / "official.pth", {"model": official_tensors(model)})
    imported = import_official(path, landmark, _LABELS, heads=4).model
    for name, value in model.landmark.state_dict().items():
        torch.testing.assert_close(imported.landmark.state_dict()[name], value, atol=0, rtol=0)


def test_embedded_landmark_keys_are_left_out_and_noted(model: S2D, landmark: Path, tmp_path: Path) -> None:
    tensors = official_tensors(model) | {"landmark_detector.conv1.weight": torch.ones(3)}
    path = _save(tmp_path / "official.pth", {"model": tensors})
    notes = import_official(path, landmark, _LABELS, heads=4).notes
    assert any("1 landmark* keys" in note for note in notes)


def _image_stage(model: S2D) -> dict[str, Tensor]:
    """Weights as the image stage saves them: norm.* for ln_post.*, nothing temporal, a plain head."""
    renamed = {}
    for name, value in official_tensors(model).items():
        name = name.replace("ln_post.", "norm.").replace("head.fc_cls.", "head.")
        if ".TMA." not in name and name != "temporal_embedding":
            renamed[name] = value
    return renamed


def test_image_stage_checkpoint(landmark: Path, tmp_path: Path) -> None:
    source = random_model(TINY.as_image())
    torch.save(source.landmark.state_dict(), landmark)
    imported = import_official(
        _save(tmp_path / "image.pth", {"model": _image_stage(source)}), landmark, _LABELS, heads=4
    )
    assert imported.model.config.temporal is None
    assert any("ln_post" in note for note in imported.notes)
    _same_logits(imported.model, source)


def test_image_stage_head_for_other_classes_is_replaced_and_noted(landmark: Path, tmp_path: Path) -> None:
    source = random_model(TINY.as_image())
    path = _save(tmp_path / "image.pth", {"model": _image_stage(source)})
    imported = import_official(path, landmark, ("a", "b", "c", "d", "e"), heads=4)
    assert imported.model.head.weight.shape == (5, TINY.vit.width)
    assert any("5 classes" in note and "head.weight (3, 48)" in note for note in imported.notes)


def test_every_wrong_key_is_named(model: S2D, landmark: Path, tmp_path: Path) -> None:
    tensors = official_tensors(model)
    del tensors["prompt_blocks.1.conv1x1.bias"]
    tensors["blocks.0.attn.proj.bias"] = torch.zeros(7)
    tensors["surprise.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        import_official(_save(tmp_path / "x.pth", tensors), landmark, _LABELS, heads=4)
    message = str(caught.value)
    assert "prompters.1.to_prompt.bias" in message
    assert "surprise.weight" in message
    assert re.search(r"vit\.blocks\.0\.attn\.proj\.bias .*\(7,\).*\(48,\)", message)


def test_video_head_for_other_classes_is_refused(model: S2D, landmark: Path, tmp_path: Path) -> None:
    path = _save(tmp_path / "x.pth", official_tensors(model))
    with pytest.raises(CheckpointError, match=r"head\.fc_cls\.weight"):
        import_official(path, landmark, ("a", "b"), heads=4)


def test_a_width_without_usual_heads_needs_heads(model: S2D, landmark: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--heads"):
        import_official(_save(tmp_path / "x.pth", official_tensors(model)), landmark, _LABELS)


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "x.pth"),
        (b"no checkpoint at all", "x.pth"),
        ({"model": {}}, "no weights"),
        ({"model": {"cls_token": torch.zeros(1, 1, 48)}}, "patch_embed.proj.weight"),
        ({"model": _Payload()}, "x.pth"),
    ],
)
def test_files_that_are_not_checkpoints_are_refused(
    content: Any, found: str, landmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=found):
        import_official(path, landmark, _LABELS, heads=4)
    assert "code ran" not in capsys.readouterr().out


def test_import_writes_a_run_with_the_datasets_rate(model: S2D, landmark: Path, tmp_path: Path) -> None:
    path = _save(tmp_path / "official.pth", official_tensors(model))
    import_run(path, landmark=landmark, labels="a,b,c", heads=4, fps=7.5, out=tmp_path / "run", console=QUIET)
    assert read_run(tmp_path / "run").fps == 7.5
    loaded, info = load_run(tmp_path / "run")
    assert info.labels == _LABELS
    assert loaded.config.frames == TINY.frames
    with pytest.raises(S2DEdgeError, match="run"):
        import_run(path, landmark=landmark, labels="a,b,c", heads=4, out=tmp_path / "run", console=QUIET)


@pytest.mark.slow(seconds=4)
def test_base_checkpoint_in_official_keys_imports(shared_data: Path, tmp_path: Path) -> None:
    shapes = json.loads((shared_data / "parity/s2d_base_official_keys.json").read_text())
    tensors = {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}
    path = _save(tmp_path / "base.pth", {"model": tensors})
    landmark = shared_data / "landmark/mobilefacenet_300w.pth"
    imported = import_official(path, landmark, tuple("abcdefg")).model
    assert imported.config == preset("base")
    torch.testing.assert_close(imported.head.weight, tensors["head.fc_cls.weight"], atol=0, rtol=0)
