"""SIGINT and SIGTERM end a command, not the process: what it holds is written first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Told by the first signal; the second one is the system's own again."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handles a signal."""
        self._told.set()
        signal.signal(number, signal.SIG_DFL)

    @property
    def told(self) -> bool:
        """A signal has come."""
        return self._told.is_set()

    def wait(self, seconds: float | None) -> bool:
        """Waits for a signal, at most so long."""
        return self._told.wait(seconds)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Within it, signals are told to `Stop`."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
