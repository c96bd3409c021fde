"""``import``: official S2D weights in, a run folder out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.labels import parse_label_set
from s2d_edge.contracts.runs import RUNS, RunInfo
from s2d_edge.core.console import Console
from s2d_edge.core.files import choose_output, sha256_of, whole_folder
from s2d_edge.model.checkpoint import save_run
from s2d_edge.model.official import import_official


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the user asked for; see :func:`s2d_edge.model.official.import_official`."""

    checkpoint: Path
    landmark: Path
    labels: str
    heads: int | None = None
    fps: float | None = None
    out: Path | None = None


def import_run(options: ImportOptions, console: Console) -> Path:
    """Write the run folder of an official checkpoint.

    Returns:
        The run folder.

    Raises:
        CheckpointError: a file is missing or damaged, or keys do not fit, each named.
        ConfigError: labels or rate make no sense.
    """
    labels = parse_label_set(options.labels, options.fps)
    imported = import_official(options.checkpoint, options.landmark, labels.labels, heads=options.heads)
    config = imported.model.config
    out = choose_output(options.out, RUNS / options.checkpoint.stem)
    info = RunInfo(
        name=out.name,
        stage="image" if config.temporal is None else "video",
        labels=labels.labels,
        fps=labels.fps,
        crop=CropRecipe(size=config.vit.image_size),
        model=config,
        origin={
            "imported": options.checkpoint.name,
            "imported_sha256": sha256_of(options.checkpoint),
            "landmark": options.landmark.name,
            "landmark_sha256": sha256_of(options.landmark),
        },
        tools=tool_versions("torch"),
    )
    with whole_folder(out) as scratch:
        save_run(scratch, info, imported.model)
    for note in imported.notes:
        console.say(f"note: {note}")
    console.say(f"{info.stage} model, {config.frames} frames: {imported.model.count_parameters()}")
    console.say(f"wrote {out}; next: s2d-edge export {out} --target jetson")
    return out
