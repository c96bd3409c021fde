"""Finding the model that is meant, and opening it: a bundle on a device, or a run folder in PyTorch."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.contracts.bundle import BUNDLES, MANIFEST, Bundle, find_bundles, open_bundle, read_manifest
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.engine import Engine
from s2d_edge.contracts.runs import RUN_FILE, RUNS, find_runs, newest_run, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, S2DEdgeError
from s2d_edge.core.files import sha256_of
from s2d_edge.firmware_host.bundles import BundleName, find_bundle, resolve
from s2d_edge.firmware_host.engines import open_engine


def choose_model(given: BundleName | None, device: str, console: Console) -> Path | Bundle:
    """Return the model that is meant: a bundle's or a run's folder, or a bundle that was opened to choose it.

    Args:
        given: a bundle, a run, or a name of the starter. None takes the newest bundle that ``device`` can
            run; where there is no bundle, the newest run; where there is neither, the starter.
        device: as ``--device`` gives it.

    Raises:
        S2DEdgeError: there is none, none that ``device`` can run, or no such device on this machine.
    """
    if given is not None:
        return resolve(given, device, console)
    if find_runs(RUNS) and not find_bundles(BUNDLES):
        find_bundles(BUNDLES, console)  # names those that cannot be read
        return newest_run(RUNS, console=console)  # PyTorch has devices of its own
    return find_bundle(None, device, console)


def identify_model(path: Path) -> dict[str, str]:
    """Identify the model in a bundle or run folder by its content, whatever the folder is called.

    Returns:
        ``name``, and ``sha256``: of a bundle's manifest, which holds the hash of every other file, or of a
        run's weights.

    Raises:
        S2DEdgeError: neither a bundle nor a run.
    """
    if (path / MANIFEST).is_file():
        return {"name": read_manifest(path).name, "sha256": sha256_of(path / MANIFEST)}
    run = read_run(path)
    return {"name": run.name, "sha256": run.weights_sha256}


def open_engine_of(
    model: Path | Bundle, device: str = "auto", *, threads: int | None = None
) -> tuple[Engine, CropRecipe, Bundle | None]:
    """Open a bundle or a run folder on a device.

    Args:
        model: the folder, or the opened bundle.
        device: ``auto``, ``cpu``, ``gpu``, ``npu``, ``cuda`` or ``tensorrt``; a run folder knows ``auto``,
            ``cpu`` and ``cuda``.
        threads: limit of CPU threads.

    Returns:
        The engine, the face crop that its clips need, and the bundle, None for a run.

    Raises:
        ConfigError: ``threads`` is not positive.
        S2DEdgeError: neither a bundle nor a run, damaged, or the device is missing.
    """
    if threads is not None and (isinstance(threads, bool) or threads < 1):
        raise ConfigError(f"threads={threads} must be a whole number of at least 1; None takes every core")
    if isinstance(model, Bundle):
        return open_engine(model, device, threads=threads, keep=True), model.manifest.crop, model
    path = model
    if (path / MANIFEST).is_file():
        return open_engine_of(open_bundle(path), device, threads=threads)
    if (path / RUN_FILE).is_file():
        from s2d_edge.model.engine import open_run  # needs PyTorch, which a device does not have

        return open_run(path, device, threads=threads), read_run(path).crop, None
    what = "does not exist" if not path.exists() else f"holds neither {MANIFEST} nor {RUN_FILE}"
    raise S2DEdgeError(
        f"{path} {what}; give a bundle written by 's2d-edge export' or a run written by 's2d-edge train'"
    )
