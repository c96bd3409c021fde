"""Drawing on frames: the face's box, its label, and a bar for each expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from s2d_edge.preprocess import Picture

Colour = tuple[int, int, int]
ACCENT: Colour = (80, 200, 255)
MUTED: Colour = (170, 178, 186)
BRIGHT: Colour = (245, 247, 250)
DARK: Colour = (16, 20, 24)
PANEL_OPACITY = 0.62


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What to draw on one frame.

    Attributes:
        face: x, y, width, height, pixels; None when there is no face.
        label: the current answer; None before the first.
        probabilities: of each class, in label order; empty before the first answer.
        status: one line when there is no answer to show.
    """

    face: tuple[int, int, int, int] | None = None
    label: str | None = None
    probabilities: Mapping[str, float]
    status: str = ""


def annotate(frame: Picture, overlay: Overlay) -> Picture:
    """A copy of a (H, W, 3) uint8 RGB frame with the overlay drawn on it."""
    picture = frame.copy()
    text_px = int(np.clip(min(frame.shape[:2]) / 28, 11, 36))
    if overlay.face is not None:
        _draw_box(picture, overlay.face, text_px)
        if overlay.label is not None:
            share = overlay.probabilities[overlay.label]
            _draw_tag(picture, overlay.face, f"{overlay.label}  {share:.0%}", text_px)
    if overlay.probabilities:
        _draw_bars(picture, overlay, text_px)
    elif overlay.status:
        _draw_status(picture, overlay.status, text_px)
    return picture


def _draw_box(picture: Picture, box: tuple[int, int, int, int], text_px: int) -> None:
    """Corners only: the face stays visible."""
    x, y, w, h = box
    thick = max(2, text_px // 7)
    arm = max(6, min(w, h) // 5)
    for corner_x, toward_x in ((x, 1), (x + w, -1)):
        for corner_y, toward_y in ((y, 1), (y + h, -1)):
            for end in ((corner_x + arm * toward_x, corner_y), (corner_x, corner_y + arm * toward_y)):
                cv2.line(picture, (corner_x, corner_y), end, ACCENT, thick, cv2.LINE_AA)


def _draw_tag(picture: Picture, box: tuple[int, int, int, int], text: str, text_px: int) -> None:
    """The answer above the face, or inside its top where there is no room above."""
    mask = _text_mask(text, text_px)
    pad = text_px // 3
    height, width = mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad
    x = int(np.clip(box[0], 0, max(picture.shape[1] - width, 0)))
    above = box[1] - height - pad
    y = above if above >= 0 else box[1] + pad
    _fill(picture, x, y, width, height, ACCENT, 0.92)
    _draw_mask(picture, mask, x + pad, y + pad, DARK)


def _draw_bars(picture: Picture, overlay: Overlay, text_px: int) -> None:
    """All classes in the lower left corner, the strongest in colour."""
    row_px, pad = round(text_px * 1.5), text_px // 2
    names = max(_text_mask(label, text_px).shape[1] for label in overlay.probabilities)
    number = _text_mask("100%", text_px).shape[1]
    bar = text_px * 5
    width = names + bar + number + 4 * pad
    height = row_px * len(overlay.probabilities) + 2 * pad
    x, y = pad, picture.shape[0] - height - pad
    _fill(picture, x, y, width, height, DARK, PANEL_OPACITY)
    for row, (label, share) in enumerate(overlay.probabilities.items()):
        colour = ACCENT if label == overlay.label else MUTED
        top = y + pad + row * row_px
        _draw_mask(picture, _text_mask(label, text_px), x + pad, top, colour)
        bar_x, bar_y, bar_h = x + names + 2 * pad, top + text_px // 4, max(3, text_px // 2)
        _fill(picture, bar_x, bar_y, bar, bar_h, BRIGHT, 0.14)
        _fill(picture, bar_x, bar_y, round(bar * share), bar_h, colour, 1.0)
        figure = _text_mask(f"{share:.0%}", text_px)
        _draw_mask(picture, figure, x + width - pad - figure.shape[1], top, colour)


def _draw_status(picture: Picture, text: str, text_px: int) -> None:
    mask = _text_mask(text, text_px)
    pad = text_px // 2
    height, width = mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad
    y = picture.shape[0] - height - pad
    _fill(picture, pad, y, width, height, DARK, PANEL_OPACITY)
    _draw_mask(picture, mask, 2 * pad, y + pad, BRIGHT)


@lru_cache(maxsize=512)
def _text_mask(text: str, text_px: int) -> NDArray[np.float32]:
    """Coverage of a line of text, (about 1.3 · text_px, W) float32 in [0, 1]."""
    font = ImageFont.load_default(size=text_px)
    left, _, right, _ = font.getbbox(text)
    ascent, descent = (
        font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (text_px, text_px // 4)
    )
    image = Image.new("L", (max(round(right - left), 1), ascent + descent), 0)
    ImageDraw.Draw(image).text((-left, 0), text, fill=255, font=font)
    return np.asarray(image, np.float32) / 255


def _draw_mask(picture: Picture, mask: NDArray[np.float32], x: int, y: int, colour: Colour) -> None:
    _blend(picture, x, y, mask, colour)


def _fill(picture: Picture, x: int, y: int, width: int, height: int, colour: Colour, opacity: float) -> None:
    if width > 0 and height > 0:
        _blend(picture, x, y, np.full((height, width), opacity, np.float32), colour)


def _blend(picture: Picture, x: int, y: int, cover: NDArray[np.float32], colour: Colour) -> None:
    """Lay ``colour`` over the picture at (x, y) as far as ``cover`` says, clipped to the picture."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + cover.shape[1], picture.shape[1]), min(y + cover.shape[0], picture.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    share = cover[y0 - y : y1 - y, x0 - x : x1 - x, None]  # (h, w, 1)
    under = picture[y0:y1, x0:x1]
    picture[y0:y1, x0:x1] = (under * (1 - share) + np.array(colour, np.float32) * share + 0.5).astype(
        np.uint8
    )
