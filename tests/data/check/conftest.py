"""A face in every picture, so that the drawn clips of these tests pass for faces."""

from __future__ import annotations

import pytest

from s2d_edge.data.check import faces


class Faces:
    """Finds a face in any picture, or in none."""

    def __init__(self, *, any_found: bool) -> None:
        self.any_found = any_found
        self.searched = 0

    def find(self, frame: object) -> list[str]:
        """Something for every face."""
        self.searched += 1
        return ["face"] if self.any_found else []


@pytest.fixture(autouse=True)
def every_picture_shows_a_face(monkeypatch: pytest.MonkeyPatch) -> Faces:
    """The face finder that the check gets; a test may change what it finds."""
    finder = Faces(any_found=True)
    monkeypatch.setattr(faces, "_finder", lambda: finder)
    return finder
