"""The card: every figure is read from the given files, and files that do not match are rejected."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2d_edge.contracts.bundle import MANIFEST, AccuracyRecord
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.evaluation import score
from s2d_edge.contracts.runs import WEIGHTS, RunInfo, write_run_info
from s2d_edge.core import metrics
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.files import sha256_of
from tests.firmware_host.graphs import CALIBRATED, LABELS, make_bundle
from tests.models import CAUSAL
from tools.starter.card import as_markdown, main
from tools.starter.evidence import COMMANDS, Evidence, gather

TRUTH = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTIONS = np.array([0, 0, 0, 1, 1, 1, 1, 2])
ACCURACY = AccuracyRecord(
    data="moving",
    split="test",
    n=8,
    fp32_war=0.75,
    fp32_uar=0.75,
    int8_war=0.75,
    int8_uar=0.75,
    drop_war_pp=1.25,
    drop_war_pp_ci95=(-2.5, 5.0),
    drop_uar_pp=-0.5,
    drop_uar_pp_ci95=(-1.0, 0.0),
    agreement=0.875,
    device="starter: INT8 on OpenVINO 1 CPU, a processor, frame by frame, 0.1 MiB kept per face",
)


def _write_data(root: Path) -> Path:
    """Eight test pictures of two people, and some of others to learn from."""
    rows = ["path,label,subject,split"]
    root.mkdir()
    for split, people in (("train", 10), ("test", 8)):
        for k in range(people):
            name = f"{split}{k}.jpg"
            Image.new("RGB", (32, 24)).save(root / name)
            label = LABELS[TRUTH[k] if split == "test" else k % 3]
            rows.append(f"{name},{label},{split}-person{0 if k < 5 else k},{split}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def _write_score(file: Path, sha256: str, data: str, predictions: metrics.Labels = PREDICTIONS) -> None:
    payload: dict[str, Any] = score(TRUTH, predictions, LABELS)
    payload |= {"model": {"name": "any", "sha256": sha256}, "data": data, "split": "test", "skipped": 0}
    file.write_text(json.dumps(payload))


class Made:
    """The files that make.sh leaves, written by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run, self.scores, self.folder = root / "faces-video", root / "scores", root / "shipped"
        self.run.mkdir()
        self.scores.mkdir()
        (self.run / WEIGHTS).write_bytes(bytes(1_500_000))
        crop = CropRecipe(size=CAUSAL.vit.image_size)
        info = RunInfo(
            name="faces-video",
            stage="video",
            labels=LABELS,
            fps=10,
            crop=crop,
            model=CAUSAL,
            weights_sha256="f00d",
        )
        write_run_info(self.run, info)
        self.data, self.moving = _write_data(root / "faces"), _write_data(root / "moving")
        for target, graph in (("intel-cpu", "model.xml"), ("jetson", "model.onnx")):
            make_bundle(
                self.folder / target,
                graph=graph,
                target=target,
                source_run="faces-video",
                precision="int8",
                calibration=CALIBRATED,
                accuracy=ACCURACY,
            )
        models = {each: sha256_of(self.folder / each / MANIFEST) for each in ("intel-cpu", "jetson")}
        for name, sha256 in (models | {"fp32": "f00d"}).items():
            predictions = TRUTH if name == "fp32" else PREDICTIONS
            for data in ("faces", "moving"):
                _write_score(self.scores / f"{name}-{data}.json", sha256, data, predictions)

    def gather(self, **changes: Any) -> Evidence:
        given: dict[str, Any] = {
            "run": self.run,
            "photographs": str(self.data),
            "clips": str(self.moving),
            "scores": self.scores,
            "timings": None,
            "folder": self.folder,
        }
        return gather(**(given | changes))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_every_figure_is_of_the_files(made: Made) -> None:
    card = as_markdown(made.gather())
    result = score(TRUTH, PREDICTIONS, LABELS)
    low, high = (100 * end for end in result["war_ci95"])
    f1 = metrics.macro_f1_interval(TRUTH, PREDICTIONS, 3)
    for wanted in (
        "recognizes red, green and blue on a face",
        "`starter-intel-cpu` and `starter-jetson` a certain one",
        "Weights 1.5 MB in FP32",
        "10 frames per second; a prediction uses the last 4 of them, 0.4 s",
        "causal temporal adapters",
        "8 in `faces/test`. Always to predict *red* would have a WAR of 50.0 and a UAR of 33.3.",
        f"| `starter-jetson`, INT8 | 75.0 ({low:.1f} … {high:.1f}) | 75.0 (",
        f"{100 * result['macro_f1']:.1f} ({100 * f1[0]:.1f} … {100 * f1[1]:.1f}) |",
        "| PyTorch, FP32 | 100.0 (67.6 … 100.0) |",  # Wilson's: all 8 are right
        "| blue | 2 | 100.0 (34.2 … 100.0) | 50.0 (9.5 … 90.5) | 50.0 (9.5 … 90.5) |",  # Wilson's
        "| red | 3 | 1 | 0 |",
        "| 8 in `moving/test` | +1.25 (-2.50 … +5.00) | -0.50 (-1.00 … +0.00) | 87.5 % |",
        "Measured on OpenVINO 1 CPU, a processor; a bundle",
        "18 labelled photographs (JPEG of 32×24 pixels) of 10 people",
        "| train | 6 | 10 | 4 | 3 | 3 |",
        "| test | 4 | 8 | 4 | 2 | 2 |",
        "red 44 %, green 28 % and blue 28 % of the photographs",
        "`starter-intel-cpu` predicts 50 % of the test photographs",
        "labelled *blue* correctly, and 100 % of those labelled *green*.",
        "people with the most photographs make 28 % of them",
        f"```bash\n{COMMANDS.read_text().rstrip()}\n```",
        "the FP32 weights were `f00d`",
    ):
        assert wanted in card
    assert "How fast" not in card


def test_it_names_the_very_files(made: Made) -> None:
    card = as_markdown(made.gather())
    listed = card.split("```")[-2]
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "-"],
        input=listed.strip() + "\n",
        cwd=made.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 5  # two manifests, and a graph of two files and of one


def test_speed_stands_there_if_it_was_measured(made: Made, tmp_path: Path) -> None:
    timing = {
        "name": "starter-jetson",
        "engine": "starter-jetson: INT8 on ONNX Runtime 1 CPUExecutionProvider (auto: no tensorrt)",
        "p50_ms": 3.25,
        "p95_ms": 4.0,
        "peak_memory_bytes": 100 * 2**20,
    }
    (tmp_path / "timings.json").write_text(json.dumps({"models": [timing]}))
    card = as_markdown(made.gather(timings=tmp_path / "timings.json"))
    assert "| `starter-jetson` | 3.2 ms | 4.0 ms | 100 MiB | ONNX Runtime 1 CPUExecutionProvider |" in card


def _stale(made: Made) -> None:
    make_bundle(
        made.folder / "jetson",
        graph="model.onnx",
        target="jetson",
        source_run="faces-video",
        precision="int8",
        calibration=CALIBRATED.model_copy(update={"seed": 1}),
        accuracy=ACCURACY,
    )


def _anonymous(made: Made) -> None:
    file = made.scores / "fp32-faces.json"
    payload = json.loads(file.read_text())
    del payload["model"]
    file.write_text(json.dumps(payload))


def _other_clips(made: Made) -> None:
    rows = (made.data / "labels.csv").read_text().splitlines()
    (made.data / "labels.csv").write_text("\n".join(rows[:-1]) + "\n")


def _shared_person(made: Made) -> None:
    file = made.data / "labels.csv"
    file.write_text(file.read_text().replace("test-person7", "train-person7"))


def _full_precision(made: Made) -> None:
    make_bundle(made.folder / "intel-cpu", source_run="faces-video")


def _other_run(made: Made) -> None:
    make_bundle(made.folder / "intel-gpu", source_run="other")


def _no_json(made: Made) -> None:
    (made.scores / "jetson-moving.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_stale, r"`starter-jetson`, INT8 on faces/test"),
        (_anonymous, r"fp32-faces\.json"),
        (_other_clips, r"8 .*faces/test .*7"),
        (_shared_person, r"'train-person7' .*'train' .*'test' .*'faces'"),
        (_full_precision, r"intel-cpu .*'s2d-edge calibrate'"),
        (_other_run, r"'other'.*'faces-video'"),
        (_no_json, r"jetson-moving\.json"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    made: Made, spoil: Callable[[Made], None], message: str
) -> None:
    spoil(made)
    with pytest.raises(S2DEdgeError, match=message):
        made.gather()


def test_it_is_a_command(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "run": made.run,
        "photographs": made.data,
        "clips": made.moving,
        "scores": made.root / "nowhere",
        "folder": made.folder,
    }
    options = [f"--{name}={value}" for name, value in given.items()]
    monkeypatch.setattr("sys.argv", ["card", *options])
    with pytest.raises(
        SystemExit, match=r"^error: .*PyTorch, FP32 on faces/test.*$"
    ):  # one line, exit code 1
        main()
    assert capsys.readouterr().out == ""
