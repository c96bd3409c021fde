"""Find the bundle that is meant: by a starter's name, by a path, or by default.

This is the only place that decides it. Every verb and the Python API come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from s2d_edge import starter
from s2d_edge.contracts.bundle import (
    BUNDLES,
    MANIFEST,
    Bundle,
    Manifest,
    Precision,
    Target,
    find_bundles,
    open_bundle,
    warn_of_skipped,
)
from s2d_edge.contracts.runs import RUN_FILE
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import folders_with
from s2d_edge.firmware_host.engines import Fit, devices_text, fit_of, is_home, nvidia, require_device

# As the user wrote it. Only the texts "starter" and "starter-TARGET" are names; a Path is always a path.
BundleName = str | Path

STARTER = "starter"
STARTER_FOLDER = Path(starter.__path__[0])  # holds a bundle per target, in folders named after the targets
STARTER_CARD = "CARD.md"  # in that folder: what the model is and is not for

# Of the starter's bundles, best first. GPUs and NPUs must be requested: a small model needs none, and their
# drivers may compute wrong logits.
_STARTER_ORDER: tuple[Target, ...] = ("intel-cpu", "cpu", "jetson", "intel-gpu", "intel-npu")


def find_bundle(given: BundleName | None, device: str, console: Console, *, root: Path = BUNDLES) -> Bundle:
    """Open the bundle to run.

    Args:
        given: see :func:`resolve`. None takes the newest bundle under ``root`` that ``device`` can run, and
            where ``root`` holds no bundle, the starter; a message then says so.
        device: as ``--device`` gives it, ``auto`` included.

    Raises:
        ConfigError: no such device name.
        DeviceError: the device is not on this machine.
        BundleError: there is no bundle, a damaged one, or none that ``device`` can run.
    """
    if given is not None:
        return _open(resolve(given, device, console))
    require_device(device)
    if has_bundles(root) or not ships_starter():
        return newest_fitting(root, device, console)
    chosen = starter_for(device)
    console.say(
        f"no bundle under {root}/: taking {display_name(chosen)}, a small model that s2d-edge ships; what it "
        f"is and is not for: {STARTER_FOLDER / STARTER_CARD}"
    )
    return _open(chosen)


def find_bundles_to_run(
    given: Sequence[BundleName], device: str, console: Console, *, root: Path = BUNDLES
) -> list[Path]:
    """Return the folders of the bundles to time beside each other.

    Args:
        given: see :func:`resolve`. None given takes every sound bundle under ``root`` that ``device`` can
            run, and where ``root`` holds no bundle, the starter.

    Raises:
        DeviceError, BundleError: as :func:`find_bundle` does.
    """
    if given:
        return [resolve(each, device, console) for each in given]
    require_device(device)
    fitting = [path for path, manifest in find_bundles(root, console) if fit_of(manifest, device)]
    return all_sound(fitting, console) if fitting else [find_bundle(None, device, console, root=root).path]


def find_precision(
    given: BundleName | None,
    precision: Precision,
    console: Console,
    *,
    device: str | None = None,
    root: Path = BUNDLES,
) -> Bundle:
    """Open a bundle of one precision. A given bundle's precision is the caller's to check.

    Args:
        given: see :func:`resolve`. None takes the newest bundle of that precision under ``root``.
        device: what will run it, as ``--device`` gives it. None if it will not be run.

    Raises:
        ConfigError: no such device name.
        DeviceError: the device is not on this machine.
        BundleError: there is no such bundle, a damaged one, or none that ``device`` can run.
    """
    if given is not None:
        return _open(resolve(given, device, console))
    if device is not None:
        require_device(device)
    readable = find_bundles(root, console)
    found = [(path, manifest) for path, manifest in readable if manifest.precision == precision]
    if not found:
        verb = "export" if precision == "fp32" else "calibrate"
        raise BundleError(
            f"there is no {precision.upper()} bundle under {root}/ here; make one with 's2d-edge {verb}'"
        )
    fitting = [path for path, manifest in found if device is None or fit_of(manifest, device)]
    if not fitting:
        raise BundleError(_none_runs(found, device or "auto", f"{precision.upper()} bundle under {root}/"))
    return first_sound(fitting, console)


def resolve(given: BundleName, device: str | None, console: Console, *, graph: str | None = None) -> Path:
    """Return the folder that a name or a path stands for.

    ``starter`` is the shipped bundle that fits this machine best, ``starter-TARGET`` that for a target.
    ``./starter`` is a path. An installation that ships no starter has no names, only paths.

    Args:
        device: what will run it, as ``--device`` gives it. None if it will not be run here.
        graph: ``model.onnx`` or ``model.xml``: ``starter`` means a bundle with this graph.

    Raises:
        ConfigError: no such device name.
        DeviceError: ``starter`` was given, and the device is not on this machine.
        BundleError: no starter for that target, or none that ``device`` can run.
    """
    path = Path(given)
    if not _is_name(given) or not ships_starter():
        return path
    target = path.name.removeprefix(STARTER).removeprefix("-")
    if target and target not in get_args(Target):
        return path
    if path.is_dir():
        console.say(f"{path} names the model that s2d-edge ships; the folder here is ./{path}")
    if not target:
        if device is not None:
            require_device(device)
        return starter_for(device, graph=graph)
    if not (STARTER_FOLDER / target / MANIFEST).is_file():
        shipped = folders_with(STARTER_FOLDER, MANIFEST)
        raise BundleError(
            f"{path}: s2d-edge ships no {STARTER} for {target}; there is "
            f"{', '.join(display_name(each) for each in shipped)}"
        )
    return STARTER_FOLDER / target


def newest_fitting(root: Path, device: str, console: Console) -> Bundle:
    """Open the newest bundle under ``root`` that fits this machine, or its INT8 sibling.

    Bundles whose target device this machine has go before those that would fall back to the CPU. Among the
    bundles made from the run of the newest fitting one, in the same mode, an INT8 one is preferred.

    Args:
        console: names the bundles that are skipped since they cannot be read or are damaged.

    Raises:
        BundleError: no bundle under ``root``, only unreadable ones, or none that ``device`` can run.
    """
    found = _readable(root, console)
    if not found:
        raise BundleError(
            f"there is no bundle under {root}/; make one with 's2d-edge export' and 's2d-edge calibrate', "
            "or name one"
        )
    if not _best_fitting(found, device):
        raise BundleError(_none_runs(found, device, f"bundle under {root}/"))
    return first_sound(_by_preference(found, device), console)


def _by_preference(found: Sequence[tuple[Path, Manifest]], device: str) -> Iterator[Path]:
    """Yield the bundles that ``device`` can run, the one to take by default first."""
    left = list(found)
    while fitting := _best_fitting(left, device):
        newest = fitting[0][1]
        siblings = [
            entry
            for entry in fitting
            if entry[1].precision == "int8"
            and (entry[1].source_run, entry[1].mode) == (newest.source_run, newest.mode)
        ]
        chosen = (siblings or fitting)[0]
        yield chosen[0]
        left.remove(chosen)


def first_sound(paths: Iterable[Path], console: Console) -> Bundle:
    """Open the first bundle whose files are as its manifest records them; name the damaged ones before it.

    Args:
        paths: one at least.

    Raises:
        BundleError: all are damaged; the first one's.
    """
    return next(_sound(paths, console))


def all_sound(paths: Iterable[Path], console: Console) -> list[Path]:
    """Return the folders of those bundles whose files are as recorded; name the damaged ones.

    Raises:
        BundleError: all are damaged; the first one's.
    """
    return [bundle.path for bundle in _sound(paths, console)]


def _sound(paths: Iterable[Path], console: Console) -> Iterator[Bundle]:
    damaged: list[BundleError] = []
    any_sound = False
    for path in paths:
        try:
            bundle = open_bundle(path)
        except BundleError as error:
            damaged.append(error)
            continue
        while damaged:
            warn_of_skipped(damaged.pop(0), console)
        any_sound = True
        yield bundle
    if not any_sound and damaged:
        raise damaged[0]
    for each in damaged:
        warn_of_skipped(each, console)


def starter_for(device: str | None = "auto", *, graph: str | None = None) -> Path:
    """Return the starter's bundle that fits this machine best.

    That is the CPU's; on a Jetson, or where OpenVINO is not installed, the Jetson's. A requested device takes
    the bundle made for it, else one that its runtime can run there.

    Args:
        device: as ``--device`` gives it. None if the bundle will not be run here.
        graph: only bundles with this graph, ``model.onnx`` or ``model.xml``.

    Raises:
        BundleError: none is shipped, only unreadable ones, or none that ``device`` can run.
    """
    shipped = _readable(STARTER_FOLDER, None)
    found = [(path, manifest) for path, manifest in shipped if graph in (None, manifest.graph)]
    if not found:
        kind = f"starter model with {graph}" if graph else "starter model"
        raise BundleError(f"this installation of s2d-edge ships no {kind}; name a bundle of your own")
    wanted = device or "auto"
    fitting = _best_fitting(found, wanted)
    if not fitting and device is not None:
        raise BundleError(_none_runs(found, wanted, f"bundle of the {STARTER}"))
    jetson_first = bool(nvidia.jetson_linux())

    def rank(entry: tuple[Path, Manifest]) -> tuple[bool, bool, int]:
        target = entry[1].target
        return (
            not is_home(target, wanted),
            not (jetson_first and target == "jetson"),
            _STARTER_ORDER.index(target),
        )

    return min(fitting or found, key=rank)[0]


def display_name(bundle: Path) -> str:
    """Return what to call a bundle's folder: its own name, or the name of a shipped bundle."""
    return f"{STARTER}-{bundle.name}" if bundle.parent == STARTER_FOLDER else bundle.name


def ships_starter() -> bool:
    """Return whether this installation holds a bundle of the starter."""
    return has_bundles(STARTER_FOLDER)


def has_bundles(root: Path) -> bool:
    """Return whether a bundle lies directly under ``root``, readable or not."""
    return bool(folders_with(root, MANIFEST))


def _open(path: Path) -> Bundle:
    """Open the bundle in a folder.

    Raises:
        BundleError: what :func:`open_bundle` raises, or the folder is a run's.
    """
    if not (path / MANIFEST).is_file() and (path / RUN_FILE).is_file():
        raise BundleError(
            f"{path} is a run folder, where a bundle is needed; make one with 's2d-edge export {path}'"
        )
    return open_bundle(path)


def _is_name(given: BundleName) -> bool:
    return isinstance(given, str) and (
        given == STARTER or (given == Path(given).name and given.startswith(f"{STARTER}-"))
    )


def _readable(root: Path, console: Console | None) -> list[tuple[Path, Manifest]]:
    """Return the bundles under ``root``, newest first; if none can be read, raise the first one's error."""
    found = find_bundles(root, console)
    if not found:
        for path in folders_with(root, MANIFEST):
            open_bundle(path)
    return found


def _best_fitting(found: Sequence[tuple[Path, Manifest]], device: str) -> list[tuple[Path, Manifest]]:
    """Return those of ``found`` that fit this machine best, in the same order; none if none can run."""
    fits = [(fit_of(manifest, device), path, manifest) for path, manifest in found]
    best = max((fit for fit, _, _ in fits), default=Fit.NOT_AT_ALL)
    return [(path, manifest) for fit, path, manifest in fits if fit is best and fit is not Fit.NOT_AT_ALL]


def _none_runs(found: Sequence[tuple[Path, Manifest]], device: str, what: str) -> str:
    kinds = ", ".join(sorted({f"{manifest.target} ({manifest.graph})" for _, manifest in found}))
    return (
        f"no {what} runs on this machine with --device {device}: they are for {kinds}, and their runtimes "
        f"have {devices_text([manifest for _, manifest in found])} here; choose another device, export for "
        "another target, or install the runtime"
    )
