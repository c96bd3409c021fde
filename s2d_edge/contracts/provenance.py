"""The origin of a model: clips, other weights, recipe and command, in runs and beside bundles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.runs import RUN_FILE, RunInfo, find_runs, read_run
from s2d_edge.core.errors import BundleError, CheckpointError
from s2d_edge.core.files import write_text
from s2d_edge.core.json_files import read_json

PROVENANCE = "made_from.json"  # in a bundle
_SHOWN_DIGITS = 12


def write_provenance(bundle: Path, info: RunInfo) -> None:
    """Write what the exported run was made from into a bundle; older runs do not know it."""
    if info.made_from:
        content = {"run": info.name, "weights_sha256": info.weights_sha256, **info.made_from}
        write_text(bundle / PROVENANCE, json.dumps(content, indent=2) + "\n")


def copy_provenance(source: Path, bundle: Path) -> None:
    """Copy the record of the bundle that another one is made from."""
    if (source / PROVENANCE).is_file():
        shutil.copyfile(source / PROVENANCE, bundle / PROVENANCE)


def read_provenance(model: Path) -> dict[str, Any]:
    """The origin of the run or bundle in a folder; empty where that was not recorded.

    Raises:
        CheckpointError: the run cannot be read.
        BundleError: the bundle's record cannot be read.
    """
    if (model / RUN_FILE).is_file():
        return read_run(model, encoder_ok=True).made_from
    if (model / PROVENANCE).is_file():
        return read_json(model / PROVENANCE, BundleError, "export the run again")
    return {}


def find_source_run(bundle: Bundle, root: Path) -> Path:
    """Return the run under ``root`` that a bundle was exported from, whatever its folder is called.

    It has the weights whose hash the bundle records. A bundle of an older version records none: then it is
    the newest of the run's name, labels and clips.

    Raises:
        CheckpointError: there is none.
        BundleError: the bundle's record cannot be read.
    """
    manifest = bundle.manifest
    weights = read_provenance(bundle.path).get("weights_sha256")
    for path in find_runs(root):
        run = read_run(path)
        if weights is None:
            same = (run.name, run.labels, run.spec) == (manifest.source_run, manifest.labels, manifest.spec)
        else:
            same = run.weights_sha256 == weights
        if same:
            return path
    known = f"weights {weights[:_SHOWN_DIGITS]}…" if weights else "labels and clips"
    raise CheckpointError(
        f"{bundle.path} was exported from the run {manifest.source_run!r}, and no run under {root}/ here has "
        f"its {known}; was it trained again? Name the run's folder, or export it again"
    )


def sentences(made_from: Mapping[str, Any]) -> Iterator[str]:
    """Say for people what a model was made from."""
    if data := made_from.get("data"):
        parts = [
            f"{part['used']} {name} clips"
            + (f" ({part['skipped']} more were skipped as unreadable)" if part["skipped"] else "")
            for name, part in (("training", data["train"]), ("validation", data["validation"]))
        ]
        carved = ", which were carved from the training clips" if data["carved"] else ""
        yield (
            f"trained on {data['name']!r}: {' and '.join(parts)}{carved}; the listing's SHA-256 begins with "
            f"{data['listing_sha256'][:_SHOWN_DIGITS]}"
        )
        for one in data.get("sets", ()):
            yield (
                f"{one['name']!r}: {one['train']['used']} training and {one['validation']['used']} "
                f"validation clips of {', '.join(one['labels'])}; SHA-256 "
                f"{one['listing_sha256'][:_SHOWN_DIGITS]}"
            )
    named = [("landmark network", made_from.get("landmark")), ("started from", made_from.get("init"))]
    # Older runs have one teacher at most, under its own name.
    teachers = made_from.get("teachers") or [made_from.get("teacher")]
    others = [
        f"{title} {weights['name']} ({weights['sha256'][:_SHOWN_DIGITS]})"
        for title, weights in (*named, *(("teacher", each) for each in teachers))
        if weights
    ]
    if others:
        yield "; ".join(others)
    if made_from.get("command"):
        yield f"recipe {made_from['recipe']!r}: {made_from['command']}"
