"""Time the face search beside MediaPipe's own runtime, frame by frame in turn.

    python docs/experiments/face_times.py CLIP... [--frames 200]

Both search each frame as a stream of up to four faces. One line of a Markdown table for each clip: medians
and 95th percentiles in milliseconds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np

from s2d_edge.media.faces.mediapipe_search import MediaPipeSearch
from s2d_edge.media.faces.search import open_search
from s2d_edge.media.video import read_video

_FACES = 4  # searched in a frame
_WARMUP = 10  # frames


def main() -> None:
    """Print a row for each clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    given = parser.parse_args()
    print("| clip | ours p50 | p95 | MediaPipe p50 | p95 | ours / MediaPipe, p50 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for clip in given.clips:
        searches = (
            open_search(static=False, max_faces=_FACES, min_confidence=0.5, refined=False),
            MediaPipeSearch(static=False, max_faces=_FACES, min_confidence=0.5, refined=False),
        )
        times_ms: list[list[float]] = []
        for number, (_, frame) in enumerate(itertools.islice(read_video(clip), given.frames)):
            spans = [0.0, 0.0]
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                begun_s = time.perf_counter()
                searches[which].follow(frame)
                spans[which] = (time.perf_counter() - begun_s) * 1e3
            times_ms.append(spans)
        for search in searches:
            search.close()
        ours, theirs = np.array(times_ms[_WARMUP:]).T
        figures = [np.percentile(times, percent) for times in (ours, theirs) for percent in (50, 95)]
        ratio = np.median(ours) / np.median(theirs)
        print(f"| {clip.stem} | {' | '.join(f'{each:.1f}' for each in figures)} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
