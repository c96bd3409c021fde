"""One stage of the pipeline: work that runs in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from s2d_edge.firmware_host.pipeline.queues import QueueClosed


class Stage(ABC):
    """Runs :meth:`work` in a thread.

    Only that thread touches the state of the stage. Others get messages through queues, or read the
    :class:`~s2d_edge.firmware_host.pipeline.board.Board`.
    """

    def __init__(self, name: str, on_failure: Callable[[BaseException], None]) -> None:
        """Prepare the thread.

        Args:
            name: of the thread, after ``s2d-``.
            on_failure: called in the thread with what :meth:`work` raised.
        """
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._run, name=f"s2d-{name}", daemon=True)

    @property
    def alive(self) -> bool:
        """True between start and end of the work."""
        return self._thread.is_alive()

    @property
    def owns_current_thread(self) -> bool:
        """True where the caller runs in the thread of this stage."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of the work, at most ``timeout_s`` seconds."""
        self._thread.join(timeout_s)

    @abstractmethod
    def work(self) -> None:
        """Do the work until the input ends; a queue that is closed ends it too."""

    def _run(self) -> None:
        try:
            self.work()
        except QueueClosed:
            return
        except BaseException as error:
            self._on_failure(error)
