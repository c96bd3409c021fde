"""Manifests, run files, reports, settings and graphs with all that goes wrong with them, by the thousand.

python -m tests.contracts.mutations 20000
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console as RichConsole

from s2d_edge.calibrate.report.render import as_markdown, as_table
from s2d_edge.calibrate.report.report_file import REPORT, as_json, read_report
from s2d_edge.calibrate.report.scope import not_measured
from s2d_edge.calibrate.report.verdict import judge
from s2d_edge.contracts.bundle import MANIFEST, find_bundles, open_bundle, read_manifest, seal
from s2d_edge.contracts.runs import RUN_FILE, find_runs, newest_run, read_run, write_run_info
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, S2DEdgeError
from s2d_edge.deploy.ovms import write_ovms
from s2d_edge.firmware_host.engines import fit_of
from s2d_edge.lint.check import bundle_rules, find_violations
from s2d_edge.train.plan.overrides import flatten, read_config, with_changes
from s2d_edge.train.plan.plan import plan_from_record
from s2d_edge.train.plan.settings import TrainSettings
from tests.calibrate.reports import gate_of, report_of, trial_of
from tests.contracts.test_runs import write_run
from tests.firmware_host.graphs import make_bundle
from tests.hostile import mutated, places
from tests.train.plans import make_plan
from tests.train.test_hostile import as_toml

QUIET = Console(quiet=True)
QUIET.rich = RichConsole(file=io.StringIO())  # which hears of every file that is skipped

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 2**31, 2**63, -(2**70), 10**400, 0.5, -0.0, 1e308, 1e-308),
    *(float("nan"), float("inf"), -float("inf")),
    *("", " ", "a", "\0", "a\nb", "../../../x", "/", "..", "a/b", "C:\\x", "\ud800", "\ufeff", "x" * 70_000),
    *("model.onnx", "model.xml", "jetson", "intel-cpu", "int8", "fp32", "stream", "window", "uint8", "video"),
    *([], {}, [[]], {"": {}}, [0], [0, 0], ["a", "a"], {"a": 1}, [None] * 3, [1, 4, 48, 48, 3]),
)
ODD = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b'"',
    b"{",
    b"]",
    b"[" * 2000,
    b'{"a":' * 300,
    b"9" * 5000,
    b"\xef\xbb\xbf",
)
NUMBERS = (b"1e999", b"-1", b"0x1", b"1_0", b"nan", b"1979-05-27", b"'''", b"[[a]]", b"a.b.c = 1\n" * 50)

Use = Callable[[Path], object]


def _changed(rng: random.Random, tree: Any) -> Any:
    """Return a JSON tree with a value replaced, left out, repeated, or put in another's place."""
    path = rng.choice(list(places(tree)))
    change = rng.randrange(4)
    if change == 0 or not path:
        return mutated(tree, path, rng.choice(VALUES))
    if change == 1:
        other: Any = tree
        for key in rng.choice(list(places(tree))):
            other = other[key]
        return mutated(tree, path, other)
    copy = parent = json.loads(json.dumps(tree))
    for key in path[:-1]:
        parent = parent[key]
    if isinstance(parent, list):
        parent.insert(path[-1], parent[path[-1]]) if change == 2 else parent.pop(path[-1])
    elif change == 2:
        parent[rng.choice(("extra", "", "name", path[-1]))] = rng.choice(VALUES)
    else:
        del parent[path[-1]]
    return copy


def _damaged(rng: random.Random, content: bytes) -> bytes:
    """Return bytes cut, with some replaced, doubled, put in, or in another encoding."""
    place, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return rng.choice(
        (
            lambda: content[:place],
            lambda: content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
            lambda: content[:place] + content[end:],
            lambda: content[:end] + content[place:],
            lambda: content[:place] + rng.choice(ODD + NUMBERS) + content[end:],
            lambda: content[:place] + rng.choice(ODD + NUMBERS) + content[place:],
            lambda: content.decode("latin-1").encode(rng.choice(("utf-16", "utf-8-sig"))),
        )
    )()


def mutation(rng: random.Random, whole: bytes) -> bytes:
    """Return a file's bytes with one to three changes; JSON is mostly changed as a tree."""
    content = whole
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = None
        with suppress(ValueError, RecursionError):
            tree = json.loads(content)
        if isinstance(tree, dict | list) and rng.random() < 0.66:
            with suppress(RecursionError, ValueError):
                content = json.dumps(_changed(rng, tree)).encode()
        else:
            content = _damaged(rng, content)
    return content


def use_manifest(folder: Path) -> None:
    """Do with a bundle what choosing, opening, linting and deploying it do; nothing may lead out."""
    find_bundles(folder.parent, QUIET)
    bundle = open_bundle(folder)
    manifest = bundle.manifest
    _ = manifest.spec, manifest.rings, manifest.state_bytes, bundle.size_bytes, bundle.graph_sha256
    fit_of(manifest, "cpu")
    find_violations(bundle.graph_path, bundle_rules(manifest))
    if manifest.graph == "model.xml" and manifest.target in ("cpu", "intel-cpu"):
        out = folder.parent.parent / "deployed" / "inner"
        out.mkdir(parents=True)
        try:
            write_ovms(bundle, out, "/models", "key")
            made = {path.relative_to(out.parent).parts[0] for path in out.parent.rglob("*")}
            if made != {"inner"}:
                raise ValueError(f"written outside: {made}")
        finally:
            shutil.rmtree(out.parent)


def use_run(folder: Path) -> None:
    """Do with a run what choosing, exporting and resuming it do before they load weights."""
    find_runs(folder.parent, "video", QUIET)
    info = read_run(folder)
    with suppress(ConfigError):  # an adapter that does not fit this width
        _ = info.model.as_video(8).bottleneck
    before = (folder / RUN_FILE).read_bytes()
    write_run_info(folder, info)
    if asdict(read_run(folder)) != asdict(info) and "nan" not in repr(info):
        raise ValueError("a run is not read as it was written")
    (folder / RUN_FILE).write_bytes(before)
    plan_from_record(info.settings, folder)
    newest_run(folder.parent, console=QUIET)


def use_report(folder: Path) -> None:
    """Do with a report what ``report`` and ``compare`` do."""
    report, verdict, payload = read_report(folder)
    json.dumps(payload, allow_nan=False)
    judge(report)
    as_markdown(report, verdict)
    as_table(report)
    not_measured(report)


def use_settings(folder: Path) -> None:
    """Do with ``mine.toml`` what ``train --config`` does."""
    with_changes(TrainSettings(), read_config(folder / "mine.toml"), "mine.toml")


def use_graph(folder: Path) -> None:
    """Lint a graph whose bundle's hashes are mended."""
    seal(folder, read_manifest(folder))
    bundle = open_bundle(folder)
    find_violations(bundle.graph_path, bundle_rules(bundle.manifest))


def originals(folder: Path) -> dict[str, tuple[Path, Use]]:
    """Write a sound file of each kind, and name what is done with its folder."""
    bundle = make_bundle(folder / "bundles" / "bundle").path
    graph = make_bundle(folder / "graphs" / "graph", graph="model.onnx").path
    (folder / "runs").mkdir()
    run_folder = write_run(folder / "runs" / "run")
    plan = make_plan(stages=("video",), temporal="causal")
    write_run_info(run_folder, replace(read_run(run_folder), settings=plan.as_record()))
    written = folder / "report"
    written.mkdir()
    truth = np.tile([0, 1, 2], 40)
    report = replace(report_of(truth, truth, truth), gate=gate_of(trial_of(truth, truth, truth, passed=True)))
    (written / REPORT).write_text(json.dumps(as_json(report, judge(report))))
    settings = folder / "settings"
    settings.mkdir()
    (settings / "mine.toml").write_text(as_toml(flatten(TrainSettings())))
    return {
        "manifest": (bundle / MANIFEST, use_manifest),
        "run": (run_folder / RUN_FILE, use_run),
        "report": (written / REPORT, use_report),
        "settings": (settings / "mine.toml", use_settings),
        "graph": (graph / "model.onnx", use_graph),
    }


def run(count: int, originals: Mapping[str, tuple[Path, Use]], first: int = 0) -> dict[str, Counter[str]]:
    """Use ``count`` mutations of each original; returns how often each ending came, by the original's name.

    Args:
        originals: by name a file to change, restored at the end, and what is done with its folder.
        first: seed of the first.

    Raises:
        Exception: what one ended in that is no error of ours; its seed is printed.
    """
    endings: dict[str, Counter[str]] = {name: Counter() for name in originals}
    for name, (file, use) in originals.items():
        whole = file.read_bytes()
        try:
            for seed in range(first, first + count):
                content = mutation(random.Random(seed), whole)  # noqa: S311 - nothing is secret
                file.write_bytes(content)
                try:
                    use(file.parent)
                    endings[name]["used"] += 1
                except S2DEdgeError as error:
                    endings[name][type(error).__name__] += 1
                    if file.name not in str(error) and file.parent.name not in str(error):
                        raise ValueError(f"an error that names no file: {error}") from error
                except Exception:
                    print(f"{name}, seed {seed}: {content[:300]!r}")
                    raise
        finally:
            file.write_bytes(whole)
    return endings


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sound = originals(Path(scratch))
        print(run(int(sys.argv[1]) // len(sound), sound))
