"""CREMA-D and RAVDESS: videos of actors, whose names tell actor, emotion and level.

Neither has an official division. Here every fifth actor's clips are ``test`` and every fifth's are ``val``,
by the actor's number, so that a partial copy divides as the whole set does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.listing import Entry, Listing
from s2d_edge.data.reading.spelling import in_one_line
from s2d_edge.data.reading.split_names import TEST, TRAIN, VAL
from s2d_edge.media.kinds import VIDEO_SUFFIXES

CREMAD_LABELS = ("anger", "disgust", "fear", "happy", "neutral", "sad")
RAVDESS_LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_FOLDS = {4: VAL, 0: TEST}  # by the actor's number modulo 5

_CREMAD = re.compile(r"(?P<actor>1\d{3})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_(?P<level>LO|MD|HI|XX?)")
_CREMAD_EMOTIONS = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), CREMAD_LABELS, strict=True))
_CREMAD_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
_RAVDESS = re.compile(
    r"0(?P<modality>[123])-0(?P<channel>[12])-(?P<emotion>0[1-8])-(?P<level>0[12])-0[12]-0[12]-(?P<actor>\d\d)"
)
_RAVDESS_EMOTIONS = {f"{k:02d}": label for k, label in enumerate(RAVDESS_LABELS, start=1)}
_RAVDESS_LEVELS = {"01": "normal", "02": "strong"}
_AUDIO_ONLY, _SUNG = "3", "2"
_LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Take:
    """One clip by its name.

    Attributes:
        actor: the actor's number, as written.
        level: the intensity that was asked for.
    """

    path: Path
    actor: str
    label: str
    level: str


def list_cremad(root: Path) -> Listing:
    """List CREMA-D (Cao et al. 2014, doi 10.1109/TAFFC.2014.2336244): 91 actors, six emotions, as intended.

    Videos lie in ``VideoFlash``, or converted in ``VideoMP4``, or right under the root. A clip in two formats
    is taken once.

    Raises:
        DataError: no such videos, or pointers of Git LFS in their place.
    """
    places = [root / name for name in ("VideoFlash", "VideoMP4")] + [root]
    takes: dict[str, _Take] = {}
    for place in places:
        strangers = []
        for path in _videos(place.glob("*")):
            named = _CREMAD.fullmatch(path.stem.upper())
            if named is None or named["emotion"] not in _CREMAD_EMOTIONS:
                strangers.append(path)
                continue
            take = _Take(
                path=path,
                actor=named["actor"],
                label=_CREMAD_EMOTIONS[named["emotion"]],
                level=_CREMAD_LEVELS[named["level"]],
            )
            takes.setdefault(path.stem.upper(), take)
        if takes:
            break
    notes = _strangers(strangers)
    wanted = "VideoFlash/ACTOR_SENTENCE_EMOTION_LEVEL.flv, such as 1001_DFA_ANG_XX.flv"
    return _listing("cremad", root, CREMAD_LABELS, list(takes.values()), notes, wanted)


def list_ravdess(root: Path) -> Listing:
    """List the videos of RAVDESS (Livingstone and Russo 2018, doi 10.5281/zenodo.1188976), spoken and sung.

    They lie in ``Actor_NN``, in the root or in the folders of the archives they came in. Each was published
    with sound and without; it is taken once.

    Raises:
        DataError: no such videos.
    """
    takes: dict[str, _Take] = {}
    strangers, sung, again = [], 0, 0
    for path in sorted(_videos((*root.glob("Actor_*/*"), *root.glob("*/Actor_*/*"))), key=lambda p: p.name):
        named = _RAVDESS.fullmatch(path.stem)
        if named is None:
            strangers.append(path)
            continue
        clip = path.stem[2:]  # without the modality
        if named["modality"] == _AUDIO_ONLY or clip in takes:
            again += clip in takes
            continue
        sung += named["channel"] == _SUNG
        takes[clip] = _Take(
            path=path,
            actor=named["actor"],
            label=_RAVDESS_EMOTIONS[named["emotion"]],
            level=_RAVDESS_LEVELS[named["level"]],
        )
    notes = _strangers(strangers)
    if again:
        notes.append(f"{again} files show a clip again, without its sound; each clip is taken once")
    if sung:
        notes.append(f"{sung} of the {len(takes)} clips are sung")
    wanted = "Actor_NN/MODALITY-CHANNEL-EMOTION-…-ACTOR.mp4, such as Actor_01/01-01-03-02-01-01-01.mp4"
    return _listing("ravdess", root, RAVDESS_LABELS, list(takes.values()), notes, wanted)


def _videos(paths: Iterable[Path]) -> list[Path]:
    return sorted(
        path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    )


def _strangers(paths: Sequence[Path]) -> list[str]:
    if not paths:
        return []
    return [f"{len(paths)} videos of other names are left out (first: {in_one_line(paths[0].name)})"]


def _listing(
    name: str,
    root: Path,
    labels: tuple[str, ...],
    takes: Sequence[_Take],
    notes: Sequence[str],
    wanted: str,
) -> Listing:
    if not takes:
        raise DataError(f"{root} holds no video of {name}; wanted {wanted}: unpack them there")
    if _is_pointer(takes[0].path):
        raise DataError(
            f"{takes[0].path} is a pointer of Git LFS, not the video; fetch the videos with 'git lfs pull'"
        )
    return Listing(
        name=name,
        root=root,
        labels=labels,
        entries=tuple(
            Entry(
                path=take.path,
                label=take.label,
                split=_FOLDS.get(int(take.actor) % 5, TRAIN),
                subject=take.actor,
                file=take.path.parent,
            )
            for take in takes
        ),
        missing_hint="unpack the videos there, or continue without them with --skip-unreadable",
        notes=(*notes, _levels(Counter(take.level for take in takes))),
    )


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:  # reading the clip will say so
        return False


def _levels(counts: Mapping[str, int]) -> str:
    return "levels: " + ", ".join(f"{level} {count}" for level, count in sorted(counts.items()))
