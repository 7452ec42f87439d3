"""Ending in good order at SIGTERM, Ctrl-C or a closed terminal, however often one is asked to."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

from hemaline_shared.terminal import leave_terminal

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def on_stop_signal(stop: Callable[[], None]) -> None:
    """Call `stop` once, in a thread of its own, when the process is asked to end.

    A signal's handler runs in the main thread wherever that is: perhaps inside the lock of the very
    Event that it would set, and then both wait for ever. Writing to a pipe takes no lock. Further
    signals change nothing: a stop in good order is never cut short by a second request.

    `nohup` keeps its meaning: a hang-up that is ignored at the start stays ignored.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def ring(number: int, _frame: object) -> None:
        if number == signal.SIGHUP:  # writing to a terminal that is gone would fail
            leave_terminal()
        with contextlib.suppress(BlockingIOError):  # so many signals that the pipe is full
            os.write(writer, b"!")

    def listen() -> None:
        os.read(reader, 1)
        stop()

    threading.Thread(target=listen, name="stop-signal", daemon=True).start()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
            signal.signal(number, ring)


def ignore_stop_signals() -> None:
    """Take no notice of further requests: everything has ended, and this process is about to."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
