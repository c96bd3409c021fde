"""Record the README's animated picture: a drawn face, the starter, and the JSON lines it gives.

    python -m tools.docs.animation docs/run.webp

The video is drawn from a seed, and ``s2d-edge run`` annotates it. Below each frame stands the command and the
latest result line, cut where the picture ends.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from s2d_edge.data.avatars.clips import write_avatar_video
from s2d_edge.firmware_host.io.annotate import ACCENT, BRIGHT, MUTED, STRIP
from s2d_edge.media.crop import Picture

SEED = 2
SECONDS = 26.0
SOURCE_FPS = 12.5
KEEP_EVERY = 2  # frames of the recording that the picture shows
FACE_PX = 300
QUALITY = 55
_TEXT_PX = 13
_LINE_PX = 20
_FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"
_COMMAND = "s2d-edge run --bundle starter --source avatar.mp4 --save seen.mp4 --json -"


def record(folder: Path) -> tuple[list[Picture], list[dict[str, object]]]:
    """Draw a face and run the starter on it.

    Returns:
        The annotated frames, each (H, W, 3) uint8 RGB, and the result lines in order.
    """
    write_avatar_video(folder / "avatar.mp4", seed=SEED, seconds=SECONDS, fps=SOURCE_FPS, size=FACE_PX)
    arguments = _COMMAND.split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "s2d_edge", *arguments, "--quiet"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    video = cv2.VideoCapture(str(folder / "seen.mp4"))
    frames: list[Picture] = []
    while True:
        there, frame = video.read()
        if not there:
            break
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))
    return frames, [json.loads(line) for line in done.stdout.splitlines()]


def with_terminal(frame: Picture, line: dict[str, object] | None) -> Image.Image:
    """The frame above two lines of text: the command, and the latest result."""
    height, width = frame.shape[:2]
    picture = Image.new("RGB", (width, height + 3 * _LINE_PX + 2 * _LINE_PX // 3), STRIP)
    picture.paste(Image.fromarray(frame), (0, 0))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(str(_FONT), _TEXT_PX)
    command, options = _COMMAND.split(" --save")
    top = height + _LINE_PX // 3
    draw.text((8, top), "$ ", fill=ACCENT, font=font)
    draw.text((8 + font.getlength("$ "), top), command, fill=BRIGHT, font=font)
    draw.text((8 + font.getlength("$     "), top + _LINE_PX), f"--save{options}", fill=BRIGHT, font=font)
    if line is not None:
        shown = json.dumps({key: line[key] for key in ("t_s", "frame", "track", "label")})
        draw.text((8, top + 2 * _LINE_PX), f"{shown[:-1]}, …", fill=MUTED, font=font)
    return picture


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="a .webp file")
    out: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as scratch:
        frames, lines = record(Path(scratch))
    pictures = []
    for number in range(0, len(frames), KEEP_EVERY):
        so_far = [line for line in lines if int(str(line["frame"])) <= number]
        pictures.append(with_terminal(frames[number], so_far[-1] if so_far else None))
    pictures[0].save(
        out,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * KEEP_EVERY / SOURCE_FPS),
        loop=0,
        quality=QUALITY,
        method=6,
    )
    sys.stdout.write(f"wrote {out}: {len(pictures)} frames, {out.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
