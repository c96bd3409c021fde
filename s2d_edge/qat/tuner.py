"""Fine-tune the run that a bundle was exported from, and export it again: the last step of the search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.calibrate.search.tuning import Tuned, TuningClips, TuningSettings
from s2d_edge.contracts.bundle import Bundle, seal
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.export.command import WRITERS, graph_of
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.export.parity import TOLERANCE, check_parity, load_parity_clips
from s2d_edge.export.targets import GraphFormat
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.engine import TorchEngine
from s2d_edge.qat.training import fine_tune

_CLIPS = 2  # compared: does the run belong to the bundle, and does the new graph equal the model


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTuner:
    """Fine-tunes the weights of the run folder ``run``, on the CPU.

    NNCF's fake quantizers run on a GPU only where a CUDA compiler is installed.
    """

    run: Path
    settings: TuningSettings

    def check(self, source: Bundle) -> None:
        """Compare the run with the bundle: labels and clips, then the logits of two drawn clips.

        A manifest names its run, not the weights, so the logits are compared too.

        Raises:
            ConfigError: the run is not what ``source`` was exported from.
            CheckpointError: no run, or unusable weights.
        """
        model, info = load_run(self.run)
        manifest = source.manifest
        advice = f"give the run {manifest.source_run!r} that it was exported from"
        if (info.labels, info.spec, info.crop) != (manifest.labels, manifest.spec, manifest.crop):
            raise ConfigError(
                f"--run {self.run} has other labels, clips or crops than the bundle {source.path}; {advice}"
            )
        clips, _ = load_parity_clips(info.spec, info.crop, _CLIPS, None, Console(quiet=True))
        with TorchEngine(model, info) as torch_engine, open_engine(source, "cpu") as engine:
            apart = max(float(np.abs(torch_engine.infer(clip) - engine.infer(clip)).max()) for clip in clips)
        if apart > TOLERANCE:
            raise ConfigError(
                f"--run {self.run} has other weights than the bundle {source.path}, whose logits differ by "
                f"{apart:.2g}; {advice}"
            )

    def tune(
        self, source: Bundle, recipe: Recipe, clips: TuningClips, folder: Path, console: Console
    ) -> Tuned:
        """Fine-tune, and write an FP32 bundle of the same target and mode into ``folder``.

        Raises:
            QuantizationError: training brought the logits no nearer to FP32's.
            S2DEdgeError: the exported graph gives other logits than the fine-tuned model.
        """
        model, info = load_run(self.run)
        console.say(
            f"fine-tuning {self.run} with fake quantization: {self.settings.steps} steps on "
            f"{len(clips.train)} clips, {len(clips.held_out)} held out"
        )
        fused, record = fine_tune(FusedS2D(model), recipe, clips, self.settings, console)
        manifest = source.manifest
        form: GraphFormat = "onnx" if manifest.graph == "model.onnx" else "openvino"
        graph = graph_of(model, manifest.mode, form, fused)
        WRITERS[form](graph, folder / manifest.graph)
        draft = Bundle(folder, manifest)
        with TorchEngine(fused, info) as reference, open_engine(draft, "cpu") as engine:
            parity = check_parity(reference, engine, clips.held_out[:_CLIPS], "held-out clips", console)
        manifest = manifest.model_copy(update={"parity": parity, "self_test": None, "face": None})
        return Tuned(bundle=Bundle(folder, seal(folder, manifest)), record=record)


def run_tuner(
    run: Path | None,
    *,
    steps: int | None = None,
    lr: float | None = None,
    data: str | None = None,
    seed: int = 0,
) -> RunTuner | None:
    """Return the tuner of a run folder, as ``--run``, ``--tune-steps`` and the like describe it.

    Args:
        run: the run folder; None for no fine-tuning.
        steps, lr, data: None takes the defaults of :class:`TuningSettings`.
        seed: of the order of clips.

    Raises:
        ConfigError: settings without a run, or out of range.
    """
    if run is None:
        if (steps, lr, data) != (None, None, None):
            raise ConfigError(
                "--tune-steps, --tune-lr and --tune-data set the fine-tuning of a run; give its folder "
                "with --run"
            )
        return None
    settings = TuningSettings(seed=seed, data=data)
    if steps is not None:
        settings = replace(settings, steps=steps)
    if lr is not None:
        settings = replace(settings, lr=lr)
    return RunTuner(run=run, settings=settings)
