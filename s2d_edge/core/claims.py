"""Choose output folders so that commands which run at the same time never share one.

A folder is made when it is chosen, with a mark in it that its owner keeps locked. The lock ends with its
process, however that ends, so the mark of a killed one holds nobody up.
"""

from __future__ import annotations

import atexit
import functools
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import ParamSpec, TypeVar

from s2d_edge.core.disk import refused
from s2d_edge.core.errors import ConfigError, S2DEdgeError
from s2d_edge.core.locks import Lock, lock

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")

MARK = ".claimed"
_ours: dict[Path, int] = {}  # claimed folders, and the open mark of each
_parents_made: dict[Path, list[Path]] = {}  # folders that had to be made for a claimed one
_claimed_here: ContextVar[list[Path] | None] = ContextVar("claimed_here", default=None)
_owner = os.getpid()


def choose_output(out: Path | None, default: Path) -> Path:
    """Claim the folder to write to: ``out`` if given, else the first free of ``default``, ``default-2``, …

    Raises:
        S2DEdgeError: ``out`` exists already, or another command has claimed it.
    """
    if out is None:
        return choose_outputs(default, [""])[0]
    if not _claim(out):
        raise _taken(out)
    return out


def choose_outputs(base: Path, endings: list[str]) -> list[Path]:
    """Claim ``base`` with each ending; where one is taken, all of them with ``-2``, ``-3``, … before it."""
    number = 1
    while True:
        name = base.name if number == 1 else f"{base.name}-{number}"
        paths = [base.with_name(f"{name}{ending}") for ending in endings]
        if claim_all(paths) is None:
            return paths
        number += 1


def claim_all(paths: list[Path]) -> Path | None:
    """Claim every folder, or none; returns the first that is taken."""
    for place, path in enumerate(paths):
        if not _claim(path):
            for claimed in reversed(paths[:place]):
                release(claimed)
            return path
    return None


def claim_outputs(paths: list[Path]) -> None:
    """Claim folders that must be free.

    Raises:
        S2DEdgeError: one exists already, or another command has claimed it.
    """
    taken = claim_all(paths)
    if taken is not None:
        raise _taken(taken)


def claim_existing(folders: list[Path]) -> None:
    """Claim folders that an earlier command made or would have made, to continue its work.

    Raises:
        S2DEdgeError: another command is writing into one.
    """
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        if not _mark(folder):
            raise S2DEdgeError(
                f"another command is writing into {folder} ({_claimant(folder)}); "
                "wait for its end, or stop it"
            )


def require_vacant(out: Path) -> Path:
    """Return the path of a file to write, which must not exist.

    Raises:
        S2DEdgeError: it exists.
    """
    if out.exists():
        raise _taken(out)
    return out


def refuse_same(out: Path, option: str, inputs: Sequence[Path]) -> None:
    """Refuse an output that is one of the command's inputs, under whatever name.

    Raises:
        ConfigError: it is.
    """
    for path in inputs:
        if os.path.realpath(out) == os.path.realpath(path) or _same_file(out, path):
            raise ConfigError(f"{option} {out} would write over {path}; give it another name")


def _same_file(one: Path, other: Path) -> bool:
    """True for two names of one regular file, which links and disks without case make."""
    try:
        return one.is_file() and one.samefile(other)
    except OSError:
        return False


def is_ours(folder: Path) -> bool:
    """True if this process has claimed the folder."""
    return _key(folder) in _ours


def unmark(folder: Path) -> None:
    """Remove the mark of a claimed folder, so that it is empty and can be replaced."""
    if is_ours(folder):
        (folder / MARK).unlink(missing_ok=True)


def release(folder: Path) -> None:
    """Give up a claim; a folder into which nothing was written is removed."""
    handle = _ours.pop(_key(folder), None)
    parents = _parents_made.pop(_key(folder), [])
    if handle is None:
        return
    with suppress(OSError):
        if _is_at(handle, folder / MARK):
            (folder / MARK).unlink()
            for empty in (folder, *parents):
                empty.rmdir()  # fails where something is in it
    os.close(handle)


def releases_claims(function: Callable[ParamsT, ResultT]) -> Callable[ParamsT, ResultT]:
    """Decorate a function that chooses outputs: its claims are given up at its end, however it ends."""

    @functools.wraps(function)
    def releasing(*args: ParamsT.args, **options: ParamsT.kwargs) -> ResultT:
        claimed: list[Path] = []
        outer = _claimed_here.set(claimed)
        try:
            return function(*args, **options)
        finally:
            _claimed_here.reset(outer)
            for folder in reversed(claimed):  # the folders around them were made for the first
                release(folder)

    return releasing


@atexit.register
def _release_all() -> None:
    if os.getpid() == _owner:  # not in a fork of it
        for folder in reversed(list(_ours)):
            release(folder)


def _claim(folder: Path) -> bool:
    """Make the folder, or take an empty one or one whose owner is gone; False if it is taken.

    Raises:
        S2DEdgeError: the disk refuses it.
    """
    try:
        return _make(folder)
    except OSError as error:
        raise S2DEdgeError(f"{refused(error, folder)}, or choose another --out") from None


def _make(folder: Path) -> bool:
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.mkdir(parents=True)
        _parents_made[_key(folder)] = missing
    except FileExistsError:
        try:
            if any(entry.name != MARK for entry in folder.iterdir()):
                return False
        except NotADirectoryError:
            return False
    return _mark(folder)


def _mark(folder: Path) -> bool:
    """Put a locked mark into a folder; False if another command holds one."""
    if is_ours(folder):
        return False
    handle = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o666)
    # Where there are no locks, the mark's name alone must do.
    if lock(handle) is Lock.TAKEN or not _is_at(handle, folder / MARK):
        os.close(handle)
        return False
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    _ours[_key(folder)] = handle
    if (claimed := _claimed_here.get()) is not None:
        claimed.append(folder)
    return True


def _is_at(handle: int, path: Path) -> bool:
    """False if an open file was removed or replaced meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _claimant(folder: Path) -> str:
    with suppress(OSError):
        return (folder / MARK).read_text("utf-8", "replace").strip()
    return "it has ended just now"


def _taken(out: Path) -> S2DEdgeError:
    return S2DEdgeError(f"{out} exists already; choose another --out, or remove it first")


def _key(folder: Path) -> Path:
    return Path(os.path.realpath(folder))
