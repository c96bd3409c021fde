"""Run `s2d-edge run` for long on a looped stream that breaks off again and again, and watch what it keeps.

    python -m tools.soak                               # 30 minutes, a reconnection every 10 seconds
    python -m tools.soak --minutes 2 --json soak.json  # shorter; the figures as JSON too
    python -m tools.soak --bundle bundles/mine --video clip.mp4 --save recorded.mp4 --max-faces 2

The videos (by default a drawn face) are served over loopback as Motion JPEG in real time, and every
connection is closed after some seconds. Resident memory, open files and threads of the run are read from
/proc. After a warm-up, memory must grow by less than 1 MiB in 10 minutes, and files and threads not at all.
The run must end by SIGINT, with results to the last. Exit code 1 says that one of these is not so. It needs
Linux.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np

from s2d_edge.core.errors import exit_with_a_sentence

LOOK_EVERY_S = 5.0
MOST_MIB_PER_10_MINUTES = 1.0
_BOUNDARY = "frame"
_END_WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Memory, files and threads of a process at one time.

    Attributes:
        t_s: seconds since its start.
        resident_mib: physical memory.
        open_files: descriptors, sockets and pipes included.
        threads: of the process.
    """

    t_s: float
    resident_mib: float
    open_files: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Memory, files and threads that a process gained after its warm-up.

    Attributes:
        mib_per_10_minutes: slope of a line through the resident memory.
        open_files: most in the last third of the looks, less the most in the first third.
        threads: likewise.
    """

    mib_per_10_minutes: float
    open_files: int
    threads: int

    @property
    def faults(self) -> list[str]:
        """The kinds of growth that are too much; empty for a run that could go on for ever."""
        found = []
        if self.mib_per_10_minutes >= MOST_MIB_PER_10_MINUTES:
            found.append(
                f"resident memory grew by {self.mib_per_10_minutes:.2f} MiB in 10 minutes, where less than "
                f"{MOST_MIB_PER_10_MINUTES:g} is allowed"
            )
        if self.open_files > 0:
            found.append(f"{self.open_files} more files were open at the end")
        if self.threads > 0:
            found.append(f"{self.threads} more threads were there at the end")
        return found


def growth_of(looks: Sequence[Look]) -> Growth:
    """Compare the looks after the warm-up, at least three, with each other."""
    times_s = np.array([look.t_s for look in looks])
    resident_mib = np.array([look.resident_mib for look in looks])
    slope = float(np.polyfit(times_s, resident_mib, 1)[0])  # MiB a second
    third = len(looks) // 3
    first, last = looks[:third], looks[-third:]
    return Growth(
        mib_per_10_minutes=600 * slope,
        open_files=max(look.open_files for look in last) - max(look.open_files for look in first),
        threads=max(look.threads for look in last) - max(look.threads for look in first),
    )


def look_at(pid: int, started_s: float) -> Look:
    """Read what a process holds."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    return Look(
        t_s=time.monotonic() - started_s,
        resident_mib=int(status["VmRSS"].split()[0]) / 1024,
        open_files=len(list((process / "fd").iterdir())),
        threads=int(status["Threads"]),
    )


@contextmanager
def breaking_stream(
    pictures: Sequence[bytes], fps: float, break_after_s: float
) -> Iterator[tuple[str, list[float]]]:
    """Serve JPEG pictures in a loop, at most ``break_after_s`` seconds to a connection.

    Yields:
        The address, and a list of the times at which connections began, which grows.
    """
    connections: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            began_s = time.monotonic()
            connections.append(began_s)
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            for number in range(int(break_after_s * fps)):
                picture = pictures[int(began_s * fps + number) % len(pictures)]
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:  # the reader has gone
                    return
                time.sleep(max(0.0, began_s + (number + 1) / fps - time.monotonic()))

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", connections
        finally:
            server.shutdown()
            thread.join()


def pictures_of(videos: Sequence[Path]) -> list[bytes]:
    """Every frame of every video as a JPEG, all of the first one's size."""
    import cv2

    from s2d_edge.data.avatars.clips import encode
    from s2d_edge.media.video import read_video

    frames = (frame for video in videos for _, frame in read_video(video))
    first = next(frames)
    size = (first.shape[1], first.shape[0])
    return [encode(first), *(encode(np.asarray(cv2.resize(frame, size), np.uint8)) for frame in frames)]


def watch_run(command: Sequence[str], minutes: float) -> tuple[list[Look], int]:
    """Run a command for so many minutes, end it by SIGINT, and return what it held and its exit code."""
    started_s = time.monotonic()
    looks: list[Look] = []
    # A shell starts background jobs with SIGINT ignored, and the run would inherit that and never end by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command)
    try:
        while time.monotonic() - started_s < 60 * minutes and process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            if process.poll() is None:
                looks.append(look_at(process.pid, started_s))
                if len(looks) % 12 == 0:
                    last = looks[-1]
                    print(
                        f"{last.t_s:.0f} s: {last.resident_mib:.1f} MiB, {last.open_files} open files, "
                        f"{last.threads} threads",
                        flush=True,
                    )
        process.send_signal(signal.SIGINT)
        return looks, process.wait(_END_WAIT_S)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Serve, run, watch, and judge as the command line says."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument(
        "--warm-up", type=float, metavar="MINUTES", help="default: 5, at most a third of the run"
    )
    arguments.add_argument("--reconnect-every", type=float, default=10.0, metavar="SECONDS")
    arguments.add_argument("--fps", type=float, default=12.5)
    arguments.add_argument("--bundle", default="starter")
    arguments.add_argument(
        "--video", type=Path, action="append", help="several are played in turn; default: a drawn face"
    )
    arguments.add_argument("--max-faces", type=int, default=1)
    arguments.add_argument("--save", type=Path, help="record too")
    arguments.add_argument("--json", type=Path, help="write the figures here")
    args = arguments.parse_args()
    warm_up_s = 60 * min(args.warm_up if args.warm_up is not None else 5.0, args.minutes / 3)
    with tempfile.TemporaryDirectory() as folder:
        videos = args.video
        if videos is None:
            from s2d_edge.data.avatars.clips import write_avatar_video

            videos = [Path(folder) / "face.mp4"]
            write_avatar_video(videos[0], seed=3, seconds=14, fps=args.fps, size=320)
        results = Path(folder) / "results.jsonl"
        results.touch()  # a run that ends at once writes none, and its exit code is to be told
        with breaking_stream(pictures_of(videos), args.fps, args.reconnect_every) as (address, connections):
            command = [sys.executable, "-m", "s2d_edge", "run", "--bundle", args.bundle, "--source", address]
            command += ["--json", results, "--max-faces", args.max_faces]
            command += ["--save", args.save] if args.save else []
            looks, code = watch_run([str(word) for word in command], args.minutes)
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    faults = judge(looks, code, lines, warm_up_s=warm_up_s, broken_every_s=args.reconnect_every)
    warm = [look for look in looks if look.t_s >= warm_up_s]
    figures = {
        "minutes": args.minutes,
        "connections": len(connections),
        "results": len(lines),
        "tracks": len({line["track"] for line in lines}),
        "exit_code": code,
        "growth": asdict(growth_of(warm)) if len(warm) >= 3 else None,
        "resident_mib": [round(look.resident_mib, 2) for look in (warm[0], warm[-1])] if warm else None,
        "open_files": sorted({look.open_files for look in warm}),
        "threads": sorted({look.threads for look in warm}),
        "faults": faults,
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", "utf-8")
    sys.exit(1 if faults else 0)


def judge(
    looks: Sequence[Look],
    code: int,
    lines: Sequence[dict[str, float]],
    *,
    warm_up_s: float,
    broken_every_s: float,
) -> list[str]:
    """Say what is wrong with a run; nothing where it could go on for ever.

    Args:
        looks: at the process, from its start.
        code: its exit code.
        lines: its results.
        warm_up_s: seconds that do not count.
        broken_every_s: seconds of a connection.
    """
    warm = [look for look in looks if look.t_s >= warm_up_s]
    faults = [] if code == 128 + signal.SIGINT else [f"the run ended with exit code {code}, not by SIGINT"]
    if len(warm) < 3:
        faults.append(f"only {len(warm)} looks after the warm-up; let it run for longer")
    else:
        faults += growth_of(warm).faults
    last_s = lines[-1]["t_s"] if lines else 0.0
    if looks and last_s < looks[-1].t_s - 2 * broken_every_s - 10:
        faults.append(f"the last result is of {last_s:.0f} s, and the run lasted {looks[-1].t_s:.0f} s")
    return faults


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
