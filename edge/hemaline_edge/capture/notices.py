"""What the system tells of changes below a folder: quick, and of local disks only."""

import logging
import os
import threading
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

logger = logging.getLogger(__name__)

_NO_NEWS = frozenset({"opened", "closed_no_write"})
_MANY = 10_000


class Notices(FileSystemEventHandler):
    """Collects the paths, below the folder, at which something has changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._noticed = threading.Event()
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Listen, unless we do already; where that is impossible, sweeps must do."""
        if self._observer:
            return
        observer = Observer()
        try:
            observer.schedule(self, str(self._root), recursive=True)
            observer.start()
        except OSError as error:
            logger.warning("no notices of changes in %s (%s): sweeping only", self._root, error)
        self._observer = observer

    def stop(self) -> None:
        """Stop to listen."""
        if self._observer and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def take(self) -> set[str]:
        """Return where something has changed since the last call."""
        with self._lock:
            paths, self._paths = self._paths, set()
            self._noticed.clear()
        return paths

    def wait(self, timeout_s: float) -> None:
        """Wait for a change."""
        self._noticed.wait(timeout_s)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note; that a file was opened or read, by ourselves too, is no news."""
        if event.event_type in _NO_NEWS:
            return
        with self._lock:
            for place in (event.src_path, event.dest_path):
                if place:
                    below = os.path.relpath(os.fsdecode(place), self._root)
                    self._paths.add("" if below == "." else below)
            if len(self._paths) > _MANY:  # a sweep is cheaper than so many looks
                self._paths = {""}
            self._noticed.set()
