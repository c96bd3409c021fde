"""A small RTSP server that names a duration, as recorders do, and may break off before it is over."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av

_CLOCK = 90_000  # ticks per second of RTP's video clock
_PAYLOAD = 1400  # bytes of one packet


@contextmanager
def served_by_rtsp(video: Path, fps: float, sends: Sequence[int]) -> Iterator[str]:
    """Serve an MPEG-4 video over RTSP, and yield its address.

    Args:
        sends: how many frames each connection gets before it is closed; the last number repeats.
    """
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        header = bytes(stream.codec_context.extradata or b"")
        frames = [bytes(packet) for packet in container.demux(stream) if packet.size]
    duration_s = len(frames) / fps
    plays: list[int] = []

    class Handler(socketserver.StreamRequestHandler):
        """One connection."""

        def handle(self) -> None:
            while request := self._request():
                method, fields = request
                if method == "DESCRIBE":
                    self._answer(fields, _description(header, duration_s), "Content-Type: application/sdp")
                elif method == "SETUP" and "TCP" not in fields.get("transport", ""):
                    self._answer(fields, "", status="461 Unsupported Transport")
                elif method == "SETUP":
                    self._answer(fields, "", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1")
                elif method == "PLAY":
                    self._answer(fields, "", "Session: 1", f"Range: npt=0-{duration_s:.3f}")
                    plays.append(1)
                    self._send(frames[: sends[min(len(plays), len(sends)) - 1]])
                    return
                else:
                    self._answer(fields, "", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")

        def _request(self) -> tuple[str, dict[str, str]] | None:
            first = self.rfile.readline().decode()
            fields: dict[str, str] = {}
            while line := self.rfile.readline().decode().strip():
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            return (first.split()[0], fields) if first.strip() else None

        def _answer(self, fields: dict[str, str], body: str, *headers: str, status: str = "200 OK") -> None:
            lines = [f"RTSP/1.0 {status}", f"CSeq: {fields['cseq']}", *headers]
            if body:
                lines.append(f"Content-Length: {len(body)}")
            self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

        def _send(self, wanted: Sequence[bytes]) -> None:
            number = 0
            for k, frame in enumerate(wanted):
                for at in range(0, len(frame), _PAYLOAD):
                    part = frame[at : at + _PAYLOAD]
                    last = at + _PAYLOAD >= len(frame)
                    head = struct.pack(
                        ">BBHII", 0x80, 96 | (0x80 if last else 0), number, round(k * _CLOCK / fps), 1
                    )
                    self.wfile.write(struct.pack(">cBH", b"$", 0, len(head) + len(part)) + head + part)
                    number += 1

    class Server(socketserver.ThreadingTCPServer):
        """Handles every connection in a thread."""

        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"rtsp://me:s3cret@127.0.0.1:{server.server_address[1]}/recording"
        finally:
            server.shutdown()
            thread.join()


def _description(header: bytes, duration_s: float) -> str:
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=recording",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"a=range:npt=0-{duration_s:.3f}",
        "m=video 0 RTP/AVP 96",
        f"a=rtpmap:96 MP4V-ES/{_CLOCK}",
        f"a=fmtp:96 profile-level-id=1; config={header.hex()}",
        "a=control:track1",
    ]
    return "\r\n".join(lines) + "\r\n"
