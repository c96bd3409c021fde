"""Draw the golden clips, and record what the starters predict on them, sample by sample.

    python -m tools.golden            # draw the clips and record, into tests/golden
    python -m tools.golden --record   # record again on the existing clips

Record again only when a change is meant to change predictions; say so in the changelog.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "tests/golden"
EXPECTED = "expected.json"
STARTERS = ("starter-intel-cpu", "starter-jetson")
CLIPS = {"woman.mp4": 3, "man.mp4": 5}  # the seed of each avatar
_SECONDS, _FPS, _SIZE = 7.0, 12.5, 160


def draw(folder: Path) -> None:
    """Write the clips: one avatar each, who shows seven expressions."""
    from s2d_edge.data.avatars.clips import write_avatar_video

    for name, seed in CLIPS.items():
        write_avatar_video(folder / name, seed=seed, seconds=_SECONDS, fps=_FPS, size=_SIZE)


def predict(starter: str, clip: Path) -> list[dict[str, Any]]:
    """Run a starter live on a clip: decode, find the face, crop, run the graph.

    Returns:
        For each sample its time ``t_s``, box ``face``, ``label`` and ``logits``.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "results.jsonl"
        words = ("run", "--bundle", starter, "--source", clip, "--device", "cpu", "--json", out, "--quiet")
        subprocess.run([sys.executable, "-m", "s2d_edge", *map(str, words)], check=True)
        lines = out.read_text("utf-8").splitlines()
    return [{key: json.loads(line)[key] for key in ("t_s", "face", "label", "logits")} for line in lines]


def main() -> None:
    """Draw and record as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="keep the existing clips")
    if not parser.parse_args().record:
        draw(FOLDER)
    found = {starter: {name: predict(starter, FOLDER / name) for name in CLIPS} for starter in STARTERS}
    rows = [
        f' "{starter}": {{\n'
        + ",\n".join(
            f'  "{name}": [\n' + ",\n".join(f"   {json.dumps(sample)}" for sample in samples) + "\n  ]"
            for name, samples in clips.items()
        )
        + "\n }"
        for starter, clips in found.items()
    ]
    (FOLDER / EXPECTED).write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")  # a line for each sample


if __name__ == "__main__":
    main()
