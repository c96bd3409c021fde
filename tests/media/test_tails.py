"""Videos that were cut short are errors where their containers promise no number of frames either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2d_edge.core.errors import MediaError
from s2d_edge.media.tails import missing_end
from s2d_edge.media.video import read_video
from tests.pictures import write_video

NOISE = list(np.random.default_rng(0).integers(0, 256, (24, 64, 96, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.ts", "mp4v"),
        ("a.m2ts", "MPG2"),
        ("a.mpg", "MPG1"),
        ("a.mpeg", "MPG2"),
        ("a.vob", "MPG2"),
        ("a.wmv", "WMV2"),
        ("a.asf", "WMV2"),
        ("a.mjpeg", "MJPG"),
    ],
)
def test_a_video_that_is_cut_short_is_an_error_and_a_whole_one_is_none(
    tmp_path: Path, name: str, code: str
) -> None:
    path = write_video(tmp_path / name, NOISE, code=code)
    assert len(list(read_video(path))) == len(NOISE)
    whole = path.read_bytes()
    for share in (0.4, 0.9):
        path.write_bytes(whole[: int(share * len(whole)) | 1])  # no packet has an odd number of bytes
        came = 0
        with pytest.raises(MediaError, match=name):
            for _ in read_video(path):
                came += 1
        assert 0 < came < len(NOISE)


@pytest.mark.parametrize("padding", [b"", bytes(1000), b"\0\0\1\xb9"])
def test_padding_and_an_end_code_are_no_fault(tmp_path: Path, padding: bytes) -> None:
    path = write_video(tmp_path / "a.mpg", NOISE[:4], code="MPG2")
    path.write_bytes(path.read_bytes() + padding)
    assert missing_end(path) == ""
    rest = bytes(100 if padding else 0)
    stream = write_video(tmp_path / "a.ts", NOISE[:4], code="mp4v")
    stream.write_bytes(stream.read_bytes() + rest)
    assert missing_end(stream) == ""


def test_a_page_of_ogg_is_whole_or_not(tmp_path: Path) -> None:
    page = b"OggS" + bytes(22) + bytes([2, 255, 7]) + bytes(262)
    path = tmp_path / "a.ogv"
    path.write_bytes(3 * page)
    assert missing_end(path) == ""
    for kept in (1, 28, 200, len(page) - 1):
        path.write_bytes(2 * page + page[:kept])
        assert bool(missing_end(path)) is (kept >= 28), "the name of a page alone says nothing"


def test_broadcasts_and_other_files_promise_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.wmv", NOISE[:4], code="WMV2")
    data = bytearray(path.read_bytes())
    at = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    data[at + 88] |= 1
    path.write_bytes(data[: len(data) // 2])
    assert missing_end(path) == ""
    for content in (b"", b"\0\0\1\xba", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b"G" * 3, b"hello"):
        path.write_bytes(content)
        assert missing_end(path) == ""
    assert missing_end(tmp_path / "absent.ts") == ""
