"""Turn the frames of one clip into the network's pictures as they come, so that none is kept in full size."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.media.crop import Picture, Points, align_crop, resize_frame, whole_picture

FindFace = Callable[[Picture], Points | None]


class FrameCropper:
    """Crops one frame after the other around its face.

    A frame without a face is cropped where the nearest earlier one has it. The first frames of a clip may
    have none before them: they become whole pictures, and can be cropped again once a later face is known.
    """

    def __init__(self, size: int, crop: CropRecipe | None, find: FindFace) -> None:
        """Begin a clip.

        Args:
            size: side of the pictures, pixels.
            crop: the face crop; None takes the frames as they are, resized.
            find: the largest face of a frame, None where there is none; not called without ``crop``.
        """
        self._size = size
        self._crop = crop
        self._find = find
        self._first: Points | None = None
        self._last: Points | None = None
        self._leading = 0

    def add(self, frame: Picture) -> tuple[Picture, bool]:
        """Crop the next (H, W, 3) uint8 RGB frame.

        Returns:
            The (S, S, 3) uint8 picture, and True if it is cropped around the frame's own face.
        """
        if self._crop is None:
            return resize_frame(frame, self._size), False
        own = self._find(frame)
        self._last = self._last if own is None else own
        if self._last is None:
            self._leading += 1
            return whole_picture(frame, self._size), False
        if self._first is None:
            self._first = self._last
        return align_crop(frame, self._last, self._crop), own is not None

    @property
    def crops(self) -> bool:
        """False where frames are taken as they are."""
        return self._crop is not None

    @property
    def to_crop_again(self) -> int:
        """Number of first frames without a face, once a later one has one."""
        return 0 if self._first is None else self._leading

    def crop_again(self, frames: Iterable[Picture]) -> list[Picture]:
        """Crop those first frames where the first face is; as many as :attr:`to_crop_again` must be given."""
        if self._crop is None or self._first is None:
            return []
        return [align_crop(frame, self._first, self._crop) for frame in frames]
