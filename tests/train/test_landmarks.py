"""The landmark network's lessons: crops and points stay together, and the error goes down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2d_edge.contracts.model_config import LandmarkConfig, preset
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, S2DEdgeError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.checkpoint import read_landmark
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.train.command import train
from s2d_edge.train.landmark.faces import FacePool, _pictures_of, draw_crops, mesh_pool
from s2d_edge.train.landmark.points import FROM_MESH, MIRROR
from s2d_edge.train.landmark.teaching import point_error, teach
from s2d_edge.train.plan.settings import LandmarkSettings
from tests.pictures import plain
from tests.train.tiny import alone

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

QUIET = Console(quiet=True)
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
    order = MIRROR
    assert sorted(order) == list(range(68))
    assert [order[k] for k in order] == list(range(68))
    assert order[36] == 45
    assert order[8] == 8
    assert order[48] == 54


def test_teaching_lowers_the_point_error() -> None:
    held_out = _pool(16, seed=5)
    torch.manual_seed(0)
    before = point_error(MobileFaceNet(TINY).eval(), held_out)
    settings = LandmarkSettings(steps=30, batch_frames=16)
    taught = point_error(teach(TINY, _pool(64), settings, 0, alone()), held_out)
    assert taught.whole < 0.3 < before.whole
    assert taught.inner < 0.3 < before.inner


def test_the_points_taken_from_the_mesh_are_where_their_names_say(shared_data: Path) -> None:
    """By the mean of real faces: the mirror order swaps sides, and features stand in their order."""
    assert len(FROM_MESH) == len(set(FROM_MESH)) == 68
    samples = open_dataset(str(shared_data / "faces"), QUIET).split("val")[:30]
    pool = mesh_pool(samples, 30, 0, QUIET, title="faces")
    points = pool.points.mean(dim=0).numpy()
    across, down = points[:, 0], points[:, 1]
    middle = across[[27, 28, 29, 30, 33, 51, 57, 62, 66, 8]]
    assert np.ptp(middle) < 0.02
    for k, other in enumerate(MIRROR):
        assert across[k] - middle.mean() == pytest.approx(middle.mean() - across[other], abs=0.03)
        assert down[k] == pytest.approx(down[other], abs=0.02)
    assert down[19] < down[37] < down[41] < down[33] < down[51] < down[62] < down[66] < down[57] < down[8]
    assert (np.diff(across[1:16]) > 0).all()  # the jaw, from the picture's left to its right


def test_the_stage_writes_a_network_that_the_image_stage_takes(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (shared_data / "faces/labels.csv").read_text().splitlines()
    few = [f"{shared_data}/faces/{row}" for row in rows[1:] if row.endswith("val")][:24]
    for name, mine in (("few.csv", few[:12]), ("more.csv", few[12:])):
        Path(name).write_text("\n".join([rows[0], *mine]).replace(",val", ",train") + "\n")
    data = ["few.csv", "more.csv"]
    changes = ("landmark.steps=4", "landmark.batch_frames=4")
    (written,) = train(stage="landmark", data=data, changes=changes, console=QUIET)
    assert written == Path("runs/few+more-landmark")
    about = json.loads((written / "landmark.json").read_text())
    assert about["faces"] + about["unseen_faces"] <= 24
    assert about["point_error"]["whole"] > 0
    sizes, tensors = read_landmark(written)
    assert sizes == preset("demo").landmark
    assert sha256_of(written / "landmark.safetensors") == about["sha256"]
    assert tensors["output_layer.linear.weight"].shape[0] == 136
    with pytest.raises(S2DEdgeError, match=re.escape(str(written))):
        train(stage="landmark", data=data, changes=changes, out=written, console=QUIET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": None}, "--data"),
        ({"data": "x", "frames": 8}, "--frames"),
        ({"data": "x", "image_size": 64}, "--image-size"),
        ({"data": "x", "landmark": Path("y")}, "--landmark"),
    ],
)
def test_the_landmark_stage_rejects_options_not_for_it(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(stage="landmark", **options, console=QUIET)


def test_another_number_of_points_is_refused() -> None:
    with pytest.raises(ConfigError, match="68"):
        teach(
            LandmarkConfig(width=4, depths=(1, 1, 1), points=5),
            _pool(1),
            LandmarkSettings(),
            0,
            alone(),
        )


def test_frames_are_drawn_from_a_video_that_gives_no_number_of_them(tmp_path: Path) -> None:
    """Pictures in a row, without a container, as some cameras write them."""
    pictures = [cv2.imencode(".jpg", plain((20 * k, 20 * k, 20 * k)))[1].tobytes() for k in range(10)]
    path = tmp_path / "row.mjpeg"
    path.write_bytes(b"".join(pictures))
    drawn = list(_pictures_of(path, 4, np.random.default_rng(0)))
    assert len(drawn) == 4
    assert len({round(float(picture.mean())) for picture in drawn}) == 4
