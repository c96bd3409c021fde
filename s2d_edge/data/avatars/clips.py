"""Draw an avatar clip from its seed alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import ConfigError
from s2d_edge.data.avatars.identity import Identity, draw_identity
from s2d_edge.data.avatars.motion import Act, plan_motion, plan_performance
from s2d_edge.data.avatars.render import AvatarRenderer
from s2d_edge.data.avatars.scene import draw_scene
from s2d_edge.media.video import VideoSink

_WHO, _CLIP = 1, 2  # separate random streams: one for people, one for the events of a clip
_PERFORMER = 1_000_000  # a subject no data set reaches


def person(seed: int, subject: int) -> Identity:
    """The avatar with this number in the population of ``seed``."""
    return draw_identity(np.random.default_rng([_WHO, seed, subject]))


def render_clip(
    seed: int, subject: int, clip: int, label: str, *, frames: int, fps: float, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw one clip.

    Person, scene, head motion, blinks and noise depend on (seed, subject, clip) alone; the label only
    moves the face. So the same numbers with ``fear`` give the frames of ``surprise`` in reverse.

    Returns:
        (T, S, S, 3) uint8 RGB frames, and the (T, 68, 2) float32 landmarks as fractions of the side.

    Raises:
        ConfigError: a setting out of range, or an unknown label.
    """
    check_clip(frames=frames, fps=fps, size=size)
    rng = np.random.default_rng([_CLIP, seed, subject, clip])
    renderer = AvatarRenderer(person(seed, subject), draw_scene(rng), size)
    drawn = [renderer.draw(motion) for motion in plan_motion(rng, label, frames=frames, fps=fps)]
    return np.stack([frame for frame, _ in drawn]), np.stack([points for _, points in drawn])


def check_clip(*, frames: int, fps: float, size: int) -> None:
    """Refuse clips that cannot be drawn.

    Raises:
        ConfigError: names the setting and its range.
    """
    check_timing(frames=frames, fps=fps)
    if not 64 <= size <= 1024:
        raise ConfigError(f"size={size} must lie in [64, 1024] pixels")


def check_timing(*, frames: int, fps: float) -> None:
    """Refuse clips too short to show an order, or of an absurd rate.

    Raises:
        ConfigError: names the setting and its range.
    """
    if not 4 <= frames <= 1000:
        raise ConfigError(f"frames={frames} must lie in [4, 1000]: fewer cannot show an order")
    if not 0 < fps <= 240:
        raise ConfigError(f"fps={fps} must lie in (0, 240]")


def encode(frame: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Encode an (H, W, 3) uint8 RGB frame as a JPEG file."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise RuntimeError("OpenCV cannot encode a JPEG")
    return bytes(data)


def write_avatar_video(
    path: Path, seed: int = 0, seconds: float = 28.0, fps: float = 25.0, size: int = 480
) -> tuple[Act, ...]:
    """Write an MP4 of one avatar, part of no data set, that shows the seven expressions with pauses.

    Args:
        path: ends in ``.mp4``.
        seconds: length of the video; below 25 the expressions run faster than in the clips.
        size: side of the frames, pixels.

    Returns:
        The time of each expression.

    Raises:
        ConfigError: a setting out of range.
        MediaError: the file cannot be written.
    """
    if not 7 <= seconds <= 600:
        raise ConfigError(f"seconds={seconds} must lie in [7, 600]: a second for each expression at least")
    check_clip(frames=4, fps=fps, size=size)
    rng = np.random.default_rng([_CLIP, seed, _PERFORMER])
    renderer = AvatarRenderer(person(seed, _PERFORMER), draw_scene(rng), size)
    motions, acts = plan_performance(rng, seconds=seconds, fps=fps)
    with VideoSink(path, fps=fps, size=(size, size)) as sink:
        for motion in motions:
            frame, _ = renderer.draw(motion)
            sink.write(frame)
    return acts
