"""Which files below a folder may be images, and which of them look new or changed.

A folder may hold fifty thousand files on a slow share, so a sweep asks for what can have changed:
it lists a folder again when the folder's own times have changed, and looks at files that it knows
in turns, a part at each sweep. Times are compared with earlier ones of the same file or folder
only: the clock of a share may say anything.
"""

import itertools
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from hemaline_edge.capture.names import may_be_image, may_hold_images
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_LOOKED_AT_AGAIN = 1_000
"""Known files that a sweep looks at, and entries of unchanged folders that it lists again: some
file systems tell nothing when a file is written over, not even by the folder's times."""

_COARSEST_TIME_S = 3.0
"""A folder's time may stand still for two seconds (FAT): what has just changed is listed again."""

_Identity: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file looks from outside: when any of it changes, its content may have changed."""

    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "FileState":
        """Take what matters from a stat."""
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def __str__(self) -> str:
        return f"{self.size}-{self.modified_ns}-{self.changed_ns}"


@dataclass(slots=True, eq=False)
class _Folder:
    """A folder as it was last listed.

    Attributes:
        files: By name, how each looked and its number in the file system.
        folders: By name, whether each is a link.
    """

    identity: _Identity
    times: tuple[int, int] | None = None
    times_since: float = 0.0
    listed_at: float = 0.0
    files: dict[str, tuple[FileState, int]] = field(default_factory=dict)
    folders: dict[str, bool] = field(default_factory=dict)


class FolderListing:
    """What lies below a folder. Paths are strings below it, with `/`, as the system spells them.

    Links to folders are followed, each folder once. A subfolder that cannot be read is told in the
    log and passed over: `lost+found` must not stop a laboratory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, _Folder] = {}
        self._reached: set[_Identity] = set()
        self._known: Iterator[str] = iter(())
        self._again: Iterator[str] = iter(())
        self._credit = 0
        self._unreadable: set[str] = set()

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Yield every file that may be an image, as it was last seen."""
        for path, folder in list(self._folders.items()):
            for name, (state, _) in list(folder.files.items()):
                yield _join(path, name), state

    def state_of(self, path: str) -> FileState | None:
        """Return how a file was last seen; None where it is not there any more."""
        parent, _, name = path.rpartition("/")
        folder = self._folders.get(parent)
        found = folder.files.get(name) if folder else None
        return found[0] if found else None

    def sweep(self) -> list[str]:
        """Look for what may have changed, and return the files that look new or changed.

        Raises:
            TransientError: `folder-unreachable`, when the folder itself cannot be read.
        """
        self._check_root()
        changed = self._walk([""], whole=True)
        changed += self._look_at(itertools.islice(self._in_turns(), _LOOKED_AT_AGAIN))
        self._list_some_again()
        return changed

    def look(self, noticed: Iterable[str]) -> list[str]:
        """Look where the system has noticed a change; return and raise as `sweep`."""
        self._check_root()
        changed, lists = [], set()
        for path in noticed:
            parent, _, name = path.rpartition("/")
            known = self._folders.get(parent)
            if path in self._folders:
                lists.add(path)
            elif known and name in known.files:
                changed += self._look_at([path])
            while parent and parent not in self._folders:
                parent = parent.rpartition("/")[0]
            lists.add(parent)
        for path in lists & self._folders.keys():
            self._folders[path].times = None
        return changed + self._walk(sorted(lists), whole=False)

    def _check_root(self) -> None:
        try:
            os.scandir(self._root).close()
        except OSError as error:
            raise TransientError(
                "folder-unreachable",
                f"folder {self._root} cannot be read ({error.strerror}): is the share mounted?",
            ) from error

    def _walk(self, starts: list[str], *, whole: bool) -> list[str]:
        """List what has changed from these folders downwards, or only what is new below them.

        Links come last, so that they lead nowhere that is reached without them.
        """
        changed: list[str] = []
        waiting = list(starts)
        links: list[str] = []
        while waiting or links:
            path = waiting.pop() if waiting else links.pop()
            try:
                stat = (self._root / path).stat()
                folder = self._folder(path, (stat.st_dev, stat.st_ino))
                if folder is None:
                    continue
                if self._may_have_changed(folder, (stat.st_mtime_ns, stat.st_ctime_ns)):
                    changed += self._list(path, folder)
                self._unreadable.discard(path)
            except OSError as error:
                self._pass_over(path, error)
                continue
            for name, is_link in folder.folders.items():
                below = _join(path, name)
                if whole or below not in self._folders:
                    (links if is_link else waiting).append(below)
        return changed

    def _folder(self, path: str, identity: _Identity) -> _Folder | None:
        """Return the folder at a path; None when it is known by another path already."""
        folder = self._folders.get(path)
        if folder and folder.identity == identity:
            return folder
        self._forget(path)
        if identity in self._reached:
            return None
        self._reached.add(identity)
        self._folders[path] = folder = _Folder(identity)
        return folder

    def _may_have_changed(self, folder: _Folder, times: tuple[int, int]) -> bool:
        now = time.monotonic()
        if folder.times != times:
            folder.times, folder.times_since = times, now
            return True
        return folder.listed_at - folder.times_since < _COARSEST_TIME_S

    def _list(self, path: str, folder: _Folder) -> list[str]:
        """List a folder, and return the files in it that are new or are others than before."""
        folder.listed_at = time.monotonic()
        files: dict[str, tuple[FileState, int]] = {}
        folders: dict[str, bool] = {}
        changed = []
        with os.scandir(self._root / path) as entries:
            for entry in entries:
                name = entry.name
                known = folder.files.get(name)
                if known and known[1] == entry.inode():
                    files[name] = known
                    continue
                try:
                    if entry.is_dir():
                        if may_hold_images(name):
                            folders[name] = entry.is_symlink()
                    elif may_be_image(name) and entry.is_file():
                        files[name] = FileState.of(entry.stat()), entry.inode()
                        changed.append(_join(path, name))
                except OSError:
                    continue  # it has just gone, or a link leads nowhere
        for gone in folder.folders.keys() - folders.keys():
            self._forget(_join(path, gone))
        folder.files, folder.folders = files, folders
        return changed

    def _in_turns(self) -> Iterator[str]:
        """Yield the known files in turns, each once at most at a sweep."""
        started = False
        while True:
            path = next(self._known, None)
            if path is not None:
                yield path
            elif started:
                return
            else:
                started = True
                self._known = iter([path for path, _ in self.files()])

    def _look_at(self, paths: Iterable[str]) -> list[str]:
        changed = []
        for path in paths:
            parent, _, name = path.rpartition("/")
            folder = self._folders.get(parent)
            if folder is None or name not in folder.files:
                continue
            before, number = folder.files[name]
            try:
                state = FileState.of((self._root / path).stat())
            except FileNotFoundError:
                del folder.files[name]
                continue
            except OSError:
                continue  # reading the file will tell
            if state != before:
                folder.files[name] = state, number
                changed.append(path)
        return changed

    def _list_some_again(self) -> None:
        """Let unchanged folders be listed at the next sweep, by turns and as many as is fair."""
        self._credit = min(self._credit + _LOOKED_AT_AGAIN, 1_000_000)
        for _ in range(len(self._folders)):
            path = next(self._again, None)
            if path is None:
                self._again = iter(list(self._folders))
                path = next(self._again, "")
            folder = self._folders.get(path)
            if folder is None:
                continue
            cost = 1 + len(folder.files) + len(folder.folders)
            if cost > self._credit:
                self._again = itertools.chain([path], self._again)
                return
            self._credit -= cost
            folder.times = None

    def _pass_over(self, path: str, error: OSError) -> None:
        self._forget(path)
        if path not in self._unreadable and not isinstance(error, FileNotFoundError):
            self._unreadable.add(path)
            # Not its name: a folder's name may be a patient's.
            logger.warning("passing over a subfolder of %s: %s", self._root, error.strerror)

    def _forget(self, path: str) -> None:
        if path in self._folders:
            below = f"{path}/" if path else ""
            for each in [p for p in self._folders if p == path or p.startswith(below)]:
                self._reached.discard(self._folders.pop(each).identity)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
