"""Two processes train as one does, to the rounding of sums taken in another order."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2d_edge.core.errors import ConfigError, DeviceError
from s2d_edge.train import command
from s2d_edge.train.plan.settings import StageSettings, TrainSettings
from s2d_edge.train.processes import Processes
from s2d_edge.train.record.progress import METRICS, load_snapshot
from tests.train.plans import make_plan
from tests.train.together import FAILURE, SCENES, STOP, train_scenes

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

ROOT = Path(__file__).parents[2]


def torchrun(count: int, *words: str, **options: Any) -> subprocess.Popen[str]:
    """Start ``python -m WORDS`` in ``count`` processes on this machine alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--master-addr", "127.0.0.1", "--master-port", str(port))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), *where, "-m", *words],
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
        **options,
    )


def _state(folder: Path) -> dict[str, torch.Tensor]:
    """The final state of a training: its weights, AdamW's mean gradients, its anchors, its moving average."""
    snapshot = load_snapshot(folder)
    gradients = {str(k): state["exp_avg"] for k, state in snapshot.optimizer["state"].items()}
    parts = {"weights": snapshot.model, "gradients": gradients, "anchors": snapshot.anchors}
    parts |= {"average": snapshot.average}
    return {
        name: torch.cat([value.double().flatten() for value in tensors.values()])
        for name, tensors in parts.items()
        if tensors
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The scenes trained by one process and by two."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("one", "two")}
    running = torchrun(2, "tests.train.together", str(folders["two"]))
    train_scenes(folders["one"], Processes("cpu"))
    _, said = running.communicate()
    assert running.returncode == 0, said
    return folders


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize("scene", SCENES)
def test_two_processes_give_the_loss_curve_and_the_evaluation_of_one(
    both: dict[str, Path], scene: str
) -> None:
    one, two = (
        [json.loads(line) for line in (both[name] / scene / METRICS).read_text().splitlines()]
        for name in ("one", "two")
    )
    assert [record["epoch"] for record in two] == [0, 1, 2]
    for ours, theirs in zip(two, one, strict=True):
        assert ours | {"seconds": 0} == pytest.approx(theirs | {"seconds": 0}, rel=1e-4)
        assert ours["val_war"] == theirs["val_war"]
    first, second = (_state(both[name] / scene) for name in ("one", "two"))
    for name, value in first.items():
        assert (second[name] - value).norm() < 1e-4 * value.norm(), name


def test_the_run_says_how_many_trained_it(both: dict[str, Path]) -> None:
    for name, count in (("one", 1), ("two", 2)):
        (start,) = json.loads((both[name] / "mixed/environment.json").read_text())["starts"]
        assert (start["processes"], start["device"], start["precision"]) == (count, "cpu", "32-true")
        assert socket.gethostname() not in start.values()


def test_a_loss_that_is_no_number_in_one_process_ends_all_with_its_clips(both: dict[str, Path]) -> None:
    messages = [(both["two"] / f"{rank}-{FAILURE}").read_text() for rank in (0, 1)]
    assert messages[0] == messages[1]
    assert "epoch 1, step 1 " in messages[0]
    assert messages[0].count("clip-") == 1  # of three, the one of the second process


def test_a_stop_requested_of_one_process_stops_all_after_the_same_step(both: dict[str, Path]) -> None:
    for rank in (0, 1):
        assert (both["two"] / f"{rank}-{STOP}").read_text() == "epoch 0, step 2"
    progress = load_snapshot(both["two"] / "stopping").progress
    assert (progress.epoch, progress.step) == (0, 2)


def test_alone_everything_is_its_own() -> None:
    alone = Processes("cpu")
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    assert np.array_equal(alone.share(5), np.arange(5))
    assert alone.on_rank_0(lambda: "this") == alone.one_per_machine_first(lambda: "this") == "this"
    with pytest.raises(DeviceError, match="--device npu"):
        Processes("npu")


def test_a_batch_smaller_than_the_number_of_processes_is_refused() -> None:
    plan = make_plan(settings=TrainSettings(image=StageSettings(batch_clips=4)))
    command.require_clips_for_all(plan, 4)
    with pytest.raises(ConfigError, match=r"image\.batch_clips=4"):
        command.require_clips_for_all(plan, 5)
