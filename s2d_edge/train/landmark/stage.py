"""``train --stage landmark``: train a landmark network on photographs, with FaceMesh's points as truth."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.contracts.model_config import preset
from s2d_edge.contracts.runs import RUNS
from s2d_edge.core.claims import choose_output, releases_claims
from s2d_edge.core.errors import ConfigError
from s2d_edge.core.files import sha256_of, whole_folder
from s2d_edge.data.reading.joined import open_sets
from s2d_edge.data.reading.open import AVATARS
from s2d_edge.data.reading.splits import carve_validation
from s2d_edge.model.checkpoint import LANDMARK_FILE, save_weights
from s2d_edge.train.context import Context
from s2d_edge.train.landmark.faces import mesh_pool
from s2d_edge.train.landmark.teaching import point_error, teach
from s2d_edge.train.plan.plan import DEFAULT_MODEL
from s2d_edge.train.plan.settings import TrainSettings

ABOUT_FILE = "landmark.json"


@releases_claims
def train_landmark(
    data: Sequence[str], model: str | None, settings: TrainSettings, out: Path | None, context: Context
) -> Path:
    """Train a MobileFaceNet to find the 68 points that FaceMesh finds, on the CPU.

    Args:
        data: sets of faces, each as ``--data`` takes it.
        model: name of the size whose landmark network is trained; None is the default one.
        out: the folder to write; None is ``runs/DATASET-landmark``.

    Returns:
        The folder written: ``landmark.safetensors``, which ``--landmark`` takes, and ``landmark.json``, with
        the point error on people it was not trained on.

    Raises:
        ConfigError: avatars, or several processes.
        DataError: no training faces.
        KeyboardInterrupt: requested to stop; nothing is written.
    """
    if context.processes.count > 1:
        raise ConfigError("--stage landmark trains in one process; start it without torchrun")
    if AVATARS in data:
        raise ConfigError(
            "--stage landmark learns from photographs: give some with --data (for avatars, the image stage "
            "trains a network by itself)"
        )
    console, sizes = context.console, preset(model or DEFAULT_MODEL).landmark
    dataset = open_sets(data, console)
    out = choose_output(out, RUNS / f"{dataset.name}-landmark")
    training, unseen = dataset.require_split("train"), dataset.split("test") or dataset.split("val")
    if not unseen:
        training, unseen = carve_validation(
            training, fraction=settings.val_fraction, seed=settings.seed, spare_classes=False
        )
    landmark, seed = settings.landmark, settings.seed
    pool = mesh_pool(training, landmark.pool_frames, seed, console, title="training faces")
    held_out = mesh_pool(unseen, landmark.pool_frames, seed, console, title="unseen faces")
    network = teach(sizes, pool, landmark, seed, context)
    error = point_error(network, held_out)
    with whole_folder(out) as scratch:
        save_weights(network, scratch / LANDMARK_FILE)
        about = {
            "data": dataset.name,
            "faces": len(pool.pictures),
            "unseen_faces": len(held_out.pictures),
            "point_error": asdict(error),
            "seed": seed,
            "sizes": asdict(sizes),
            "settings": asdict(landmark),
            "tools": tool_versions("torch", "mediapipe"),
            "sha256": sha256_of(scratch / LANDMARK_FILE),
        }
        (scratch / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    console.say(f"{error}, on {len(held_out.pictures)} unseen faces")
    again = " ".join(f"--data {shlex.quote(each)}" for each in data)
    console.say(f"wrote {out}; next: s2d-edge train {again} --landmark {shlex.quote(str(out))}")
    return out
