"""Small copies of the published datasets' official layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def write_picture(path: Path, *, level: int = 128, side: int = 32) -> Path:
    """A grey picture; no two levels give the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((side, side, 3), level, np.uint8))
    return path


def write_frames(folder: Path, count: int, *, suffix: str = ".png", first: int = 0) -> Path:
    """A folder of grey frames of levels ``first``, ``first + 1``, … ."""
    for k in range(count):
        write_picture(folder / f"{k + 1}{suffix}", level=first + k)
    return folder


def write_dfew(root: Path, *, frames: int = 16, zero_based: bool = False) -> Path:
    """DFEW, fold 1: every class twice in train, once in test, in the authors' or in the S2D code's files."""
    first = 0 if zero_based else 1
    for split, clips in (("train", 14), ("test", 7)):
        rows = ["video_name,label"]
        for k in range(clips):
            number = k + 1 + (0 if split == "train" else 20)
            rows.append(f"{number:05d},{k % 7 + first}" if zero_based else f"{number},{k % 7 + first}")
            write_frames(root / f"Clip/clip_224x224_16f/{number:05d}", frames, first=4 * number)
        name = f"{split}_set_1.csv" if zero_based else "set_1.csv"
        write_text(root / f"EmoLabel_DataSplit/{split}(single-labeled)/{name}", "\n".join(rows) + "\n")
    return root
