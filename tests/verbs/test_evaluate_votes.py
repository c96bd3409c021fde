"""``evaluate`` on FER+: distances from people's votes, calibration, and labels that the model lacks."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import cv2
import numpy as np
import pytest

from s2d_edge.core.reliability import cross_entropy
from tests.colours import write_colours
from tests.firmware_host.graphs import make_bundle
from tests.verbs.command import run

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
VOTES = (
    (0, 8, 2, 0, 0, 0, 0, 0, 0, 0),
    (6, 3, 0, 0, 0, 0, 0, 1, 0, 0),  # the vote for contempt is dropped: the model has no such label
    (0, 1, 6, 0, 0, 0, 0, 0, 3, 0),  # and so are those for "unknown"
    (0, 0, 0, 0, 0, 0, 0, 9, 1, 0),  # contempt
    (5, 5, 0, 0, 0, 0, 0, 0, 0, 0),  # undecided
)
SHARES = np.array([[0.8, 0, 0.2], [3 / 9, 6 / 9, 0], [1 / 7, 0, 6 / 7]])  # happiness, neutral, surprise


@pytest.fixture
def ferplus(tmp_path: Path) -> Path:
    """Grey pictures, which the bundle gives three equal probabilities."""
    root = tmp_path / "fer"
    (root / "FER2013Valid").mkdir(parents=True)
    rows = [HEADER]
    for k, votes in enumerate(VOTES):
        name = f"fer{k:07d}.png"
        assert cv2.imwrite(str(root / "FER2013Valid" / name), np.full((48, 48), 40 * k, np.uint8))
        rows.append(f"PublicTest,{name},{','.join(map(str, votes))}")
    (root / "fer2013new.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.slow(seconds=3)
def test_evaluate_tells_how_near_the_votes_the_probabilities_are(
    tmp_path: Path, ferplus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "bundle", labels=("happiness", "neutral", "surprise")).path
    plot = tmp_path / "reliability.svg"
    words = ("evaluate", bundle, "--data", f"ferplus:{ferplus}", "--split", "val", "--plot", plot)
    assert run(*words, "--json", "-") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["n"], result["left_out"]) == (3, {"contempt": 1})
    assert result["war"] == pytest.approx(1 / 3)  # all are predicted as the first label
    assert result["war_with_left_out"] == pytest.approx(1 / 4)
    assert result["votes"]["clips"] == 3
    assert result["votes"]["cross_entropy_nats"] == pytest.approx(log(3), rel=1e-5)
    assert result["votes"]["entropy_nats"] == pytest.approx(cross_entropy(SHARES, SHARES), rel=1e-5)
    assert 0 < result["votes"]["jensen_shannon_bits"] < 1
    (only,) = result["reliability"]
    assert (only["clips"], only["accuracy"]) == (3, pytest.approx(1 / 3))
    assert result["ece"] == pytest.approx(0, abs=1e-6)
    for shown in ("calibration error", "to the votes", "left out: contempt", "25.00"):
        assert shown in " ".join(err.split())
    assert "confidence" in plot.read_text()


def test_a_plot_that_cannot_be_drawn_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken.png").mkdir()
    for plot in ("plot.txt", "taken.png"):
        assert run("evaluate", tmp_path / "no-bundle", "--plot", tmp_path / plot) == 1
        assert Path(plot).name in "".join(capsys.readouterr().err.split())


@pytest.mark.slow(seconds=2)
def test_data_without_votes_has_a_calibration_error_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "bundle").path
    data = write_colours(tmp_path / "data", "test", 2)
    assert run("evaluate", bundle, "--data", data, "--json", "-") == 0
    result = json.loads(capsys.readouterr().out)
    assert "votes" not in result
    assert "war_with_left_out" not in result
    assert 0 <= result["ece"] <= 1
