"""Read parts of a file behind http, to see what its tables and its end say."""

from __future__ import annotations

import base64
import io
import re
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

from s2d_edge.media.iso_boxes import TrackFacts, track_facts_in
from s2d_edge.media.tails import missing_end_in

_TIMEOUT_S = 10.0
_MOST_REQUESTS = 64  # for one file; a movie has some ten boxes


class RemoteFile(io.RawIOBase):
    """A file behind http, of which each read fetches what it asks for.

    Attributes:
        size: bytes of the whole file.
    """

    def __init__(self, address: str) -> None:
        """Ask the server for the first byte.

        Args:
            address: an http or https URL; a user in it may be percent-encoded.

        Raises:
            OSError: the server cannot be reached, or sends no parts.
        """
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        self._headers = {}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        self._address = parts._replace(netloc=host, fragment="").geturl()
        self._at = 0
        self._requests = 0
        self._fetch(0, 1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence] + offset
        return self._at

    def read(self, count: int = -1) -> bytes:
        left = max(self.size - self._at, 0)
        count = left if count < 0 else min(count, left)
        content = self._fetch(self._at, count) if count else b""
        self._at += len(content)
        return content

    def _fetch(self, at: int, count: int) -> bytes:
        from urllib.request import Request, urlopen  # takes longer than all else here

        self._requests += 1
        if self._requests > _MOST_REQUESTS:
            raise OSError(f"more than {_MOST_REQUESTS} parts")
        headers = {**self._headers, "Range": f"bytes={at}-{at + count - 1}"}
        try:
            request = Request(self._address, headers=headers)  # noqa: S310 - http or https, as opened
            with urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
                found = re.fullmatch(r"bytes \d+-\d+/(\d+)", reply.headers.get("Content-Range", ""))
                if reply.status != 206 or found is None:
                    raise OSError("the server sends no parts")
                self.size = int(found[1])
                content: bytes = reply.read(count)
                return content
        except (HTTPException, ValueError) as error:
            raise OSError(str(error)) from None


def remote_track_facts(address: str) -> TrackFacts:
    """Return what :func:`s2d_edge.media.iso_boxes.read_track_facts` does, of a file behind http."""
    try:
        file = RemoteFile(address)
    except (OSError, ValueError):
        return TrackFacts()
    return track_facts_in(file, file.size)


def remote_missing_end(address: str) -> str:
    """Return what :func:`s2d_edge.media.tails.missing_end` does, of a file behind http."""
    try:
        file = RemoteFile(address)
    except (OSError, ValueError):
        return ""
    return missing_end_in(file, file.size)
