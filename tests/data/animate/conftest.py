"""A drawn face in the place of FaceMesh, and photographs to animate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.data.animate import dataset
from s2d_edge.data.animate.landmarks import Points
from s2d_edge.data.animate.resting import RestingFace, learn_resting_face
from s2d_edge.media.crop import Picture
from tests.data.animate.faces import round_face, varied, write_table
from tests.data.animate.sets import LABELS


class DrawnFaces:
    """Finds one round face in every picture that is not black."""

    def find(self, picture: Picture) -> Points | None:
        return round_face() * picture.shape[0] / 96 if picture.max() > 10 else None


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace FaceMesh and the learned resting face by drawn geometry; everything else stays real."""
    resting = learn_resting_face(varied(40, 0.0, seed=1), {"open": varied(40, 1.0, seed=2)})

    def learned(*args: Any, **options: Any) -> RestingFace:
        return resting

    monkeypatch.setattr(dataset, "resting_face", learned)
    monkeypatch.setattr(dataset, "StillFaceFinder", DrawnFaces)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Nine pictures of three labels and two splits, a tenth that is black, and a column of its own."""
    rng = np.random.default_rng(0)
    root = tmp_path / "stills"
    (root / "all").mkdir(parents=True)
    rows = []
    for number in range(10):
        size = (96, 96) if number else (64, 80)
        grain = rng.integers(40, 220, (*size, 3), dtype=np.uint8)
        picture = cv2.GaussianBlur(grain, (0, 0), 2) if number < 9 else np.zeros((96, 96, 3), np.uint8)
        cv2.imwrite(str(root / f"all/{number}.png"), picture)
        rows.append(
            {
                "path": f"all/{number}.png",
                "label": LABELS[number % 3],
                "subject": f"p{number // 3}",
                "split": "test" if number % 4 == 0 else "train",
                "camera": f"c{number}",
            }
        )
    write_table(root / "labels.csv", rows)
    return root
