"""A watched folder: how most microscope software hands images over."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from hemaline_edge.capture.frame import CapturedFrame, SourceKind, UnusableFrame
from hemaline_edge.capture.listing import FileState, list_files
from hemaline_edge.capture.manifest import SlideLabels
from hemaline_edge.settings import FolderSettings
from hemaline_edge.spool.records import SourceMark
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.pixels.decode import DEFAULT_LIMITS, decode_image

logger = logging.getLogger(__name__)

Seen: TypeAlias = Callable[[str, str], str | None]
"""Tells the version that was last captured from a scope and key."""

_UNFINISHED = frozenset({"empty", "not-an-image", "truncated", "undecodable", "unreadable"})
"""What a file that is still being written may look like."""
_LOOK_AGAIN_S = 0.2
_RETRY_S = 1.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """A file that is not captured yet: how it looks, and since when (monotonic clock)."""

    path: PurePosixPath
    slide: str
    state: FileState
    unchanged_since: float
    not_before: float = 0.0

    def unchanged_s(self) -> float:
        """For how long it has looked so, by our observation or by its own time of change."""
        return max(time.monotonic() - self.unchanged_since, time.time() - self.state.modified_at)


class FolderSource:
    """Gives every image below a folder once; never moves, changes or deletes a file.

    The system's notices make it quick, sweeps make it sure: SMB and NFS send no notices for what
    another host writes.
    """

    kind: SourceKind = "folder"

    def __init__(self, settings: FolderSettings, seen: Seen) -> None:
        """Read the manifest; raises as `SlideLabels`."""
        self._settings = settings
        self._seen = seen
        self._root = settings.path.absolute()
        self.scope = f"folder:{self._root}"
        self.finite = self.slide_by_slide = not settings.watch
        self._labels = SlideLabels(self._root, settings.slide_column)
        self._waiting: list[_Waiting] = []
        self._next_sweep = 0.0
        self._all_seen = False
        self._notices = _Notices(self._root) if settings.watch else None

    @property
    def exhausted(self) -> bool:
        """Whether every file of a finite folder was captured."""
        return self.finite and self._all_seen

    def read(self, timeout_s: float) -> CapturedFrame | UnusableFrame | None:
        """Return the next whole image; see `FrameSource`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._sweep_is_due():
                self._sweep()
            if frame := self._next_whole():
                return frame
            left = deadline - time.monotonic()
            if left <= 0 or self.exhausted:
                return None
            self._wait(left)

    def close(self) -> None:
        """Stop to watch."""
        if self._notices:
            self._notices.stop()

    def _sweep_is_due(self) -> bool:
        if self.finite:  # once more at the end, for what the spool did not take
            return not self._waiting
        noticed = self._notices is not None and self._notices.take()
        return noticed or time.monotonic() >= self._next_sweep

    def _sweep(self) -> None:
        started = time.monotonic()
        self._next_sweep = started + self._settings.sweep_s
        if self._notices:
            self._notices.start()
        try:
            self._labels.refresh()
        except PermanentError as error:  # somebody is editing it: better wait than mix up slides
            raise TransientError(error.reason, str(error)) from error
        known = {waiting.path: waiting for waiting in self._waiting}
        found = []
        for path, state in list_files(self._root):
            if self._seen(self.scope, str(path)) == state.version:
                continue
            waiting = known.get(path)
            if waiting is None or waiting.state != state:
                waiting = _Waiting(path, self._labels.of(path), state, time.monotonic())
            found.append(waiting)
        self._waiting = sorted(found, key=lambda each: (each.slide, each.path))
        self._all_seen = not found
        # A folder of a hundred thousand files must not keep the disk busy all the time.
        took = time.monotonic() - started
        self._next_sweep = max(self._next_sweep, time.monotonic() + 10 * took)

    def _next_whole(self) -> CapturedFrame | UnusableFrame | None:
        for waiting in list(self._waiting):
            frame = self._take(waiting) if self._is_settled(waiting) else None
            if frame or self.finite:  # a finite folder goes slide by slide: nothing overtakes
                return frame
        return None

    def _is_settled(self, waiting: _Waiting) -> bool:
        if time.monotonic() < waiting.not_before:
            return False
        try:
            state = FileState.of((self._root / waiting.path).stat())
        except FileNotFoundError:
            self._waiting.remove(waiting)
            return False
        except OSError:
            state = waiting.state  # reading the file will tell
        if state != waiting.state:
            waiting.state, waiting.unchanged_since = state, time.monotonic()
        return waiting.unchanged_s() >= self._settings.settle_s

    def _take(self, waiting: _Waiting) -> CapturedFrame | UnusableFrame | None:
        """Read and decode a settled file; None when it may still become whole."""
        path = self._root / waiting.path
        mark = SourceMark(self.scope, str(waiting.path), waiting.state.version)
        try:
            data = _read(path, waiting.state)
            if data is None:
                return None
            image = decode_image(data)
        except PermanentError as error:
            if error.reason in _UNFINISHED and waiting.unchanged_s() < self._settings.give_up_s:
                waiting.not_before = time.monotonic() + _RETRY_S
                return None
            self._waiting.remove(waiting)
            return UnusableFrame(
                reason=error.reason,
                detail=str(error),
                slide=waiting.slide,
                origin=str(path),
                mark=mark,
            )
        self._waiting.remove(waiting)
        return CapturedFrame(image=image, slide=waiting.slide, origin=str(path), mark=mark)

    def _wait(self, left: float) -> None:
        if self._waiting or self._notices is None:
            time.sleep(min(left, _LOOK_AGAIN_S))
        else:
            self._notices.wait(min(left, max(0.0, self._next_sweep - time.monotonic())))


def _read(path: Path, expected: FileState) -> bytes | None:
    """Return a file's bytes; None when it is no longer what was seen.

    Raises:
        PermanentError: `too-many-bytes`, before reading; `unreadable`.
    """
    if expected.size > DEFAULT_LIMITS.max_bytes:
        raise PermanentError(
            "too-many-bytes",
            f"the file has {expected.size:,} bytes; {DEFAULT_LIMITS.max_bytes:,} are allowed",
        )
    try:
        with path.open("rb") as file:
            data = file.read(expected.size + 1)
            state = FileState.of(os.fstat(file.fileno()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PermanentError(
            "unreadable",
            f"the file cannot be read ({error.strerror}): may the agent's user read it?",
        ) from error
    return data if state == expected else None


class _Notices(FileSystemEventHandler):
    """What the system tells of changes below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._noticed = threading.Event()
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

    def take(self) -> bool:
        """Whether something changed since the last call."""
        noticed = self._noticed.is_set()
        self._noticed.clear()
        return noticed

    def wait(self, timeout_s: float) -> None:
        """Wait for a change."""
        self._noticed.wait(timeout_s)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note; that a file was opened or read, by ourselves too, is no news."""
        if event.event_type not in {"opened", "closed_no_write"}:
            self._noticed.set()
