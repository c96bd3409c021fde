"""Settings and snapshots under drawn values and damaged bytes: read back as written, or one of our errors."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.plan.overrides import dotted, flatten, parse_assignments, parse_toml, with_changes
from s2d_edge.train.plan.plan import STAGES, Plan, plan_from_record
from s2d_edge.train.plan.settings import (
    AugmentSettings,
    LandmarkSettings,
    SdlSettings,
    StageSettings,
    TrainSettings,
)
from s2d_edge.train.record.progress import RESUME, load_snapshot
from tests.hostile import DAMAGED, JSON, mutated, places
from tests.train.plans import make_plan
from tests.train.tiny import job, noisy_clips


def numbers(
    low: float, high: float, *, exclude_min: bool = False, exclude_max: bool = False
) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=exclude_min, exclude_max=exclude_max)


FRACTION = numbers(0, 1)
AUGMENT = st.builds(
    AugmentSettings,
    flip=FRACTION,
    rotate_deg=numbers(0, 180),
    scale=numbers(0, 1, exclude_max=True),
    shift=numbers(0, 0.5),
    erase=FRACTION,
    crop=numbers(0, 1, exclude_min=True),
    randaugment_ops=st.integers(0, 100),
    mixup=numbers(0, 10),
)
SDL = st.lists(FRACTION, max_size=4).flatmap(
    lambda starts: st.builds(
        SdlSettings,
        starts=st.just(tuple(sorted([0.0, *starts]))),
        shares=st.just(tuple([0.5] * (1 + len(starts)))),
        queue=st.integers(2, 64),
    )
)
STAGE = st.builds(
    StageSettings,
    epochs=st.integers(1, 10**9),
    lr=numbers(0, 1e3, exclude_min=True),
    weight_decay=numbers(0, 1e6),
    dropout=numbers(0, 1, exclude_max=True),
    select=st.sampled_from(["war", "uar"]),
    sdl=SDL,
    augment=AUGMENT,
)
SETTINGS = st.builds(
    TrainSettings,
    seed=st.integers(0, 2**63 - 1),
    amp=st.booleans(),
    val_fraction=numbers(0, 1, exclude_min=True, exclude_max=True),
    image=STAGE,
    video=STAGE,
    landmark=st.builds(LandmarkSettings, steps=st.integers(1, 10**6)),
)


def as_toml(tree: dict[str, Any]) -> str:
    """Dotted settings as a TOML file."""

    def text(value: Any) -> str:
        return json.dumps(list(value) if isinstance(value, tuple) else value)

    return "".join(f"{name} = {text(value)}\n" for name, value in tree.items())


@given(SETTINGS)
@settings(max_examples=60)
def test_settings_survive_toml(drawn: TrainSettings) -> None:
    read = dotted(parse_toml(as_toml(flatten(drawn)), "test"))
    assert with_changes(TrainSettings(), read, "test") == drawn


@pytest.mark.slow(seconds=2)
@given(SETTINGS)
@settings(max_examples=60)
def test_settings_survive_assignments(drawn: TrainSettings) -> None:
    texts = as_toml(flatten(drawn)).splitlines()
    assert with_changes(TrainSettings(), parse_assignments(texts), "--set") == drawn


def plan(drawn: TrainSettings) -> Plan:
    return make_plan(stages=STAGES, temporal="causal", settings=drawn)


@given(SETTINGS)
@settings(max_examples=60)
def test_a_plan_survives_run_json(drawn: TrainSettings) -> None:
    record = json.loads(json.dumps(plan(drawn).as_record()))
    assert plan_from_record(record, Path("run")) == plan(drawn)


RECORD = plan(TrainSettings()).as_record()


@given(st.sampled_from(list(places(RECORD))), JSON)
@settings(max_examples=100)
def test_a_plan_with_any_value_replaced_is_read_or_refused(place: tuple[Any, ...], value: Any) -> None:
    with suppress(ConfigError, CheckpointError):
        plan_from_record(mutated(RECORD, place, value), Path("run"))


# A text may be any path or name, and settings that lack values have their defaults.
USABLE = {
    ("data", "sideways"),
    ("model", "sideways"),
    ("teacher", "sideways"),
    ("teachers", "[]"),
    ("settings", "{}"),
}
_VALUES: tuple[Any, ...] = (None, [], {}, 0, "sideways", -1.5)
UNUSABLE: list[tuple[str, Any]] = [
    (name, value)
    for name in RECORD.keys() - {"skip_unreadable"}
    for value in _VALUES
    if (name, str(value)) not in USABLE
]


@pytest.mark.parametrize(("name", "value"), sorted(UNUSABLE, key=str))
def test_a_plan_with_an_unusable_field_is_refused(name: str, value: Any) -> None:
    with pytest.raises((ConfigError, CheckpointError)):
        plan_from_record(RECORD | {name: value}, Path("run"))


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=150)
def test_any_text_is_toml_or_refused(text: str) -> None:
    with suppress(ConfigError):
        dotted(parse_toml(text, "test"))
    with suppress(ConfigError):
        with_changes(TrainSettings(), parse_assignments([text]), "--set")


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 100_000, "[a.b]\na = 1\n[a]\nb = 2"])
def test_toml_that_breaks_the_parser_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_toml(text, "test")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the snapshot of a training that was not begun."""
    folder = tmp_path_factory.mktemp("snapshot")
    training = StageTraining(job(folder, StageSettings(epochs=1), noisy_clips(4), noisy_clips(2)))
    training._record.begin(training._snapshot(), "32-true")
    training._record.close()
    return folder


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_snapshot_is_read_or_refused(snapshot: Path, data: st.DataObject) -> None:
    whole = (snapshot / RESUME).read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)), "cut")])
    # The pickled part lies at the beginning, the directory of the archive at the end.
    for _ in range(data.draw(st.integers(0, 8), "changes")):
        if damaged:
            near = st.integers(0, min(len(damaged), 4000) - 1)
            place = data.draw(near, "place") * data.draw(
                st.sampled_from([1, -1]), "from the start or the end"
            )
            damaged[place] = data.draw(st.integers(0, 255), "byte")
    folder = snapshot / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / RESUME).write_bytes(damaged)
    with suppress(CheckpointError):
        load_snapshot(folder)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_snapshot_of_other_bytes_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RESUME).write_bytes(content)
    with pytest.raises(CheckpointError):
        load_snapshot(tmp_path)
