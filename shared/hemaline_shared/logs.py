"""One line a log record, to standard error; never a secret, never a patient."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from hemaline_shared.redaction import redact

logger = logging.getLogger(__name__)


def set_up_logging(level: str, form: Literal["text", "json"] = "text") -> None:
    """Send the process's records to standard error, as text for people or JSON for collectors.

    What no code catches is a record as well, in the same form.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_crash
    threading.excepthook = _on_crash_of_thread


_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


def _on_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("ended by a defect of ours", exc_info=(kind, error, trace))


def _on_crash_of_thread(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
        _on_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)
