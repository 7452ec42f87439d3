"""Waiting for a bundle that is not there yet, or not whole: it is said once, and in `/readyz`.

A container's engine starts again whatever ends, for ever; a worker that ended for want of its
bundle would do nothing but start.
"""

import logging
import threading
from pathlib import Path

from hemaline_cloud.inference.bundle import ModelBundle, load_bundle
from hemaline_cloud.retrying import StoppedError
from hemaline_shared.errors import PermanentError
from hemaline_shared.health import HealthServer, HealthSettings

logger = logging.getLogger(__name__)

_LOOK_S = 2.0


def await_bundle(path: Path, health: HealthSettings, stopping: threading.Event) -> ModelBundle:
    """Return a bundle as soon as it can be used; until then the process lives and is not ready.

    Raises:
        StoppedError: The process was asked to end.
        PermanentError: `cannot-listen`.
    """
    waiting = _Waiting(path)
    if bundle := waiting.look():
        return bundle
    server = HealthServer(health.host, health.port, {"bundle": waiting.problem})
    server.start()
    try:
        while not stopping.wait(_LOOK_S):
            if bundle := waiting.look():
                return bundle
    finally:
        server.stop()
    raise StoppedError


class _Waiting:
    """Loads a bundle whenever its files have changed, and tells what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self._said: str | None = None

    def problem(self) -> str | None:
        return self._said

    def look(self) -> ModelBundle | None:
        """Return the bundle, if it can be used now."""
        state = _state(self._path)
        if state == self._seen:
            return None
        self._seen = state
        try:
            return load_bundle(self._path)
        except PermanentError as error:
            if str(error) != self._said:
                logger.warning("waiting for a bundle that can be run: %s", error)
            self._said = str(error)
            return None


def _state(path: Path) -> frozenset[tuple[str, int, int]] | str:
    """What a change of the files changes; a copy under way changes it again and again."""
    try:
        files = [(file.name, file.stat()) for file in path.iterdir()]
    except OSError as error:
        return str(error)
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in files)
