"""``train --stage landmark``: a landmark network of one's own, taught by FaceMesh on any faces."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.contracts.model_config import preset
from s2d_edge.contracts.runs import RUNS
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.core.files import choose_output, sha256_of, whole_folder
from s2d_edge.data.reading.open import AVATARS, open_dataset
from s2d_edge.data.reading.splits import carve_validation
from s2d_edge.model.checkpoint import LANDMARK_FILE
from s2d_edge.train.face_pool import mesh_pool
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.landmarks import point_error, save_network, teach
from s2d_edge.train.plan import DEFAULT_MODEL, TrainOptions, resolve_settings

ABOUT_FILE = "landmark.json"
_NOT_FOR_IT = (
    "init",
    "landmark",
    "image_size",
    "frames",
    "temporal",
    "teacher",
    "fps",
    "epochs",
    "protocol",
    "skip_unreadable",
)


def train_landmark(options: TrainOptions, guard: InterruptGuard, console: Console) -> Path:
    """Teach a MobileFaceNet 68 points from FaceMesh's answers, on the CPU.

    Returns:
        The folder written: ``landmark.safetensors``, which ``--landmark`` takes, and ``landmark.json``, which
        says how far off the points are on people who were not learnt from.

    Raises:
        ConfigError: options that are for the other stages, or no data.
        DataError: no training faces.
        KeyboardInterrupt: asked to stop; nothing is left.
    """
    usual = TrainOptions()
    clash = [name for name in _NOT_FOR_IT if getattr(options, name) != getattr(usual, name)]
    if clash:
        flag = clash[0].replace("_", "-")
        raise ConfigError(f"--{flag} is for the image and video stages; leave it out of --stage landmark")
    if options.data in (None, AVATARS):
        raise ConfigError(
            "--stage landmark learns from photographs: give some with --data (for avatars, the image stage "
            "teaches a network by itself)"
        )
    model = options.model or DEFAULT_MODEL
    sizes, settings = preset(model).landmark, resolve_settings(options, model)
    dataset = open_dataset(options.data, console)
    out = choose_output(options.out, RUNS / f"{dataset.name}-landmark")
    training, unseen = dataset.require_split("train"), dataset.split("test") or dataset.split("val")
    if not unseen:
        training, unseen = carve_validation(training, fraction=settings.val_fraction, seed=settings.seed)
    lessons, seed = settings.landmark, settings.seed
    pool = mesh_pool(training, lessons.pool_frames, seed, console, title="training faces")
    held_out = mesh_pool(unseen, lessons.pool_frames, seed, console, title="unseen faces")
    network = teach(sizes, pool, lessons, seed, console, guard)
    error = point_error(network, held_out)
    with whole_folder(out) as scratch:
        save_network(network, scratch / LANDMARK_FILE)
        about = {
            "data": dataset.name,
            "faces": len(pool.pictures),
            "unseen_faces": len(held_out.pictures),
            "point_error": asdict(error),
            "seed": seed,
            "sizes": asdict(sizes),
            "settings": asdict(lessons),
            "tools": tool_versions("torch", "mediapipe"),
            "sha256": sha256_of(scratch / LANDMARK_FILE),
        }
        (scratch / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    console.say(f"{error}, on {len(held_out.pictures)} faces it has not seen")
    console.say(f"wrote {out}; next: s2d-edge train --data {options.data} --landmark {out}")
    return out
