"""Drawing on frames: the face's box, its label, and a bar for each expression."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from s2d_edge.firmware_host.io.view import FaceMark, Overlay
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box

Colour = tuple[int, int, int]
ACCENT: Colour = (80, 200, 255)
MUTED: Colour = (170, 178, 186)
BRIGHT: Colour = (245, 247, 250)
DARK: Colour = (16, 20, 24)
STRIP: Colour = (22, 26, 31)
ROW_OVER_TEXT = 1.7


def annotate(frame: Picture, overlay: Overlay) -> Picture:
    """Draw the faces' marks on a copy of the frame, and the bars on a strip to its right.

    Args:
        frame: (H, W, 3) uint8 RGB.

    Returns:
        (H, W + strip, 3) uint8 RGB; the strip's width depends on the labels and the frame's size only.
    """
    height, width = frame.shape[:2]
    rows = len(overlay.labels) + 4  # and the status below
    text_px = int(np.clip(min(min(height, width) / 30, height / (ROW_OVER_TEXT * rows)), 8, 36))
    names = max(_text_mask(label, text_px).shape[1] for label in overlay.labels)
    strip = names + _text_mask("100%", text_px).shape[1] + 10 * text_px
    strip += (width + strip) % 2  # video encoders want even sizes
    picture = np.full((height, width + strip, 3), STRIP, np.uint8)
    picture[:, :width] = frame
    for face in overlay.faces:
        _draw_face(picture[:, :width], face, text_px)
    _draw_bars(picture[:, width:], overlay, names, text_px)
    return picture


def _draw_face(picture: Picture, face: FaceMark, text_px: int) -> None:
    colour = ACCENT if face.main else MUTED
    _draw_box(picture, face.box, colour, text_px)
    if face.label is not None:
        _draw_tag(picture, face.box, f"{face.label}  {face.share:.0%}", colour, text_px)


def _draw_box(picture: Picture, box: Box, colour: Colour, text_px: int) -> None:
    """Draw only the corners of a box, so that the face stays visible."""
    x, y, w, h = box
    thick = max(2, text_px // 7)
    arm = max(6, min(w, h) // 5)
    for corner_x, toward_x in ((x, 1), (x + w, -1)):
        for corner_y, toward_y in ((y, 1), (y + h, -1)):
            for end in ((corner_x + arm * toward_x, corner_y), (corner_x, corner_y + arm * toward_y)):
                cv2.line(picture, (corner_x, corner_y), end, colour, thick, cv2.LINE_AA)


def _draw_tag(picture: Picture, box: Box, text: str, colour: Colour, text_px: int) -> None:
    """Write the prediction above the face, or inside its top where there is no room above."""
    mask = _text_mask(text, text_px)
    pad = text_px // 3
    height, width = mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad
    x = int(np.clip(box[0], 0, max(picture.shape[1] - width, 0)))
    above = box[1] - height - pad
    y = above if above >= 0 else box[1] + pad
    _fill(picture, x, y, width, height, colour, 0.92)
    _blend(picture, x + pad, y + pad, mask, DARK)


def _draw_bars(strip: Picture, overlay: Overlay, names: int, text_px: int) -> None:
    """Draw a bar for each class, the most probable in colour, and the status below."""
    row_px = round(text_px * ROW_OVER_TEXT)
    left, right = text_px, strip.shape[1] - text_px
    number = _text_mask("100%", text_px).shape[1]
    bar_x = left + names + text_px
    bar = right - number - text_px - bar_x
    top = text_px
    for label in overlay.labels:
        share = overlay.probabilities.get(label, 0.0)
        colour = ACCENT if label == overlay.label else MUTED
        name = _text_mask(label, text_px)
        _blend(strip, left, top, name, colour)
        thick = max(3, text_px // 2)
        bar_y = top + (name.shape[0] - thick) // 2
        _fill(strip, bar_x, bar_y, bar, thick, BRIGHT, 0.12)
        _fill(strip, bar_x, bar_y, round(bar * share), thick, colour, 1.0)
        if overlay.probabilities:
            figure = _text_mask(f"{share:.0%}", text_px)
            _blend(strip, right - figure.shape[1], top, figure, colour)
        top += row_px
    lines = [part.strip() for part in overlay.status.split(",") if part.strip()]
    top = strip.shape[0] - row_px * len(lines) - text_px // 2
    for each in lines:
        _blend(strip, left, top, _text_mask(each, text_px), MUTED)
        top += row_px


@lru_cache(maxsize=512)
def _text_mask(text: str, text_px: int) -> NDArray[np.float32]:
    """Coverage of a line of text by its letters, (about 1.3 · text_px, W) float32 in [0, 1]."""
    font = ImageFont.load_default(size=text_px)
    left, _, right, _ = font.getbbox(text)
    ascent, descent = (
        font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (text_px, text_px // 4)
    )
    image = Image.new("L", (max(round(right - left), 1), ascent + descent), 0)
    ImageDraw.Draw(image).text((-left, 0), text, fill=255, font=font)
    return np.asarray(image, np.float32) / 255


def _fill(picture: Picture, x: int, y: int, width: int, height: int, colour: Colour, opacity: float) -> None:
    if width > 0 and height > 0:
        _blend(picture, x, y, np.full((height, width), opacity, np.float32), colour)


def _blend(picture: Picture, x: int, y: int, cover: NDArray[np.float32], colour: Colour) -> None:
    """Blend ``colour`` over the picture at (x, y), weighted by ``cover`` and clipped to the picture."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + cover.shape[1], picture.shape[1]), min(y + cover.shape[0], picture.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    share = cover[y0 - y : y1 - y, x0 - x : x1 - x, None]  # (h, w, 1)
    under = picture[y0:y1, x0:x1]
    picture[y0:y1, x0:x1] = (under * (1 - share) + np.array(colour, np.float32) * share + 0.5).astype(
        np.uint8
    )
