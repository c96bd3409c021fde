"""Recordings behind http: what their tables and their end say is looked up where frames are missing."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io import capture_source
from s2d_edge.firmware_host.io.opening import open_source
from s2d_edge.firmware_host.io.remote_file import RemoteFile, remote_missing_end, remote_track_facts
from tests.mp4 import set_edits
from tests.pictures import write_video
from tests.servers import QuietHandler, serving

NOISE = list(np.random.default_rng(0).integers(0, 256, (40, 64, 96, 3), np.uint8))
USER = "Basic " + base64.b64encode(b"me:s/3#cret").decode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address of a server that sends parts of files, to one user; under ``/whole`` it sends no parts."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] != USER:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
                return
            content = (tmp_path / Path(self.path).name).read_bytes()
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if found is None or self.path.startswith("/whole"):
                self.send_response(200)
            else:
                begin, end = int(found[1]), int(found[2] or len(content) - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
                content = content[begin : end + 1]
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler, "me:s%2F3%23cret@") as address:
        yield address


def test_a_trimmed_recording_behind_http_is_complete(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_source, "RECONNECT_AFTER_S", (0.01,))
    set_edits(write_video(tmp_path / "trimmed.mp4", NOISE, code="mp4v"), [(1.0, 1.0)])  # 20 a second
    frames = list(open_source(f"{served}/trimmed.mp4").frames())
    assert [frame.index for frame in frames] == list(range(20))


def test_a_recording_behind_http_that_is_cut_short_is_not_complete(served: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", NOISE, code="mp4v")
    whole = path.read_bytes()
    assert len(list(open_source(f"{served}/a.ts").frames())) == len(NOISE)
    path.write_bytes(whole[: len(whole) // 2 | 1])
    came = 0
    with pytest.raises(MediaError, match=r"a\.ts.* of 188 bytes") as caught:
        for _ in open_source(f"{served}/a.ts").frames():
            came += 1
    assert 0 < came < len(NOISE)
    assert "cret" not in str(caught.value)


def test_parts_of_a_file_are_read(served: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(100)))
    file = RemoteFile(f"{served}/a.bin")
    assert file.size == 100
    assert file.read(3) == bytes([0, 1, 2])
    assert file.seek(-2, 2) == 98
    assert file.read() == bytes([98, 99])
    assert file.read(5) == b""


def test_a_server_that_sends_no_parts_tells_nothing(served: str, tmp_path: Path) -> None:
    set_edits(write_video(tmp_path / "a.mp4", NOISE[:4], code="mp4v"), [(0.1, 0.1)])
    assert remote_track_facts(f"{served}/a.mp4").shown == pytest.approx(0.5)
    for address in (
        f"{served}/whole/a.mp4",
        served.replace("cret", "cret2") + "/a.mp4",
        "http://127.0.0.1:9",
    ):
        assert remote_track_facts(address).shown == 1.0
        assert remote_missing_end(address) == ""
