"""Which files below a folder may be images, and how each looks right now."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_NEVER_IMAGES = (
    ".cfg .crdownload .csv .db .doc .docx .htm .html .ini .json .lnk .lock .log .md .part .pdf "
    ".tmp .toml .tsv .txt .xls .xlsx .xml .yaml .yml "
)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file's size in bytes, and its time of change in seconds and exactly."""

    size: int
    modified_at: float
    version: str

    @classmethod
    def of(cls, stat: os.stat_result) -> "FileState":
        """Take what matters from a stat."""
        return cls(stat.st_size, stat.st_mtime, f"{stat.st_size}-{stat.st_mtime_ns}")


def may_be_image(name: str) -> bool:
    """Whether a file of this name is worth opening; what is not is ignored without a word."""
    suffix = Path(name).suffix.lower()
    return not name.startswith((".", "~")) and not (suffix and f"{suffix} " in _NEVER_IMAGES)


def list_files(root: Path) -> Iterator[tuple[PurePosixPath, FileState]]:
    """Yield every file below a folder that may be an image, by its path below it.

    Links to folders are followed, each folder once. A subfolder that cannot be read is told in
    the log and passed over: `lost+found` must not stop a laboratory.

    Raises:
        TransientError: `folder-unreachable`, when the folder itself cannot be read.
    """
    try:
        start = root.stat()
        os.scandir(root).close()
    except OSError as error:
        raise TransientError(
            "folder-unreachable",
            f"folder {root} cannot be read ({error.strerror}): is the share mounted?",
        ) from error
    visited = {(start.st_dev, start.st_ino)}
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            # Not its name: a folder's name may be a patient's.
            logger.warning("passing over a subfolder of %s: %s", root, error.strerror)
            continue
        for entry in entries:
            state = _look_at(entry)
            if state is None:
                continue
            path = folder / entry.name
            if isinstance(state, FileState):
                yield path, state
            elif state not in visited:
                visited.add(state)
                waiting.append(path)


def _look_at(entry: os.DirEntry[str]) -> FileState | tuple[int, int] | None:
    """Return a file's state, a folder's identity, or None for what is neither or of no interest."""
    if entry.name.startswith("."):
        return None
    try:
        if entry.is_dir():
            stat = entry.stat()
            return stat.st_dev, stat.st_ino
        if entry.is_file() and may_be_image(entry.name):
            return FileState.of(entry.stat())
    except OSError:
        return None  # it has just gone, or a link leads nowhere
    return None
