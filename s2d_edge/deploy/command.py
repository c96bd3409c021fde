"""``deploy``: write a bundle as the model repository of a server.

A repository holds a copy of the graph. No bundle carries one; it is made where it is wanted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from s2d_edge.contracts.bundle import BUILD_SCRIPT, MANIFEST, Bundle, EngineIdentity, Manifest, open_bundle
from s2d_edge.core.claims import choose_output, releases_claims
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, MissingExtraError
from s2d_edge.core.files import whole_folder
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.deploy.ovms import DEVICES, write_ovms
from s2d_edge.deploy.triton import write_triton
from s2d_edge.firmware_host.bundles import BundleName, resolve
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.caches import compiled_key
from s2d_edge.firmware_host.engines.plans import NoPlanError, find_plan

Server = Literal["triton", "ovms"]
_FORMATS: dict[Server, str] = {"triton": "model.onnx", "ovms": "model.xml"}


@releases_claims
def deploy_bundle(
    bundle: BundleName, *, to: str, out: Path | None = None, root: str = "/models", console: Console
) -> Path:
    """Write a bundle as the model repository of a server.

    Args:
        bundle: what export or calibrate wrote, or a name of the starter; ``starter`` is the shipped bundle
            whose graph the server takes.
        to: the server, ``triton`` or ``ovms``.
        out: the folder to write; None is ``deploy/NAME-SERVER``.
        root: where the server will see that folder, such as a container's mount point.
        console: reports what to do next.

    Returns:
        The repository's folder.

    Raises:
        ConfigError: an unknown server, a relative root, or a bundle that holds a graph of another format.
        S2DEdgeError: a damaged bundle, a graph that the server's runtime refuses, or a folder that exists
            already.
    """
    server = _parse_server(to)
    if not root.startswith("/"):
        raise ConfigError(f"--root {root!r} is no absolute path; give the server's own path")
    opened = open_bundle(resolve(bundle, None, console, graph=_FORMATS[server]))
    manifest = opened.manifest
    if manifest.graph != _FORMATS[server]:
        other = "ovms" if server == "triton" else "triton"
        raise ConfigError(
            f"--to {server} takes bundles with {_FORMATS[server]}, {opened.path} holds {manifest.graph}; "
            f"use --to {other}, or export the run for another target"
        )
    with suppress(MissingExtraError), open_engine(opened, "cpu"):
        pass  # a server would refuse the graphs that this refuses
    out = choose_output(out, Path("deploy") / f"{manifest.name}-{server}")
    root = root.rstrip("/")
    write, lines = (_triton if server == "triton" else _ovms)(opened, root, out, console)
    with whole_folder(out) as scratch:
        write(scratch)
        (scratch / "cache").mkdir()
        shutil.copyfile(opened.path / MANIFEST, scratch / MANIFEST)  # for clients
    console.say(f"wrote {out}; {server} was not run. Next:")
    for line in lines:
        console.say(f"  {line}")
    return out


def _parse_server(name: str) -> Server:
    for server in get_args(Server):
        if name == server:
            found: Server = server
            return found
    raise ConfigError(f"--to {name!r} is unknown; choose one of {', '.join(get_args(Server))}")


_Plan = tuple[Callable[[Path], None], list[str]]  # writes a repository; the commands to run then


def _triton(bundle: Bundle, root: str, out: Path, console: Console) -> _Plan:
    manifest = bundle.manifest
    plan = None
    repository = "onnxruntime"
    lines = []
    if manifest.target == "jetson":
        place = f"{out}/tensorrt/{manifest.name}/1/model.plan"
        try:
            plan = find_plan(manifest)
            plan.read()
            repository = "tensorrt"
        except NoPlanError as error:
            console.say(f"{place} is left empty: {error}")
            lines = [f"for TensorRT: sh {bundle.path}/{BUILD_SCRIPT} where it will serve, then deploy again"]
    run = f"tritonserver --model-repository={root}/{repository}  (with {out.absolute()} as {root or '/'})"
    cache = compiled_key(manifest, EngineIdentity(runtime="Triton", device="tensorrt", name=""))
    path = plan.path if plan is not None else None
    return lambda folder: write_triton(bundle, folder, root, cache, path), [run, *lines]


def _ovms(bundle: Bundle, root: str, out: Path, _: Console) -> _Plan:
    run = f"ovms --port 9000 --config_path {root}/config.json  (with {out.absolute()} as {root or '/'})"
    key = compiled_key(bundle.manifest, _openvino_identity(bundle.manifest))
    return lambda folder: write_ovms(bundle, folder, root, key), [run]


def _openvino_identity(manifest: Manifest) -> EngineIdentity:
    """Return the identity of the bundle's device on this machine; the server's may differ."""
    import openvino

    from s2d_edge.firmware_host.engines import openvino_engine

    device: Literal["cpu", "gpu", "npu"] = {"NPU": "npu", "GPU": "gpu"}.get(DEVICES[manifest.target], "cpu")  # type: ignore[assignment]
    try:
        return openvino_engine.identity_of(openvino_core(), device)
    except RuntimeError:
        return EngineIdentity(runtime=f"OpenVINO {openvino.__version__}", device=device, name="")
