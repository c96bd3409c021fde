"""Compare searching the frames that need it with searching every frame: how many, whose face, which points.

    python docs/experiments/searched_frames.py CLIP... [--fps 4]

Both follow one face as ``run`` does, ``--search auto`` and ``--search all``, of a model with so many samples
per second. One line of a Markdown table for each clip: frames, searched frames, samples in which one of the
two has a face alone, samples with another track, and the mean distance of the 468 points in a sample, percent
of the distance between the eyes' outer corners: over all samples its mean, and its maximum.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from s2d_edge.firmware_host.face_finder import FACES_SEARCHED
from s2d_edge.firmware_host.pipeline.search_plan import SearchPlan, SearchWhen
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.faces.mesh import OUTER_EYES
from s2d_edge.media.sampling import PeriodicSampler
from s2d_edge.media.tracking import FACE_GAP_S, FaceTracker, Sighting
from s2d_edge.media.video import read_video


def follow(clip: Path, fps: float, when: SearchWhen) -> tuple[int, int, list[Sighting | None]]:
    """Return how many frames there are, how many were searched, and the face in each sample."""
    plan = SearchPlan(when, fps=fps, gap_s=FACE_GAP_S, drawn=False)
    tracker, sampler = FaceTracker(1), PeriodicSampler(fps)
    frames, searched = 0, 0
    samples: list[Sighting | None] = []
    with FaceFinder(static=False, max_faces=FACES_SEARCHED) as finder:
        for t_s, frame in read_video(clip):
            frames += 1
            sample = sampler.number(t_s) is not None
            if not plan.wants(t_s, sample=sample):
                tracker.pass_over(t_s)
                continue
            searched += 1
            sightings = tracker.follow(finder.find(frame, tracker.in_view), t_s)
            plan.note(sightings, t_s, missing=tracker.missing > 0)
            if sample:
                samples.append(sightings[0] if sightings else None)
    return frames, searched, samples


def main() -> None:
    """Print a row for each clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--fps", type=float, default=4.0)
    given = parser.parse_args()
    print("| clip | frames | searched | face in one alone | another track | points, mean | maximum |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for clip in given.clips:
        _, _, every = follow(clip, given.fps, "all")
        frames, searched, some = follow(clip, given.fps, "auto")
        pairs = list(zip(every, some, strict=True))
        both = [(one, other) for one, other in pairs if one is not None and other is not None]
        alone = sum((one is None) != (other is None) for one, other in pairs)
        apart = []
        for one, other in both:
            eyes = np.linalg.norm(np.subtract(*one.face.points[list(OUTER_EYES)]))
            apart.append(100 * np.linalg.norm(one.face.points - other.face.points, axis=1).mean() / eyes)
        tracks = sum(one.track != other.track for one, other in both)
        row = (clip.stem, frames, searched, alone, tracks, f"{np.mean(apart):.2f}", f"{max(apart):.2f}")
        print(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
