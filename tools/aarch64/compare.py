"""Compare two JSON files of ``s2d-edge predict``: equal labels, and logits within a tolerance.

    python -m tools.aarch64.compare x86.json aarch64.json

Prints what was compared; exit code 1 if they differ.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE = 0.05  # in logits


class IncomparableError(Exception):
    """The two files hold no predictions, or not of the same clips with the same classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipComparison:
    """The predictions of two machines on one clip.

    Attributes:
        margin: between the reference's two largest logits; a label is worth comparing where it is well above
            the differences.
        difference: the largest of any logit, absolute; infinite where one is not finite.
    """

    path: str
    reference_label: str
    other_label: str
    margin: float
    difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The predictions of two machines on all clips.

    Attributes:
        spread: of the reference's logits, the standard deviation within a clip (root of the mean variance).
    """

    clips: tuple[ClipComparison, ...]
    tolerance: float
    spread: float

    @property
    def difference(self) -> float:
        """The largest of any logit of any clip."""
        return max(clip.difference for clip in self.clips)

    @property
    def faults(self) -> list[str]:
        """A sentence for every difference; empty where the two agree."""
        found = []
        for clip in self.clips:
            if clip.reference_label != clip.other_label:
                found.append(f"{clip.path}: {clip.reference_label} became {clip.other_label}")
            if not clip.difference <= self.tolerance:
                found.append(f"{clip.path}: logits differ by {clip.difference:.4g}, over {self.tolerance:g}")
        return found

    def lines(self) -> list[str]:
        """The comparison for people: a line for each clip, then all of them."""
        rows = [
            f"{clip.path}: {clip.reference_label} / {clip.other_label}, "
            f"logits differ by at most {clip.difference:.5f}, margin {clip.margin:.3f}"
            for clip in self.clips
        ]
        labels = len({clip.reference_label for clip in self.clips})
        equal = sum(clip.reference_label == clip.other_label for clip in self.clips)
        return [
            *rows,
            f"{len(self.clips)} clips, {labels} different labels: {equal} labels equal, logits differ by at "
            f"most {self.difference:.5f} (tolerance {self.tolerance:g}; they spread by {self.spread:.3f})",
        ]


def compare(reference: dict[str, Any], other: dict[str, Any], tolerance: float = TOLERANCE) -> Comparison:
    """Compare two JSON documents of ``predict``, clip by clip in order.

    Raises:
        IncomparableError: there are no clips, or not the same ones, or not the same classes.
    """
    ours, theirs = reference["results"], other["results"]
    if not ours:
        raise IncomparableError("the reference has no clip; run 's2d-edge predict --json' on at least one")
    if [clip["path"] for clip in ours] != [clip["path"] for clip in theirs]:
        raise IncomparableError(
            f"the files have {len(ours)} and {len(theirs)} clips, not the same ones in order; "
            "predict the same clips with both"
        )
    clips, variances = [], []
    for one, two in zip(ours, theirs, strict=True):
        if list(one["probabilities"]) != list(two["probabilities"]) or len(one["logits"]) != len(
            two["logits"]
        ):
            raise IncomparableError(f"{one['path']} has different classes in the two files; use one bundle")
        first, second, *_ = sorted(one["logits"], reverse=True)
        clips.append(
            ClipComparison(
                path=one["path"],
                reference_label=one["label"],
                other_label=two["label"],
                margin=first - second,
                difference=_largest_difference(one["logits"], two["logits"]),
            )
        )
        mean = sum(one["logits"]) / len(one["logits"])
        variances.append(sum((logit - mean) ** 2 for logit in one["logits"]) / len(one["logits"]))
    return Comparison(
        clips=tuple(clips), tolerance=tolerance, spread=math.sqrt(sum(variances) / len(variances))
    )


def _largest_difference(one: list[float], two: list[float]) -> float:
    differences = [abs(a - b) for a, b in zip(one, two, strict=True)]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def main() -> int:
    """Compare two files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="in logits (default: %(default)s)")
    options = parser.parse_args()
    reference, other = (json.loads(path.read_text("utf-8")) for path in (options.reference, options.other))
    try:
        found = compare(reference, other, options.tolerance)
    except IncomparableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(*found.lines(), sep="\n")
    for fault in found.faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
