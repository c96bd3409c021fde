"""Compare the face search with MediaPipe's own: faces found, points, crops, and the starter's logits.

    python docs/experiments/faces.py --clips CLIPS --faces FACES --ferplus FERPLUS [--pictures 1000]

CLIPS is a folder of videos, every frame of which is searched as a stream. FACES and FERPLUS are data as
``--data`` takes it, of whose pictures some are drawn by a seed. Drawn avatars, and frames of the clips made
small, dark, turned, and set beside each other, follow. One line of a Markdown table each. Points are the 68
that the landmark network learns; their distances are percent of the distance between the eyes' outer
corners. Crops are compared in grey levels, and logits of the starter in percent of their spread.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import s2d_edge
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError, exit_with_a_sentence
from s2d_edge.data.avatars.clips import render_clip
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.media.crop import Picture, align_crop
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.faces.mediapipe_search import MediaPipeSearch
from s2d_edge.media.faces.mesh import OUTER_EYES
from s2d_edge.media.pictures import read_image
from s2d_edge.media.tracking import Face, box_overlap
from s2d_edge.media.video import read_video
from s2d_edge.train.landmark.points import FROM_MESH

_FACES = 4  # searched in a frame
_SEED = 0


@dataclass(slots=True, eq=False)
class Tally:
    """Counts and distances of the faces that both searches found in the pictures of one row."""

    both: int = 0
    only_theirs: int = 0
    only_ours: int = 0
    distances: list[float] = field(default_factory=list)
    crops: list[float] = field(default_factory=list)
    logits: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=list)

    def row(self, name: str) -> str:
        """Return a line of the table."""
        cells = [name, str(self.both), str(self.only_theirs), str(self.only_ours)]
        if self.distances:
            cells += [f"{np.mean(self.distances):.3f}", f"{np.percentile(self.distances, 99):.3f}"]
            cells += [f"{np.mean(self.crops):.2f}"]
            ours, theirs = (np.stack(each) for each in zip(*self.logits, strict=True))
            spread = theirs.std()
            cells += [f"{100 * np.sqrt(np.mean((ours - theirs) ** 2)) / spread:.2f}"]
            cells += [f"{100 * np.mean(ours.argmax(1) == theirs.argmax(1)):.1f}"]
        return "| " + " | ".join(cells) + " |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--clips", type=Path, required=True)
    arguments.add_argument("--faces", required=True)
    arguments.add_argument("--ferplus", required=True)
    arguments.add_argument("--pictures", type=int, default=1000)
    args = arguments.parse_args()
    videos = sorted(args.clips.glob("*.mp4"))
    if not videos:
        raise DataError(f"--clips {args.clips}: no *.mp4 in it; give a folder of videos with faces")
    print("| pictures | both | only MediaPipe | only ours | points % | p99 | crop | logits % | labels % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with s2d_edge.load("starter", device="cpu") as model:
        for video in videos:
            frames = (frame for _, frame in read_video(video))
            print(compared(frames, model, static=False).row(video.stem), flush=True)
        for name, data in (("faces", args.faces), ("FER+", args.ferplus)):
            print(compared(_drawn(data, args.pictures), model).row(name), flush=True)
        print(compared(_avatars(), model).row("avatars"), flush=True)
        stills = [frame for video in videos for _, frame in list(read_video(video))[::40]]
        changed: dict[str, Iterable[Picture]] = {
            "small": (_small(frame) for frame in stills),
            "dark": (frame // np.uint8(6) for frame in stills),
            "turned by 30°": (_turned(frame, 30) for frame in stills),
            "turned by 90°": (np.ascontiguousarray(np.rot90(frame)) for frame in stills),
            "four faces": (_beside(stills[k : k + 4]) for k in range(0, len(stills) - 3, 4)),
        }
        for name, pictures in changed.items():
            print(compared(pictures, model).row(name), flush=True)


def compared(pictures: Iterable[Picture], model: s2d_edge.Model, *, static: bool = True) -> Tally:
    """Search pictures, or the frames of one stream, with both."""
    tally = Tally()
    theirs = MediaPipeSearch(static=static, max_faces=_FACES, min_confidence=0.5, refined=False)
    with (
        FaceFinder(static=static, max_faces=_FACES) as ours,
        FaceFinder(static=static, max_faces=_FACES, search=theirs) as reference,
    ):
        for picture in pictures:
            found, wanted = ours.find(picture), reference.find(picture)
            for face in wanted:
                match = max(found, key=lambda each: box_overlap(each.box, face.box), default=None)
                if match is None or box_overlap(match.box, face.box) < 0.5:
                    tally.only_theirs += 1
                    continue
                found.remove(match)
                tally.both += 1
                _measure(tally, picture, match, face, model)
            tally.only_ours += len(found)
    return tally


def _measure(tally: Tally, picture: Picture, ours: Face, theirs: Face, model: s2d_edge.Model) -> None:
    first, last = (theirs.points[corner] for corner in OUTER_EYES)
    eyes = float(np.linalg.norm(first - last))
    moved = np.linalg.norm(ours.points[list(FROM_MESH)] - theirs.points[list(FROM_MESH)], axis=1)
    tally.distances.append(100 * float(moved.mean()) / eyes)
    crops = [align_crop(picture, face.points, model.crop) for face in (ours, theirs)]
    tally.crops.append(float(np.abs(crops[0].astype(float) - crops[1]).mean()))
    one, other = (model.predict(crop[None], crop=False).logits for crop in crops)
    tally.logits.append((np.asarray(one), np.asarray(other)))


def _drawn(data: str, count: int) -> Iterator[Picture]:
    dataset = open_dataset(data, Console(quiet=True), missing_ok=True)
    samples = [sample for split in dataset.splits for sample in dataset.require_split(split)]
    for k in np.random.default_rng(_SEED).permutation(len(samples))[:count]:
        yield read_image(samples[k].path)


def _avatars() -> Iterator[Picture]:
    for subject, label in enumerate(("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear") * 4):
        frames, _ = render_clip(_SEED, subject, 0, label, frames=4, fps=4, size=224)
        yield from frames


def _small(frame: Picture) -> Picture:
    """The frame at a fifth of its size, in the corner of a grey one."""
    canvas = np.full_like(frame, 110)
    small = cv2.resize(frame, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    canvas[40 : 40 + small.shape[0], 60 : 60 + small.shape[1]] = small
    return canvas


def _turned(frame: Picture, degrees: float) -> Picture:
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(frame, turn, (width, height)), np.uint8)


def _beside(frames: Sequence[Picture]) -> Picture:
    """Four frames as the quarters of one."""
    quarters = [np.asarray(cv2.resize(frame, (480, 360)), np.uint8) for frame in frames]
    return np.vstack([np.hstack(quarters[:2]), np.hstack(quarters[2:])])


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
