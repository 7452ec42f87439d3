"""Ctrl-C while a command's parts are still imported: it ends, and nobody sees where it was."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_at_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process as the system would; afterwards it is Python's again.

    An interrupt that is ignored from the start, as in a shell's background, stays ignored.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
