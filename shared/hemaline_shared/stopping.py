"""Ending in good order at SIGTERM or Ctrl-C."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable


def on_stop_signal(stop: Callable[[], None]) -> None:
    """Call `stop`, in a thread of its own, when the process is asked to end.

    A signal's handler runs in the main thread wherever that is: perhaps inside the lock of the very
    Event that it would set, and then both wait for ever. Writing to a pipe takes no lock.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def ring(_number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):  # so many signals that the pipe is full
            os.write(writer, b"!")

    def listen() -> None:
        os.read(reader, 1)
        stop()

    threading.Thread(target=listen, name="stop-signal", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ring)
