"""An HTTP server for the time of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests without a line on stderr for each."""

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], user: str = "") -> Iterator[str]:
    """Serve on a free port of this machine alone; gives the address, with ``user`` (``name:password@``)."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{user}127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
