"""What commands say to people: one sentence, on any terminal, never a secret."""

import codecs
import os
import stat
import sys
from typing import NoReturn, TextIO

from rich.console import Console
from rich.text import Text

from hemaline_shared.redaction import redact

_SPELT = {  # what our own sentences contain; the dashes and the cross by number
    "✓": "ok",
    "✗": "x",
    "…": "...",
    "·": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u00d7": "x",
    "µ": "u",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
}


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Write what a terminal's encoding lacks in characters that every one has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file's name that is no text
        number -= 0xDC00
    escaped = f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    return _SPELT.get(character, escaped), error.start + 1


codecs.register_error("spell_out", _spell_out)


class _Console(Console):
    """Prints whole lines, for a path that is cut in two cannot be copied."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False)

    def on_broken_pipe(self) -> None:
        """Go on in silence: whoever read has gone, and the work is not done."""
        _silence(sys.stderr if self.stderr else sys.stdout)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console on standard output or standard error as they are right now."""
    return _Console(stderr=stderr)


def prepare_terminal() -> None:
    """Let standard output and standard error take any text, whatever their encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="spell_out")


def leave_terminal() -> None:
    """Send nowhere what was for a terminal that is closed: every write to it would fail.

    A closed one does not even say any more that it is a terminal; it is still a device.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            is_device = stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
        except (OSError, ValueError):
            continue
        if is_device:
            _silence(stream)


def _silence(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print text as it is: brackets in it are no markup, and no secret passes."""
    make_console(stderr=stderr).print(Text(redact(text), style))


def complain(message: str) -> None:
    """Print a message to standard error; each line that is not indented is marked as a failure."""
    console = make_console(stderr=True)
    for line in redact(message).splitlines():
        marked = ("" if line[:1].isspace() else "✗ ", "red")
        console.print(Text.assemble(marked, line))


def fail(message: str, status: int = 2) -> NoReturn:
    """Say what is wrong and end with a status; 2: it cannot work as it was called."""
    complain(message)
    sys.exit(status)
