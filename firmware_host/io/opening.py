"""Opening a source by its number, path or URL."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.core.addresses import redact, with_quoted_user
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.core.files import is_utf8
from s2d_edge.firmware_host.io.capture_source import CaptureSource
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.io.opencv_capture import OpenCVCapture
from s2d_edge.firmware_host.io.source import Source

URL_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "tcp", "srt")


def open_source(source: int | str | Path | Source) -> Source:
    """Open a camera by its number, a video file or device file by its path, or a stream by its URL.

    Args:
        source: what to open; an opened source is returned as it is.

    Raises:
        ConfigError: no source, an unknown kind of URL, or a negative number.
        MediaError: it cannot be opened.
    """
    if source is None or isinstance(source, bool):
        raise ConfigError(f"source {source}: give a camera's number, a video file or a URL")
    if isinstance(source, int):
        return open_camera(source)
    if isinstance(source, str | Path):
        return _open_address(str(source))
    return source


def open_camera(index: int) -> CaptureSource:
    """Open camera number ``index``.

    Raises:
        ConfigError: a negative number.
        MediaError: there is no such camera, or it is in use.
    """
    if index < 0:
        raise ConfigError(f"camera {index} must be 0 or more")
    name = f"camera {index}"
    return CaptureSource(name, lambda: OpenCVCapture(index, name))


def _open_address(text: str) -> Source:
    if not is_utf8(Path(text)) and not Path(text).is_file():
        raise ConfigError(f"source {redact(text)!r} is no file, and no address, which would be UTF-8")
    scheme = text.split("://", 1)[0].lower() if "://" in text else ""
    if scheme in URL_SCHEMES:
        name = redact(text)
        address = with_quoted_user(text)
        return CaptureSource(name, lambda: OpenCVCapture(address, name))
    if scheme == "file":
        return FileSource(Path(text[len("file://") :]))
    if scheme:
        raise ConfigError(
            f"source {redact(text)}: {scheme}:// is unknown; give a video file or a URL that starts with "
            f"{', '.join(URL_SCHEMES)}"
        )
    if text.startswith("/dev/"):
        return CaptureSource(text, lambda: OpenCVCapture(text, text))
    if text.isdecimal() and not Path(text).exists():
        raise MediaError(
            f"there is no file {text}; for camera number {text} give --camera {text}, in Python an int"
        )
    if "@" in text and not Path(text).exists():
        raise MediaError(
            f"there is no file {redact(text)}; the address of a stream starts with one of "
            f"{', '.join(f'{known}://' for known in URL_SCHEMES)}"
        )
    return FileSource(Path(text))
