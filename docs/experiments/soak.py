"""Feed `s2d-edge run` looped videos over loopback HTTP, and watch its resident memory.

    python docs/experiments/soak.py BUNDLE VIDEO… [--seconds 600] [--fps 15] [--max-faces 2]

The videos are served as one endless Motion JPEG stream, in real time; `run` reads it as it would a network
camera, and its resident memory is read from /proc twice a minute.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from threading import Thread

import cv2

from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.media.video import read_video

_BOUNDARY = "frame"
_LOOK_EVERY_S = 30.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("videos", type=Path, nargs="+")
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--fps", type=float, default=15)
    arguments.add_argument("--max-faces", type=int, default=2)
    args = arguments.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(args.videos, args.fps))
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        command = [
            sys.executable,
            "-m",
            "s2d_edge",
            "run",
            "--bundle",
            args.bundle,
            "--json",
            results,
        ]
        command += ["--source", f"http://127.0.0.1:{server.server_port}/"]
        command += ["--max-faces", args.max_faces, "--max-seconds", args.seconds]
        started = time.monotonic()
        host = subprocess.Popen([str(word) for word in command])
        while True:
            try:
                host.wait(timeout=_LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                print(f"{time.monotonic() - started:.0f} s: {_resident_mib(host.pid):.0f} MiB", flush=True)
        lines = [json.loads(line) for line in results.read_text().splitlines()]
    warming = sum(bool(line.get("warming")) for line in lines)
    print(f"exit code {host.returncode}; {len(lines)} results, {warming} of them while warming up")
    server.shutdown()


def _handler(videos: Sequence[Path], fps: float) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            due = time.monotonic()
            for picture in _pictures(videos):
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:  # the reader has gone
                    return
                due += 1 / fps
                time.sleep(max(0.0, due - time.monotonic()))

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    return Handler


def _pictures(videos: Sequence[Path]) -> Iterator[bytes]:
    """Every frame of every video as a JPEG, over and over, all of the first one's size."""
    size = None
    for video in cycle(videos):
        for _, frame in read_video(video):
            size = size or (frame.shape[1], frame.shape[0])
            done, picture = cv2.imencode(".jpg", cv2.cvtColor(cv2.resize(frame, size), cv2.COLOR_RGB2BGR))
            assert done
            yield picture.tobytes()


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(kib) / 1024


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
