"""Pictures turned as their tags say, whatever state the block around the tag is in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2d_edge.media.crop import Picture
from s2d_edge.media.pictures import read_image
from s2d_edge.media.upright import turn_upright
from tests.pictures import plain

CASES = Path(__file__).parents[2] / "../shared/cases"
ORIENTATION = 0x0112


def corners() -> Picture:
    """(16, 24, 3), changed by every turn and mirror."""
    picture = plain((30, 30, 30), 24, 16)
    picture[:8, :8] = (230, 30, 30)
    picture[:8, 16:] = (30, 230, 30)
    picture[8:, :8] = (30, 30, 230)
    return picture


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(tmp_path: Path, form: str, orientation: int) -> None:
    path = tmp_path / f"a.{form.lower()}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(corners()).save(path, form, exif=exif.tobytes(), quality=95)
    wanted = turn_upright(corners(), orientation)
    picture = read_image(path)
    assert picture.shape == wanted.shape
    assert np.abs(picture.astype(int) - wanted).mean() < 12


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(corners()).save(path, exif=exif.tobytes())
    assert np.array_equal(read_image(path), corners())


@pytest.mark.parametrize("name", ["exif-a.jpg", "exif-b.jpg"])
def test_a_wrong_byte_beside_the_tag_changes_nothing(name: str) -> None:
    assert read_image(CASES / name).shape == (24, 16, 3)  # stored as 16 high, 24 wide


def test_every_byte_of_the_block_may_be_wrong(tmp_path: Path) -> None:
    """The picture is always read, and turned wherever header, count and tag are sound."""
    path = tmp_path / "a.jpg"
    whole = (CASES / "exif-a.jpg").read_bytes()
    with Image.open(io.BytesIO(whole)) as image:
        length = len(image.info["exif"]) - 6
    begin = whole.index(b"MM\0*")
    entry = whole.index(b"\x01\x12\0\x03", begin)  # the tag, of type short
    decides = {*range(begin, begin + 10), *range(entry, entry + 12)}
    for at in range(begin, begin + length):
        for value in {0, 1, 127, 128, 255, whole[at] ^ 4} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            picture = read_image(path)
            if at not in decides:
                assert picture.shape == (24, 16, 3), (at - begin, value)


@pytest.mark.parametrize("keep", range(0, 60, 7))
def test_a_block_that_is_cut_short_is_no_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F] = "Maker" * 10
    Image.fromarray(corners()).save(path, exif=exif.tobytes()[:keep])
    assert read_image(path).shape in ((16, 24, 3), (24, 16, 3))


def tagged(kind: int, value: bytes) -> bytes:
    """An EXIF block with one tag, the orientation, of this type."""
    entry = b"\x12\x01" + bytes([kind, 0]) + b"\x01\0\0\0" + value.ljust(4, b"\0")
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)


@pytest.mark.parametrize("kind", [1, 3, 4, 6, 7, 8, 9])
def test_the_tag_in_every_type_of_integer(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(corners()).save(path, exif=tagged(kind, b"\6"))
    assert read_image(path).shape == (24, 16, 3)


@pytest.mark.parametrize("kind", [0, 2, 5, 10, 11, 12, 13, 99])
def test_the_tag_in_types_that_hold_no_integer(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(corners()).save(path, exif=tagged(kind, b"\6"))
    assert read_image(path).size == corners().size
