"""DFEW, FERV39K and MAFW: folders of frames, cut out around the face by their authors.

None of them names the people in the clips. Annotations are read from the authors' places, from the places of
the official S2D code's copies, or from those copies right under the root.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from s2d_edge.contracts.labels import DFEW, FERV39K, MAFW, LabelSet
from s2d_edge.data.reading.listing import Entry, Listing
from s2d_edge.data.reading.published.annotations import class_name, find_annotation
from s2d_edge.data.reading.tables import read_pairs

_HEADERS = ("video_name", "path")
_SPLITS = ("train", "test")


def list_dfew(root: Path, fold: int) -> Listing:
    """List one fold of DFEW (Jiang et al. 2020, arXiv 2008.05924), single labels, clips of 16 frames.

    The authors' ``set_N.csv`` counts classes from 1, the official S2D code's ``train_set_N.csv`` from 0.

    Raises:
        DataError: an annotation file is missing or damaged.
    """
    entries: list[Entry] = []
    for split in _SPLITS:
        folder = f"EmoLabel_DataSplit/{split}(single-labeled)"
        copy = f"{split}_set_{fold}.csv"
        file = find_annotation(
            root,
            (f"{folder}/set_{fold}.csv", f"{folder}/{copy}", copy),
            f"{split} annotations of DFEW fold {fold}",
        )
        entries += _entries(
            file,
            split,
            DFEW,
            lambda name: root / "Clip/clip_224x224_16f" / name.zfill(5),
            first_id=0 if file.name == copy else 1,
        )
    return _listing(root, DFEW, f"dfew-{fold}", entries)


def list_ferv39k(root: Path) -> Listing:
    """List FERV39K (Wang et al. 2022, arXiv 2203.09463), all scenes.

    Raises:
        DataError: an annotation file is missing or damaged.
    """
    entries: list[Entry] = []
    for split in _SPLITS:
        file = find_annotation(
            root,
            (f"4_setups/All_scenes/{split}_All.csv", f"Annotation/{split}.csv", f"{split}.csv"),
            f"{split} annotations of FERV39K",
        )
        entries += _entries(file, split, FERV39K, lambda name: root / "2_ClipsforFaceCrop" / name)
    return _listing(root, FERV39K, "ferv39k", entries)


def list_mafw(root: Path, fold: int) -> Listing:
    """List one set of MAFW (Liu et al. 2022, arXiv 2208.00847), single labels.

    Annotations right under the root are taken for set 1: their names carry no number.

    Raises:
        DataError: an annotation file is missing or damaged.
    """
    entries: list[Entry] = []
    for split in _SPLITS:
        single = f"single/no_caption/set_{fold}/{split}"
        places = [f"Train & Test Set/{single}.txt", f"anno/{single}.csv", f"anno/{single}.txt"]
        if fold == 1:
            places += [f"{split}.csv", f"{split}.txt"]
        file = find_annotation(root, places, f"{split} annotations of MAFW set {fold}")
        entries += _entries(
            file,
            split,
            MAFW,
            lambda name: root / "data/frames/frames_crop_align_224" / name.removesuffix(".mp4"),
        )
    return _listing(root, MAFW, f"mafw-{fold}", entries)


def _entries(
    file: Path, split: str, known: LabelSet, folder: Callable[[str], Path], first_id: int = 0
) -> list[Entry]:
    return [
        Entry(
            path=folder(name),
            label=class_name(label, known.labels, first_id),
            split=split,
            file=file,
            line=line,
        )
        for line, name, label in read_pairs(file, _HEADERS)
    ]


def _listing(root: Path, known: LabelSet, name: str, entries: list[Entry]) -> Listing:
    return Listing(
        name=name,
        root=root,
        labels=known.labels,
        entries=tuple(entries),
        missing_hint="unpack the frames there, or continue without them with --skip-unreadable",
        published=known,
    )
