"""Several sets are scored together and each by itself; a label that a set lacks is told apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import s2d_edge
from s2d_edge.api.scoring import score_sets
from s2d_edge.contracts.evaluation import Predictions, restricted
from s2d_edge.data.reading.dataset import Dataset, Sample, Source
from tests.colours import write_colours
from tests.firmware_host.graphs import make_bundle
from tests.verbs.command import run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that predicts the strongest colour of its pictures."""
    return make_bundle(tmp_path / "bundles" / "colours").path


def test_predictions_are_restricted_to_the_labels_that_a_set_knows() -> None:
    given = np.array([[0.6, 0.1, 0.3], [0.6, 0.1, 0.3], [1.0, 0.0, 0.0]])
    known = np.array([[True, True, True], [False, True, True], [False, True, True]])
    wanted = [[0.6, 0.1, 0.3], [0, 0.25, 0.75], [0, 0.5, 0.5]]  # the last one has nothing to compare
    np.testing.assert_allclose(restricted(given, known), wanted)


def test_each_set_is_scored_by_itself_and_among_its_own_labels() -> None:
    """The second set lacks ``c``: predicting it is wrong, and among its labels it is not predicted."""
    sources = tuple(
        Source(name=name, root=Path(), labels=labels)
        for name, labels in (("x", ("a", "b", "c")), ("y", ("a", "b")))
    )
    truth, rows = (0, 2, 0, 1), ((0.9, 0, 0.1), (0.1, 0, 0.9), (0.3, 0.1, 0.6), (0.5, 0.4, 0.1))
    samples = tuple(
        Sample(path=Path(str(k)), label=label, split="test", source=k // 2) for k, label in enumerate(truth)
    )
    dataset = Dataset(name="x+y", root=Path(), labels=("a", "b", "c"), samples=samples, joined=sources)
    shares = np.array(rows, dtype=np.float32)
    result = score_sets(dataset, samples, Predictions(logits=shares, probabilities=shares), seed=0)
    assert (result["n"], result["war"], result["restricted"]["war"]) == (4, 0.5, 0.75)
    assert list(result["sets"]) == ["x", "y"]
    x, y = result["sets"].values()
    assert (x["n"], x["war"], x["labels"], "restricted" in x) == (2, 1.0, ["a", "b", "c"], False)
    assert (y["n"], y["war"], y["labels"], y["restricted"]["war"]) == (2, 0.0, ["a", "b"], 0.5)
    assert y["restricted"]["per_class"]["a"]["recall"] == 1.0


@pytest.mark.slow(seconds=3)
def test_sets_are_evaluated_together_from_the_command_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole set with one error, and one with two of the model's three labels and one that it lacks."""
    first = write_colours(tmp_path / "first", "test", 2, wrong=1)
    second = write_colours(tmp_path / "second", "test", 2, seed=1)
    shutil.rmtree(second / "test" / "green")
    shutil.copytree(second / "test" / "red", second / "test" / "purple")
    for picture in (second / "test" / "purple").iterdir():
        picture.rename(picture.with_stem(f"purple-{picture.stem}"))
    alone = [s2d_edge.evaluate(bundle, data=folder) for folder in (first, second)]
    both = s2d_edge.evaluate(bundle, data=[first, str(second)])
    assert both["data"] == "first+second"
    assert (both["n"], both["war"]) == (10, 0.7)
    assert both["left_out"] == {"purple": 2}
    for name, one in zip(("first", "second"), alone, strict=True):
        found = both["sets"][name]
        assert {key: one[key] for key in found if key != "labels"} == {
            key: value for key, value in found.items() if key != "labels"
        }
    assert "restricted" not in alone[0]
    assert alone[1]["restricted"]["war"] == 1.0
    capsys.readouterr()
    assert run("evaluate", bundle, "--data", first, "--data", second, "--json", "-") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == both
    for text in ("first+second/test", "each set", "among its 2 labels", "left out: purple"):
        assert text in said.err
