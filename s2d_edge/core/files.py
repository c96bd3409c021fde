"""Write files and folders so that nothing half-written can be taken for whole."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path

from s2d_edge.core import claims
from s2d_edge.core.disk import naming
from s2d_edge.core.errors import ConfigError
from s2d_edge.core.scratch import in_use, scratch_name, temporary_folder

_LONGEST_START = 200  # bytes of a scratch file's name that are the file's own
_MOST_SYNCED = 64
_OPEN_FILES = re.compile(r"/dev|/dev/fd|/proc/(self|\d+)/fd")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folders_with(root: Path, name: str) -> list[Path]:
    """The folders directly under ``root`` that hold a file of this name, sorted; hidden ones are left out."""
    holding = (file.parent for file in root.glob(f"*/{name}"))
    return sorted(folder for folder in holding if not folder.name.startswith("."))


@contextmanager
def whole_folder(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a scratch folder that becomes ``path`` only if the block ends without an error.

    A ``path`` that was there before is replaced at the very end, so a failed second run leaves the first
    intact. One that another process made meanwhile is left alone.

    Args:
        shared: every process that writes ``path`` writes the same, so the first one's folder is kept.

    Raises:
        FileExistsError: another process wrote ``path`` meanwhile, and it is not shared.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    _make_folder(target.parent)
    replaces = target.exists() and not claims.is_ours(target)
    scratch = _new_name(target, "")
    with naming(path, scratch):
        scratch.mkdir()
    try:
        with naming(path, scratch), in_use(scratch):
            yield scratch
            _sync_folder(scratch)
        if replaces:
            retired = _new_name(target, ".old")
            retired.mkdir()
            target.replace(retired / "old")
            try:
                scratch.replace(target)
            except OSError:
                (retired / "old").replace(target)
                raise
            finally:
                shutil.rmtree(retired, ignore_errors=True)
        else:
            _take_name(scratch, target, shared)
        _sync(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        claims.release(target)


def _take_name(scratch: Path, target: Path, shared: bool) -> None:
    """Rename a finished folder to a name that was free, or claimed, when it was begun."""
    claims.unmark(target)
    try:
        scratch.replace(target)  # an empty folder, such as one that was claimed, is replaced
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        if not shared:
            raise FileExistsError(
                errno.EEXIST, "another command wrote it meanwhile; choose another --out", str(target)
            ) from None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a scratch path beside ``path`` that takes its name only if the block ends without an error.

    The scratch path keeps the suffix of ``path``, since writers choose their format by it. Where ``path`` is
    a link, the file it leads to is replaced; a pipe or a device is written at the end, and stays what it is.

    Raises:
        IsADirectoryError: ``path`` is a folder.
        OSError: the disk refuses.
    """
    if is_special(path):
        with temporary_folder() as folder:
            scratch = folder / f"content{path.suffix}"
            yield scratch
            with naming(path, scratch), scratch.open("rb") as content, path.open("ab") as out:
                shutil.copyfileobj(content, out)
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_dir():  # found out now, not after the work
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    _make_folder(target.parent)
    scratch = _new_name(target, target.suffix)
    # Its mode is the umask's, or that of the file it replaces. Some disks have no modes.
    with naming(path, scratch):
        os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        with naming(path, scratch):
            yield scratch
            _sync(scratch, must=True)
        if target.exists():
            with suppress(OSError):
                scratch.chmod(stat.S_IMODE(target.stat().st_mode))
        scratch.replace(target)
        _sync(target.parent)
    finally:
        scratch.unlink(missing_ok=True)


def require_writable(path: Path, option: str) -> None:
    """See, before the work, that :func:`whole_file` could write a file after it.

    Args:
        option: names the file in errors.

    Raises:
        ConfigError: it is a folder, or its folder is none, or cannot be written.
    """
    if is_special(path):
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ConfigError(f"{option} {str(path)!r} is a folder; give the name of a file")
    folder = next(parent for parent in target.parents if os.path.lexists(parent))
    if not folder.is_dir():
        raise ConfigError(f"{option} {path}: {folder} is no folder; give the file another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{option} {path}: the folder {folder} cannot be written; give the file another")


def is_special(path: Path) -> bool:
    """True for a pipe, a device, or an open file's name such as ``/dev/stdout``: written, never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return True
    return bool(_OPEN_FILES.fullmatch(os.path.realpath(path.parent)))


def is_utf8(path: Path) -> bool:
    """True if the bytes of a path are UTF-8, as some libraries expect; disks allow any others too."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _new_name(path: Path, suffix: str) -> Path:
    """A hidden name beside ``path`` that nothing has, for what is being written."""
    return path.with_name(scratch_name(_start_of(path)) + suffix)


def _start_of(path: Path) -> str:
    """The part of a scratch file's name that is its file's own, shortened since disks allow 255 bytes."""
    return os.fsdecode(os.fsencode(path.stem)[:_LONGEST_START])


def _sync(path: Path, *, must: bool = False) -> None:
    """Wait until a file or folder is on the disk; where a file system cannot, only with ``must`` an error."""
    with nullcontext() if must else suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Wait until a folder's files are on the disk; of drawn data with its thousands of files, for none."""
    files = list(islice((path for path in folder.rglob("*") if path.is_file()), _MOST_SYNCED + 1))
    if len(files) <= _MOST_SYNCED:
        for file in files:
            _sync(file, must=True)


def _make_folder(path: Path) -> None:
    """Make a folder unless it is there.

    Raises:
        NotADirectoryError: something else has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # which says the opposite of what is wrong
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def copy_files(source: Path, folder: Path) -> None:
    """Copy what a folder holds into another one: contents only, since some disks have no modes or times."""
    for path in sorted(source.rglob("*")):
        copy = folder / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, copy)


def clear_scratch(path: Path) -> None:
    """Remove what a killed :func:`whole_file` of ``path`` left behind. Nothing else may be writing it."""
    for scratch in path.parent.glob(f".{glob.escape(_start_of(path))}.*{glob.escape(path.suffix)}"):
        scratch.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as scratch:
        # A name that is not UTF-8, as disks allow, is written with escapes.
        scratch.write_text(text, encoding="utf-8", errors="backslashreplace")
