"""The landmark network's lessons: crops and points stay together, and the error goes down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2d_edge.console import Console
from s2d_edge.errors import ConfigError
from s2d_edge.model.config import LandmarkConfig
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.train import landmarks
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.landmarks import FacePool, draw_crops, point_error, teach
from s2d_edge.train.settings import LandmarkSettings

TINY = LandmarkConfig(width=4, depths=(1, 1, 1))


def _face(rng: np.random.Generator) -> NDArray[np.float32]:
    """(68, 2) points on an ellipse with two eyes, in iBUG's order where the test needs it."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = 0.5 + 0.25 * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points[36], points[45] = (0.35, 0.45), (0.65, 0.45)
    moved: NDArray[np.float32] = (points + rng.uniform(-0.1, 0.1, 2)).astype(np.float32)
    return moved


def _pool(count: int, seed: int = 0, size: int = 96) -> FacePool:
    """Faces whose outer eye corners are drawn: a red dot at point 36, a green one at 45."""
    rng = np.random.default_rng(seed)
    points = np.stack([_face(rng) for _ in range(count)])
    pictures = np.full((count, size, size, 3), 60, dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size] + 0.5
    for picture, face in zip(pictures, points, strict=True):
        for corner, channel in ((36, 0), (45, 1)):
            x, y = face[corner] * size
            picture[np.hypot(columns - x, rows - y) < 3, channel] = 255
    return FacePool(pictures=torch.from_numpy(pictures), points=torch.from_numpy(points))


def _dots(pictures: torch.Tensor, channel: int) -> torch.Tensor:
    """(B, 2) centre of the brightest dot of one colour, as fractions."""
    size = pictures.shape[-1]
    other = pictures[:, 2]
    weight = (pictures[:, channel] - other).clamp(min=0) ** 2 + 1e-6
    places = (torch.arange(size) + 0.5) / size
    total = weight.sum(dim=(1, 2))
    x = (weight.sum(dim=1) * places).sum(dim=1) / total
    y = (weight.sum(dim=2) * places).sum(dim=1) / total
    return torch.stack((x, y), dim=1)


def test_points_follow_the_crop() -> None:
    pool = _pool(16)
    generator = torch.Generator().manual_seed(1)
    pictures, points = draw_crops(pool, torch.arange(16), generator, vary=0.0)
    assert pictures.shape == (16, 3, 112, 112)
    for corner, channel in ((36, 0), (45, 1)):
        assert (_dots(pictures, channel) - points[:, corner]).abs().max() < 0.03


def test_a_mirrored_face_keeps_the_meaning_of_its_points() -> None:
    pool = _pool(32)
    _, points = draw_crops(pool, torch.arange(32), torch.Generator().manual_seed(2), vary=1.0)
    assert (points[:, 36, 0] < points[:, 45, 0]).all()


def test_the_mirror_order_is_an_involution_that_swaps_the_eyes() -> None:
    order = landmarks._MIRROR
    assert sorted(order) == list(range(68))
    assert [order[k] for k in order] == list(range(68))
    assert order[36] == 45
    assert order[8] == 8
    assert order[48] == 54


def test_teaching_lowers_the_point_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = {"train": _pool(64), "val": _pool(16, seed=5)}

    class Avatars:
        name = "drawn"

        def split(self, name: str) -> str:
            return name

    monkeypatch.setattr(landmarks, "read_pool", lambda avatars, samples, frames, seed: pools[samples])
    torch.manual_seed(0)
    before = point_error(MobileFaceNet(TINY).eval(), pools["val"])
    settings = LandmarkSettings(steps=30, batch_frames=16)
    taught = teach(TINY, Avatars(), settings, 0, Console(quiet=True), InterruptGuard())  # type: ignore[arg-type]
    assert point_error(taught, pools["val"]) < 0.3 < before


def test_another_number_of_points_is_refused() -> None:
    with pytest.raises(ConfigError, match="68 points, "):
        teach(
            LandmarkConfig(width=4, depths=(1, 1, 1), points=5),
            None,  # type: ignore[arg-type]
            LandmarkSettings(),
            0,
            Console(quiet=True),
            InterruptGuard(),
        )
