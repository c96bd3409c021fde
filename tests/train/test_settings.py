"""Recipes, TOML files and ``--set``: the later wins, and nothing unknown passes."""

from __future__ import annotations

import math
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from s2d_edge import evaluate
from s2d_edge.calibrate.clips.choice import ClipChoice
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.train.command import train
from s2d_edge.train.plan.overrides import flatten, parse_assignments, read_config, with_changes
from s2d_edge.train.plan.plan import (
    describe,
    parse_stages,
    plan_from_record,
    resolve_settings,
    usual_recipe,
    warn_of_warmups,
)
from s2d_edge.train.plan.settings import AugmentSettings, StageSettings, TrainSettings
from s2d_edge.train.recipes import NAMES, recipe
from s2d_edge.verbs.import_ import import_run
from tests.train.plans import make_plan

QUIET = Console(quiet=True)


def test_settings_without_a_value_are_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    describe(make_plan(), Console())
    assert "teacher" not in capsys.readouterr().err
    describe(make_plan(teachers=("runs/big",)), Console())
    assert capsys.readouterr().err.count("runs/big") == 1


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seed = 3\n[image]\nlr = 1e-4\nepochs = 7\n[image.augment]\nflip = 0\n")
    settings = resolve_settings("demo", config=file, changes=("image.lr=2e-4", "video.select=uar"), seed=9)
    assert settings.seed == 9
    assert settings.image.lr == 2e-4
    assert settings.image.epochs == 7
    assert settings.image.augment.flip == 0.0
    assert settings.video.select == "uar"
    assert settings.video.lr == recipe("demo").video.lr


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_headed_by_the_command_that_uses_it(name: str) -> None:
    recipe(name)  # every name in it is known, every value in its range
    head = (resources.files("s2d_edge.train.recipes") / f"{name}.toml").read_text().split("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert f"--recipe {name}" in head


def test_the_papers_recipe_is_what_the_settings_are_by_themselves_but_for_randaugment() -> None:
    augment = AugmentSettings(
        randaugment_ops=4, rotate_deg=0, shift=0, brightness=0, contrast=0, saturation=0, erase=0.25
    )
    stage = StageSettings(augment=augment)
    assert recipe("paper") == TrainSettings(image=stage, video=stage)


def test_recipes_of_published_sets_follow_the_official_scripts() -> None:
    dfew, ferv39k = recipe("dfew").video, recipe("ferv39k").video
    assert recipe("mafw").video == dfew
    assert (dfew.augment.mixup, dfew.augment.cutmix, dfew.sdl.weight) == (0.8, 1.0, 0.0)
    assert (dfew.label_smoothing, dfew.dropout, dfew.epochs, dfew.lr) == (0.1, 0.5, 100, 1e-5)
    assert (ferv39k.augment.mixup, ferv39k.augment.cutmix) == (0.0, 0.0)
    assert (ferv39k.label_smoothing, ferv39k.dropout) == (0.0, 0.0)
    assert (ferv39k.sdl.weight, ferv39k.sdl.top_k, ferv39k.sdl.queue) == (1.0, 2, 16)
    assert ferv39k.augment.crop == dfew.augment.crop < 1


def test_epochs_go_to_the_stages_that_are_trained() -> None:
    both = resolve_settings("demo", epochs=2)
    assert (both.image.epochs, both.video.epochs) == (2, 2)
    one = resolve_settings("demo", epochs=2, stages=parse_stages("video"))
    assert (one.image.epochs, one.video.epochs) == (recipe("demo").image.epochs, 2)


def test_the_models_size_chooses_the_recipe() -> None:
    assert usual_recipe("base", ["avatars"]) == "paper"
    assert usual_recipe("demo", ["avatars"]) == "demo"
    assert usual_recipe("demo", ["faces.csv"]) == usual_recipe("demo", ["avatars", "faces.csv"]) == "quick"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("image.lrr", "'image.lr'"),
        ("weight_decay", "'image.weight_decay' .*'video.weight_decay'"),
        ("zzz", "seed, "),
    ],
)
def test_an_unknown_setting_is_an_error_that_suggests_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_changes(TrainSettings(), {name: 1}, "--set")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image.epochs=many", "image.epochs='many'.* whole number"),
        ("image.epochs=1.5", "image.epochs=1.5.* whole number"),
        ("amp=1", "amp=1.* true or false"),
        ("amp=yes", "amp='yes'.* true or false"),
        ("image.sdl.starts=0.3", r"image\.sdl\.starts=0\.3 .*\[0\.25, 0\.5\]"),
        ("image.select=[1]", r"image\.select=\[1\] .*text"),
        ("image.epochs=0", "epochs=0"),
        ("image.select=f1", "select='f1'"),
        ("image", "'image'"),
        ("=3", "'=3'"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_changes(TrainSettings(), parse_assignments([text]), "--set")


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"dropout": 1.0},
        {"balance": 1.1},
        {"weight_decay": -1.0},
        {"landmark_lr": 1.5},
        {"batch_clips": 0},
        {"lr": float("nan")},
    ],
)
def test_stage_settings_check_themselves(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        StageSettings(**wrong)  # type: ignore[arg-type]


def test_only_the_image_stage_may_tune_the_landmark_network() -> None:
    assert TrainSettings(image=StageSettings(landmark_lr=0.5)).image.landmark_lr == 0.5
    with pytest.raises(ConfigError, match=r"video\.landmark_lr=0\.5"):
        TrainSettings(video=StageSettings(landmark_lr=0.5))


def test_self_distillation_refuses_mixed_clips_that_would_leave_it_without_anchors() -> None:
    texts = ["video.sdl.weight=1", "video.augment.mixup=0.3"]
    with pytest.raises(ConfigError, match=r"sdl\.weight=1.*augment\.mixup=0\.3"):
        with_changes(TrainSettings(), parse_assignments(texts), "--set")
    mixed = with_changes(TrainSettings(), parse_assignments(texts[1:]), "--set")
    unmixed = parse_assignments([texts[0], "video.augment.mixup=0"])
    assert with_changes(mixed, unmixed, "--set").video.sdl.weight == 1


def test_augmentation_settings_check_themselves() -> None:
    with pytest.raises(ConfigError, match="flip=2"):
        AugmentSettings(flip=2)
    with pytest.raises(ConfigError, match=r"shift=0\.9"):
        AugmentSettings(shift=0.9)
    with pytest.raises(ConfigError, match="randaugment_ops=-1"):
        AugmentSettings(randaugment_ops=-1)
    for magnitude in (10.5, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="randaugment_magnitude"):
            AugmentSettings(randaugment_magnitude=magnitude)


def test_a_missing_or_broken_config_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seed = = 3")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        read_config(tmp_path / "bad.toml")


def test_an_unknown_recipe_or_stage_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'slow'"):
        recipe("slow")
    with pytest.raises(ConfigError, match="--stage 'audio'"):
        parse_stages("audio")


def test_resume_takes_nothing_but_a_device(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--epochs"):
        train(resume=Path("runs/x"), epochs=3, console=QUIET)
    with pytest.raises(ConfigError, match="--image-size"):
        train(resume=Path("runs/x"), image_size=64, console=QUIET)
    with pytest.raises(ConfigError, match="--set"):
        train(resume=Path("runs/x"), changes=("seed=1",), console=QUIET)
    with pytest.raises(CheckpointError, match=r"run\.json"):  # there is no such run: the device may be given
        train(resume=tmp_path / "x", device="cpu", console=QUIET)


def test_a_plan_survives_its_record() -> None:
    plan = make_plan(
        stages=("image", "video"), temporal="causal", teachers=("/a", "/b"), settings=recipe("quick")
    )
    assert plan_from_record(plan.as_record(), Path("runs/x")) == plan
    assert flatten(plan_from_record(plan.as_record(), Path("runs/x")).settings) == flatten(recipe("quick"))


def test_an_imported_run_has_no_plan_to_resume() -> None:
    with pytest.raises(CheckpointError, match="runs/x"):
        plan_from_record({}, Path("runs/x"))


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 50_000,
        ".".join("x" * 5000) + " = 1",
        f"[{'.'.join('x' * 900)}]\nx = 1",
        "x = " + "9" * 5000,
        "x = \x00",
        "x = 1\nx = 2",
    ],
)
def test_damaged_settings_files_are_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "damaged.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"damaged\.toml"):
        read_config(tmp_path / "damaged.toml")


NUMBERS = [name for name, value in flatten(TrainSettings()).items() if type(value) in (int, float)]


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_may_be_negative_infinite_or_huge(name: str) -> None:
    for text in (
        ("-1", "1" + "0" * 30)
        if type(flatten(TrainSettings())[name]) is int
        else ("-1", "inf", "nan", "1e30")
    ):
        with pytest.raises(ConfigError, match=rf"^--set: {re.escape(name)}=") as caught:
            with_changes(TrainSettings(), parse_assignments([f"{name}={text}"]), "--set")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 2**63, 10**40])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ConfigError, match=f"--seed: seed={seed} "):
        resolve_settings("demo", seed=seed)


def test_seeds_of_other_stages_are_refused_before_any_work() -> None:
    with pytest.raises(ConfigError, match="--seed -1 "):
        evaluate(seed=-1)
    with pytest.raises(ConfigError, match="--seed -2 "):
        ClipChoice(
            data=None,
            split="train",
            eval_split="test",
            val_split=None,
            subset=1,
            seed=-2,
            skip_unreadable=False,
            is_gated=False,
        )


@pytest.mark.parametrize(
    ("option", "value", "flag"),
    [
        ("frames", 0, "--frames 0"),
        ("frames", -3, "--frames -3"),
        ("frames", 10**9, "--frames 1000000000"),
        ("fps", 0.0, r"--fps 0\.0"),
        ("fps", -1.0, r"--fps -1\.0"),
        ("fps", math.inf, "--fps inf"),
        ("fps", math.nan, "--fps nan"),
        ("image_size", 0, "--image-size 0"),
        ("image_size", 10**6, "--image-size 1000000"),
        ("epochs", 0, r"--epochs: image\.epochs=0"),
        ("epochs", -1, r"--epochs: image\.epochs=-1"),
    ],
)
def test_an_option_of_nought_is_refused_and_not_taken_for_missing(
    option: str, value: float, flag: str
) -> None:
    given: dict[str, Any] = {option: value}
    with pytest.raises(ConfigError, match=flag):
        train(**given, console=QUIET)


def test_nought_heads_or_rate_of_an_import_are_refused(tmp_path: Path, shared_data: Path) -> None:
    official, landmark = shared_data / "parity/s2d_small_official.pth", shared_data / "landmark"
    wrong: list[tuple[dict[str, Any], str]] = [({"heads": 0}, "heads=0"), ({"fps": 0.0}, r"fps=0\.0")]
    for given, name in wrong:
        with pytest.raises(ConfigError, match=name):
            import_run(
                official,
                landmark=landmark / "mobilefacenet_300w.pth",
                labels="dfew",
                out=tmp_path / "run",
                console=QUIET,
                **given,
            )
    assert not (tmp_path / "run").exists()


def test_epochs_within_the_warm_up_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    for epochs, warned in ((2, True), (3, False)):
        plan = make_plan(settings=resolve_settings("paper", epochs=epochs))
        warn_of_warmups(plan, QUIET)
        said = capsys.readouterr().err
        assert ("image.epochs=2" in said and "image.warmup_epochs=2" in said) == warned
        assert "video" not in said


def test_a_byte_order_mark_before_settings_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbfseed = 3")
    assert read_config(tmp_path / "mine.toml") == {"seed": 3}
