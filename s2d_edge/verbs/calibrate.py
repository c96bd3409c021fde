"""``calibrate``: a full-precision bundle and clips in, an INT8 bundle and what INT8 costs out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import s2d_edge
from s2d_edge.verbs.options import Data, Debug, Device, Json, Quiet, SkipUnreadable, keep_inputs


def calibrate(
    bundle: Annotated[
        str | None,
        typer.Argument(metavar="[BUNDLE]", help="An FP32 bundle; default: the newest under bundles/."),
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Calibration clips come from this split.")] = "train",
    eval_split: Annotated[
        str, typer.Option(help="The accuracy drop is measured on this split, once, at the end.")
    ] = "test",
    subset: Annotated[int, typer.Option(help="Calibration clips, chosen evenly over the classes.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that choice and of the intervals.")] = 0,
    val_split: Annotated[
        str | None,
        typer.Option(
            help="The clips that decide which recipe passes the gate; default: val, or where there is none, "
            "a quarter of --split, whole people."
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            metavar="PP",
            help="The most that WAR or UAR may drop on --val-split, in percentage points; of UAR one clip of "
            "the rarest class at least. While a recipe fails this gate, costlier ones are tried; if none "
            "passes, no bundle is written. inf: take the first recipe, whatever it loses.",
        ),
    ] = 0.5,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            help="The least share of --val-split on which INT8 must predict the same label as FP32, right or "
            "wrong, to pass the gate; default: 97.",
        ),
    ] = None,
    min_speedup: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="INT8 must be at least X times as fast as FP32 in the same runtime on this machine, or no "
            "bundle is written; default: any speed, which the report tells.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="The run folder that BUNDLE was exported from. Where no recipe passes, its weights are "
            "fine-tuned on --split with INT8's rounding imitated, and quantized again.",
        ),
    ] = None,
    tune_steps: Annotated[int | None, typer.Option(help="Steps of that fine-tuning; default: 300.")] = None,
    tune_lr: Annotated[
        float | None,
        typer.Option(help="Its first learning rate, lowered where it is too large; default: 1e-5."),
    ] = None,
    tune_data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Pictures or videos for that fine-tuning, which need no labels: a folder, or as --data; "
            "default: those of --split.",
        ),
    ] = None,
    skip_unreadable: SkipUnreadable = False,
    sensitivity: Annotated[
        int | None,
        typer.Option(
            metavar="CLIPS",
            help="Measure what each group of layers costs on so many clips, 0 for none; default: 1 to 4, "
            "by the model's size.",
        ),
    ] = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Where to write; default: bundles/NAME-int8.")] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Quantize a bundle to INT8 for its target, and measure what that costs in accuracy."""
    keep_inputs(json, [data, tune_data])
    s2d_edge.calibrate(
        bundle,
        data=data,
        split=split,
        eval_split=eval_split,
        val_split=val_split,
        subset=subset,
        seed=seed,
        max_drop_pp=max_drop,
        min_agreement_percent=min_agreement,
        min_speedup=min_speedup,
        run=run,
        tune_steps=tune_steps,
        tune_lr=tune_lr,
        tune_data=tune_data,
        sensitivity=sensitivity,
        skip_unreadable=skip_unreadable,
        device=device,
        out=out,
        json=json,
        console=s2d_edge.Console(quiet=quiet),
    )
