"""The last lines of this process's log, for whoever asks from elsewhere."""

import logging
from collections import deque
from datetime import UTC, datetime

from hemaline_shared.device_commands import LONGEST_LINE, MOST_LINES
from hemaline_shared.redaction import redact


class LogLines(logging.Handler):
    """Keeps them for as long as the process runs.

    No secret is among them. Of an exception its kind is kept and not what it says: that may be the
    path of a file, and people name folders as they like.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record as one line, cut where it is too long."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        kind = record.exc_info[0] if record.exc_info else None
        said = record.getMessage() + (f" ({kind.__name__})" if kind else "")
        line = redact(f"{at} {record.levelname} {record.name}: {said}")
        self._lines.append(" ".join(line.split())[:LONGEST_LINE])

    def lines(self) -> tuple[str, ...]:
        """Return what is kept, oldest first."""
        return tuple(self._lines.copy())
