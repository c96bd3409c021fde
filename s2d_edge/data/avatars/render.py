"""Draw one avatar: paint the face flat, shade its relief, turn it, set it into the scene.

The face is painted on a *canvas*, the face plane at a fixed number of pixels per decimetre. Its relief
gives the normals for the light, and the depth by which the canvas is seen from the head's pose.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.canvas import Brush, Stroke, threefold
from s2d_edge.data.avatars.expression import FaceMotion, Floats
from s2d_edge.data.avatars.geometry import (
    Bump,
    base_height,
    face_features,
    height_at,
    jaw_line,
    moving_relief,
    resting_relief,
)
from s2d_edge.data.avatars.hair import Layer, body, front_hair, hair_behind, head_canvas, head_top
from s2d_edge.data.avatars.identity import Identity
from s2d_edge.data.avatars.paint import glasses_rims, paint_face, resting_skin
from s2d_edge.data.avatars.scene import Picture, Scene, paint_backdrop

Frame = NDArray[np.uint8]  # (S, S, 3) RGB

_GRAIN_ROOM = 61
_DEPTH_STEPS = 4  # fixed-point steps from picture to face plane; the relief's slopes make 4 ample


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """(3, 3) matrix from the head's axes (right, down, towards the viewer) to the picture's."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray((tilt[:, :, None] * (nod[:, :, None] * turn[None]).sum(1)[None]).sum(1))


class AvatarRenderer:
    """Draws one person in one scene; parts that do not move are painted once."""

    def __init__(self, who: Identity, scene: Scene, size: int) -> None:
        """Prepare pictures of ``size`` by ``size`` pixels."""
        self._who, self._scene, self._size = who, scene, size
        self._scale = scene.head * size
        self._canvas = canvas = head_canvas(who, self._scale * (1.15 if size <= 256 else 1.0))
        rng = np.random.default_rng(who.texture_seed)
        self._skin = resting_skin(who, canvas, rng)
        self._hair, self._hair_alpha = front_hair(who, canvas, rng)
        self._beside_hair = 1 - 0.5 * self._hair_alpha  # hair shines half as much as skin
        self._rims = threefold(glasses_rims(who, canvas)) if who.glasses != "none" else None
        self._rim_colour = np.array(who.glasses_colour, np.float32)
        self._top = head_top(who, canvas)
        # Off the head, the hair's soft edge fades into what is behind, not into skin.
        head = self._top.copy()
        Brush(canvas).mask(head, Stroke(jaw_line(who, drop=0.0)))
        off = (1 - head) * (self._hair_alpha > 0)
        self._hair_share = threefold(np.maximum(self._hair_alpha, off))
        self._hair_behind = hair_behind(who, scene, canvas.density, rng)
        self._body = body(who, scene, canvas.density)
        self._backdrop = paint_backdrop(scene, size)
        if self._hair_behind is None:  # then nothing ever moves behind the head
            self._lay(self._backdrop, self._body, np.eye(3), np.array(scene.centre))
        grain = np.random.default_rng(scene.backdrop_seed).standard_normal(
            (size + _GRAIN_ROOM, size + _GRAIN_ROOM), dtype=np.float32
        )
        self._grain = grain * np.float32(scene.noise)
        self._resting = resting_relief(who)
        x, y = canvas.axes()
        flat = base_height(x[None, :], y[:, None]).astype(np.float32)
        self._relief = self._raise(flat, self._resting)
        self._tint = np.array(scene.tint, dtype=np.float32)
        # The relief is smooth: a grid of every second pixel is fine enough to search it.
        steps = (np.arange(size // 2, dtype=np.float32) + 0.5) * np.float32(size / (size // 2)) - 0.5
        self._across, self._down = np.meshgrid(steps, steps)

    def _raise(self, relief: NDArray[np.float32], bumps: list[Bump]) -> NDArray[np.float32]:
        x, y = self._canvas.axes()
        relief = relief.copy()
        for bump in bumps:
            across = np.exp(-0.5 * ((x - bump.x) / bump.wide) ** 2)
            down = bump.height * np.exp(-0.5 * ((y - bump.y) / bump.tall) ** 2)
            relief += down[:, None] * across[None, :]
        return relief

    def draw(self, motion: FaceMotion) -> tuple[Frame, NDArray[np.float32]]:
        """Draw one frame.

        Returns:
            The (S, S, 3) uint8 RGB picture, and the (68, 2) float32 landmarks as fractions of its side
            (x, y), in iBUG's order.
        """
        who, scene, canvas = self._who, self._scene, self._canvas
        features = face_features(who, motion)
        moving = moving_relief(who, motion, features)
        relief = self._raise(self._relief, moving)
        turn = rotation(motion.yaw, motion.pitch, motion.roll)
        centre = np.array(scene.centre) + np.array(motion.shift)

        painted = paint_face(who, canvas, self._skin, self._top, features, motion)
        colour, shine = painted.colour, painted.shine
        if who.hair_style != "bald":
            colour += (self._hair - colour) * self._hair_share
            shine *= self._beside_hair
        if self._rims is not None:
            colour += (self._rim_colour - colour) * self._rims
        bright, glance = self._shade(relief + painted.detail, turn)
        colour *= bright
        glance *= shine
        colour += cv2.merge([glance * tint for tint in self._tint])
        alpha = np.maximum(painted.alpha, self._hair_alpha)

        across, down = self._seen_from(relief, turn, centre)
        face = cv2.remap(colour, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        over = cv2.remap(alpha, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        picture = self._behind(turn, centre)
        picture += (face - picture) * threefold(over)
        return self._expose(picture, motion.noise_seed), self._project(
            features.landmarks, moving, turn, centre
        )

    def _shade(
        self, relief: NDArray[np.float32], turn: Floats
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Light (H, W, 3) on the relief as a factor, and its mirrored share (H, W) in grey levels."""
        scene, density = self._scene, self._canvas.density
        scale = density / 8.0
        slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=scale)
        slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=scale)
        light = (turn.T * np.array(scene.light)).sum(axis=1).astype(np.float32)
        eye = turn.T[:, 2].astype(np.float32)
        half = light + eye
        half /= np.sqrt((half**2).sum())
        length = 1.0 / cv2.sqrt(slope_x * slope_x + slope_y * slope_y + 1.0)
        diffuse = (light[2] - slope_x * light[0] - slope_y * light[1]) * length
        wrapped = np.maximum((diffuse + 0.25) / 1.25, 0.0)
        sky = 0.85 + 0.15 * slope_y * length  # a little more ambient light from above
        wrapped *= np.float32(scene.key)
        sky *= np.float32(scene.ambient)
        bright = cv2.merge([wrapped * tint + sky for tint in self._tint])
        glance = np.maximum((half[2] - slope_x * half[0] - slope_y * half[1]) * length, 0.0)
        glance = glance * glance
        glance = glance * glance
        glance = glance * glance
        glance = glance * glance  # to the 16th
        glance *= np.float32(38.0 * scene.key)
        return bright, glance

    def _seen_from(
        self, relief: NDArray[np.float32], turn: Floats, centre: Floats
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The place on the canvas that each pixel of the picture shows: two (S, S) float32 maps.

        Solves picture = turn · (x, y, relief(x, y)) for (x, y) by fixed-point iteration.
        """
        canvas = self._canvas
        px = (self._across - np.float32(centre[0] * self._size)) / np.float32(self._scale)
        py = (self._down - np.float32(centre[1] * self._size)) / np.float32(self._scale)
        a, b, c, d = turn[0, 0], turn[0, 1], turn[1, 0], turn[1, 1]
        inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
        lean = -(inverse * turn[:2, 2]).sum(axis=1)  # how a unit of height moves the point looked at
        k = canvas.density
        flat_x = ((inverse[0, 0] * px + inverse[0, 1] * py - canvas.left) * k).astype(np.float32)
        flat_y = ((inverse[1, 0] * px + inverse[1, 1] * py - canvas.top) * k).astype(np.float32)
        step_x, step_y = np.float32(lean[0] * k), np.float32(lean[1] * k)
        across, down = flat_x, flat_y
        for _ in range(_DEPTH_STEPS):
            height = cv2.remap(relief, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            across, down = flat_x + step_x * height, flat_y + step_y * height
        full = (self._size, self._size)
        return cv2.resize(across, full), cv2.resize(down, full)

    def _behind(self, turn: Floats, centre: Floats) -> Picture:
        """Paint the backdrop, the hair behind the head, clothes and neck: (S, S, 3) float32."""
        picture = self._backdrop.copy()
        if self._hair_behind is not None:
            self._lay(picture, self._hair_behind, turn, centre)
            self._lay(picture, self._body, np.eye(3), np.array(self._scene.centre))
        return picture

    def _lay(self, picture: Picture, layer: Layer, turn: Floats, centre: Floats) -> None:
        """Lay a flat layer, turned by ``turn`` about ``centre``, over ``picture``."""
        canvas = layer.canvas
        corner = np.array([canvas.left, canvas.top, layer.depth])
        move = (turn[:2] * corner).sum(axis=1) * self._scale + centre * self._size
        matrix = np.column_stack([turn[:2, :2] * (self._scale / canvas.density), move])
        side = (self._size, self._size)
        picture *= threefold(1 - cv2.warpAffine(layer.alpha, matrix, side, flags=cv2.INTER_LINEAR))
        picture += cv2.warpAffine(layer.colour, matrix, side, flags=cv2.INTER_LINEAR)

    def _project(
        self, points: Floats, moving: list[Bump], turn: Floats, centre: Floats
    ) -> NDArray[np.float32]:
        """Project landmarks from the face plane into the picture: (n, 2) fractions of its side."""
        deep = np.column_stack([points, height_at(points, self._resting + moving)])  # (n, 3)
        seen: Floats = (turn[None, :2] * deep[:, None, :]).sum(axis=2) * self._scene.head + centre
        # Pixel 0's centre is at half a pixel.
        return (seen + 0.5 / self._size).astype(np.float32)

    def _expose(self, picture: Picture, noise_seed: int) -> Frame:
        """Apply lens blur, tone curve and sensor noise: (S, S, 3) uint8."""
        scene = self._scene
        blur = scene.blur * self._size
        if blur > 0.15:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        # Each frame sees another window of one field of noise.
        down, across = noise_seed % _GRAIN_ROOM, noise_seed // _GRAIN_ROOM % _GRAIN_ROOM
        grain = self._grain[down : down + self._size, across : across + self._size].copy()
        grain += np.float32(118.5 - 118.0 * scene.contrast)  # the half rounds to the nearest level
        picture *= np.float32(scene.contrast)
        picture += threefold(grain)
        return np.clip(picture, 0, 255, out=picture).astype(np.uint8)
