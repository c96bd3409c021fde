"""Run a bundle's self-tests before a device gives its first live result, and remember that they passed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import MANIFEST, Bundle, EngineIdentity
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.console import Console
from s2d_edge.core.files import sha256_of, write_text
from s2d_edge.firmware_host.engines.base import GraphEngine
from s2d_edge.firmware_host.engines.face_runtime import FaceRuntime
from s2d_edge.firmware_host.selftest.agreement import LIMITS
from s2d_edge.firmware_host.selftest.faces import MEAN_LIMIT, P99_LIMIT, face_self_test
from s2d_edge.firmware_host.selftest.selftest import self_test


def require_trust(bundle: Bundle, engine: GraphEngine, console: Console, *, skip: bool = False) -> None:
    """Require that an engine passes its bundle's self-test, once for each bundle, device, driver and runtime.

    The engine that computed the reference logits needs no test. A bundle of an older format has none: then a
    warning says so, except for a CPU.

    Args:
        skip: use it without a test, with a warning.

    Raises:
        SelfTestError: it failed; the message has the figures, and what to do.
        DeviceError: what the engine raises.
    """
    record, identity = bundle.manifest.self_test, engine.identity
    if record is not None and identity == record.engine:
        return
    if skip:
        _warn_untested(bundle, identity, console)
        return
    if record is None:
        if identity.device != "cpu":
            console.warn(
                f"{bundle.path} was made before bundles carried a self-test, so {identity} cannot be "
                "tested with it; make it again with 's2d-edge export' and 's2d-edge calibrate'"
            )
        return
    passed = _note_of(bundle, identity, LIMITS[engine.arithmetic])
    if passed.is_file():
        return
    console.say(f"first time on {identity}: running the bundle's self-test of {record.answers} predictions")
    report = self_test(bundle, engine)
    report.require()
    _remember(passed, report.as_json(), console)


def require_face_trust(bundle: Bundle, runtime: FaceRuntime, console: Console, *, skip: bool = False) -> None:
    """Require that a device finds the drawn faces of its bundle's face pack, as :func:`require_trust` does.

    Raises:
        SelfTestError: it finds them elsewhere; the message has the figures, and what to do.
        DeviceError: the device refuses the pack, or fails.
    """
    face, identity = bundle.manifest.face, runtime.identity
    record = None if face is None else face.self_test
    if record is None or identity == record.engine:
        return
    if skip:
        _warn_untested(bundle, identity, console)
        return
    passed = _note_of(bundle, identity, ("faces", MEAN_LIMIT, P99_LIMIT))
    if passed.is_file():
        return
    console.say(f"first time on {identity}: searching the {record.faces} drawn faces of the bundle")
    report = face_self_test(bundle, record, runtime)
    report.require()
    _remember(passed, report.as_json(), console)


def _warn_untested(bundle: Bundle, identity: EngineIdentity, console: Console) -> None:
    console.warn(
        f"--skip-selftest: {identity} was never tested with {bundle.path}; do not rely on its "
        f"predictions, or test it with 's2d-edge selftest {bundle.path}'"
    )


def _remember(passed: Path, report: dict[str, Any], console: Console) -> None:
    try:
        write_text(passed, json.dumps(report, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        console.warn(f"the passed self-test cannot be remembered, so it runs again next time ({error})")


def _note_of(bundle: Bundle, identity: EngineIdentity, limits: object) -> Path:
    """Return the file that records a pass; the manifest's hash stands for every other file's."""
    who = f"{sha256_of(bundle.path / MANIFEST)} {identity.model_dump_json()} {limits}"
    return cache_folder() / "selftest" / f"{hashlib.sha256(who.encode()).hexdigest()[:32]}.json"
