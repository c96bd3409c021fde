"""Sets are joined by the names of their labels; their clips, splits and people stay apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.joined import list_sets, open_sets, require_splits
from s2d_edge.data.reading.label_names import same_expressions
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.data.reading.splits import carve_validation

QUIET = Console(quiet=True)
Row = tuple[str, ...]


def write_set(folder: Path, rows: Sequence[Row], header: str = "path,label,split") -> str:
    """A set of empty pictures, one for each row; returns it as ``--data`` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (folder / row[0]).touch()
    (folder / "labels.csv").write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return str(folder)


def _rows(*labels: str, split: str = "train") -> list[Row]:
    return [(f"{split}-{label}.png", label, split) for label in labels]


def test_labels_are_joined_by_name_in_the_order_of_the_sets(tmp_path: Path) -> None:
    five = write_set(tmp_path / "five", _rows("sad", "anger", split="val") + _rows("anger"))
    eight = write_set(tmp_path / "eight", _rows("contempt", "anger", "fear"))
    joined = open_sets([five, eight], QUIET)
    assert joined.name == "five+eight"
    assert joined.labels == ("anger", "sad", "contempt", "fear")  # a CSV's own are sorted
    assert joined.known.tolist() == [[True, True, False, False], [True, False, True, True]]
    shown = [(s.source, s.path.parent.name, joined.labels[s.label], s.split) for s in joined.samples]
    assert shown == [
        (0, "five", "sad", "val"),
        (0, "five", "anger", "val"),
        (0, "five", "anger", "train"),
        (1, "eight", "contempt", "train"),
        (1, "eight", "anger", "train"),
        (1, "eight", "fear", "train"),
    ]
    other = joined.in_order_of(("fear", "contempt", "anger", "sad"))
    assert other.known.tolist() == [[False, False, True, True], [True, True, True, False]]
    assert open_sets([eight, five], QUIET).labels == ("anger", "contempt", "fear", "sad")


def test_one_set_stays_as_it_is(tmp_path: Path) -> None:
    data = write_set(tmp_path / "one", _rows("a", "b", split="dev"))
    alone, joined = open_dataset(data, QUIET), open_sets([data], QUIET)
    assert (joined.name, joined.root, joined.labels, joined.samples, joined.val_written) == (
        alone.name,
        alone.root,
        alone.labels,
        alone.samples,
        "dev",
    )
    assert joined.sources == alone.sources


def test_a_models_labels_leave_out_others_and_tell_what_each_set_knows(tmp_path: Path) -> None:
    one = write_set(tmp_path / "one", _rows("happy", "contempt", "sad"))
    two = write_set(tmp_path / "two", _rows("sadness", "contempt"))
    joined = open_sets([one, two], QUIET, ("fear", "sadness", "happiness"))
    assert joined.labels == ("fear", "sadness", "happiness")
    assert joined.known.tolist() == [[False, True, True], [False, True, False]]
    assert Counter(joined.labels[s.label] for s in joined.samples) == {"sadness": 2, "happiness": 1}
    assert joined.left_out_of("train") == {"contempt": 2}
    assert open_dataset(one, QUIET, ("fear", "sadness", "happiness")).splits == {"train": 2}
    with pytest.raises(DataError, match="two"):
        open_sets([one, two], QUIET, ("happiness", "fear"))


@pytest.mark.parametrize(
    ("labels", "known", "found"),
    [
        (["happy", "sad"], ["sadness", "happiness"], {"happy": "happiness", "sad": "sadness"}),
        (["happiness"], ["happy"], {"happiness": "happy"}),
        (["Happy"], ["Happiness"], {"Happy": "Happiness"}),
        (["fearful-onset"], ["fear-onset", "fear-offset"], {"fearful-onset": "fear-onset"}),
        (["happy"], ["happy", "happiness"], {}),  # as it is spelled
        (["HAPPY"], ["happy"], {}),  # misspelled
        (["mad"], ["anger"], {}),
    ],
)
def test_an_expression_is_one_label_as_noun_and_as_adjective(
    labels: list[str], known: list[str], found: dict[str, str]
) -> None:
    assert same_expressions(labels, known) == found


def test_a_renamed_label_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_set(tmp_path / "first", _rows("happiness", "neutral"))
    second = write_set(tmp_path / "second", _rows("happy", "neutral"))
    assert open_sets([first, second], Console()).labels == ("happiness", "neutral")
    assert "second: labels are taken by their meaning: 'happy' as 'happiness'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("second", "match"),
    [
        (("happy", "happiness"), r"'second'.*'happy'.*'happiness'"),  # both would be one label
        (("Anger", "fear"), "'Anger' and 'anger'"),  # spelled otherwise than in the set before
    ],
)
def test_labels_that_cannot_be_joined_are_refused(
    tmp_path: Path, second: tuple[str, ...], match: str
) -> None:
    one = write_set(tmp_path / "first", _rows("anger", "happiness"))
    two = write_set(tmp_path / "second", _rows(*second))
    with pytest.raises(DataError, match=match):
        list_sets([one, two], QUIET)


def test_sets_of_one_name_are_numbered(tmp_path: Path) -> None:
    sets = [write_set(tmp_path / f"{k}/faces", _rows("a", "b")) for k in range(3)]
    assert [source.name for source in open_sets(sets, QUIET).sources] == ["faces", "faces-2", "faces-3"]


def test_many_sets_have_a_short_name(tmp_path: Path) -> None:
    sets = [write_set(tmp_path / f"{k}-{'long' * 10}", _rows("a", "b")) for k in range(3)]
    assert open_sets(sets, QUIET).name == f"0-{'long' * 10}+2"
    assert open_sets(sets[:1], QUIET).name == f"0-{'long' * 10}"


def test_a_file_in_two_sets_is_refused(tmp_path: Path) -> None:
    one = write_set(tmp_path / "one", _rows("a", "b"))
    two = write_set(tmp_path / "two", [("x.png", "a", "test")])
    (tmp_path / "two/x.png").unlink()
    (tmp_path / "two/x.png").symlink_to(tmp_path / "one/train-a.png")
    for pair in ([one, two], [one, one]):
        with pytest.raises(DataError, match=r"'one' and '(two|one-2)'"):
            open_sets(pair, QUIET)


def test_every_set_must_have_a_split_that_is_asked_for(tmp_path: Path) -> None:
    one = write_set(tmp_path / "one", _rows("a", split="valid") + _rows("b", split="test"))
    two = write_set(tmp_path / "two", _rows("a", "b", split="val"))
    joined = open_sets([one, two], QUIET)
    assert len(require_splits(joined, "val")) == 3
    with pytest.raises(DataError, match=r"'two'.*'test'.*val \(2\)"):
        require_splits(joined, "test")
    with pytest.raises(DataError, match="'train'"):
        require_splits(joined, "train")


def test_one_name_in_two_sets_is_two_people() -> None:
    def person(source: int, name: str) -> list[Sample]:
        return [
            Sample(path=Path(f"{source}{name}{k}"), label=k % 2, split="train", subject=name, source=source)
            for k in range(2)
        ]

    samples = [*person(0, "ann"), *person(0, "bob"), *person(1, "Ann"), *person(1, "bob")]
    train, val = carve_validation(samples, fraction=0.25, seed=0)
    assert (len(train), len(val)) == (6, 2), "one of four people, not one of two"
    assert len({(sample.source, sample.subject) for sample in val}) == 1
