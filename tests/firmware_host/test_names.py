"""Any file name that a disk allows: not UTF-8, brackets, colons, line ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.opening import open_source
from s2d_edge.firmware_host.io.timed_video import GridVideo
from s2d_edge.media.video import probe_video, read_video
from tests.firmware_host.live import RED, play
from tests.pictures import with_square, write_video
from tests.processes import environment

NAMES = [
    b"clip\xff.mp4",
    b"Talk [x9].mp4",
    b"a[red].mp4",
    b":smile:.mp4",
    b"a\nb.mp4",
    b"http:x.mp4",
    b"%d.mp4",
    b"-.mp4",
    "Müller €.mp4".encode(),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_live_run_reads_and_writes_it(name: bytes, bundle: Bundle, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [with_square(RED)] * 12, fps=10, code="mp4v")
    folder = tmp_path / os.fsdecode(b"folder " + name)
    folder.mkdir()
    source = clip.rename(folder / os.fsdecode(name))
    out, results = folder / f"out {source.name}", folder / f"{source.name}.jsonl"
    summary = play(bundle, open_source(source), save=out, json=str(results))
    assert summary.exit_code == 0
    assert len(results.read_text().splitlines()) == summary.counts.results > 0
    assert len(list(read_video(out))) == probe_video(source).frames == 12
    if name == NAMES[0]:
        with pytest.raises(MediaError, match="UTF-8"):
            GridVideo(out, (64, 64), fps=10)


@pytest.mark.slow(seconds=4)
def test_predict_names_it_in_every_output(tmp_path: Path) -> None:
    paths = [os.fsdecode(name) for name in NAMES[:5]]
    clip = write_video(tmp_path / "clip.mp4", [with_square(RED)] * 12, fps=10, code="mp4v")
    for path in paths:
        (tmp_path / path).write_bytes(clip.read_bytes())
    for destination in ("-", "out.json"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "s2d_edge",
                "predict",
                "starter",
                *paths,
                "--no-crop",
                "--json",
                destination,
            ],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            env=environment(COLUMNS="200"),
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        text = done.stdout if destination == "-" else (tmp_path / destination).read_bytes()
        assert [each["path"] for each in json.loads(text)["results"]] == paths
        for shown in (b"clip\\udcff.mp4", b"[x9]", b"a[red].mp4", b":smile:"):
            assert shown in done.stderr
