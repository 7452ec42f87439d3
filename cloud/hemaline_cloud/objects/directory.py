"""The object store of one machine: files below a directory, durable once put."""

import ctypes
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from hemaline_cloud.objects.keys import is_key
from hemaline_cloud.objects.uploads import sign_upload
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.errors import PermanentError, TransientError


def _find_syncfs() -> Callable[[int], int] | None:
    """Return Linux's syncfs; before 5.8 it told of no write that failed, so it cannot be used."""
    release = tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())
    library = ctypes.CDLL(None, use_errno=True)
    if platform.system() != "Linux" or release < (5, 8) or not hasattr(library, "syncfs"):
        return None
    found: Callable[[int], int] = library.syncfs
    return found


_UNFINISHED_S = 3600
_SYNC_FILE_SYSTEM = _find_syncfs()


class DirectoryStore:
    """Writes beside, syncs, renames, syncs the folder: a reader sees all of an object or none."""

    def __init__(self, settings: DirectoryObjects) -> None:
        self._root = settings.path
        # One folder for what is being written: no key can name it, and it is easy to sweep.
        self._unfinished = self._root / ".unfinished"
        self._upload_url = settings.upload_url
        self._upload_secret = settings.upload_secret
        self._durable_folders: set[Path] = set()
        with _troubles():
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._sweep()

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self.put_many({key: data})

    def put_many(self, objects: Mapping[str, bytes]) -> None:
        """See `ObjectStore.put_many`; one sync of the file system stands for one of each file."""
        paths = {self._path(key): self._unfinished / uuid4().hex for key in objects}
        folders = {path.parent for path in paths}
        with _troubles():
            try:
                for folder in folders:
                    self._make_durably(folder)
                _write_durably(dict(zip(paths.values(), objects.values(), strict=True)))
                for path, unfinished in paths.items():
                    unfinished.replace(path)
                for folder in folders:
                    _sync_folder(folder)
            except OSError:
                self._durable_folders.clear()  # what we knew of the disk may hold no longer
                for unfinished in paths.values():
                    unfinished.unlink(missing_ok=True)  # a full disk must not fill further
                raise

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        if not self.exists(key):
            raise PermanentError("object-missing", f"there is no object {key}")
        with _troubles(), self._path(key).open("rb") as file:
            if at_most is not None and os.fstat(file.fileno()).st_size > at_most:
                raise PermanentError(
                    "object-too-large", f"object {key} has more than {at_most} bytes"
                )
            return file.read()

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        path = self._path(key)
        if path.is_file():
            return True
        # A disk that is not mounted holds no object either, but says nothing about any.
        if problem := self.problem():
            raise TransientError("object-store-unavailable", problem)
        return False

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with _troubles():
            self._path(key).unlink(missing_ok=True)

    def presign_put(self, key: str, *, size: int, expires_s: int) -> str:
        """See `ObjectStore.presign_put`; the address is one of our own API."""
        self._path(key)
        if not self._upload_url or not self._upload_secret:
            raise PermanentError(
                "uploads-off",
                "uploads are off here: set HEMALINE_OBJECTS__UPLOAD_URL and …UPLOAD_SECRET",
            )
        secret = self._upload_secret.get_secret_value()
        return sign_upload(self._upload_url, secret, key, size, expires_s)

    def problem(self) -> str | None:
        """See `ObjectStore.problem`."""
        if os.access(self._unfinished, os.W_OK | os.X_OK):
            return None
        return f"object store {self._root}: the directory is gone or not writable"

    def _path(self, key: str) -> Path:
        if not is_key(key):
            raise PermanentError("invalid-key", f"{key[:100]!r} cannot be an object's key")
        return self._root / key

    def _make_durably(self, folder: Path) -> None:
        """Sync the parent too, once: an existing folder may be one whose maker was killed."""
        if folder == self._root or folder in self._durable_folders:
            return
        self._make_durably(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)
        self._durable_folders.add(folder)

    def _sweep(self) -> None:
        """Remove what a killed writer left; younger files may be another process's."""
        for path in self._unfinished.iterdir():
            if time.time() - path.stat().st_mtime > _UNFINISHED_S:
                path.unlink(missing_ok=True)


@contextmanager
def _troubles() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            "object-store-unavailable", f"object store: {error.strerror}: {error.filename}"
        ) from error


def _write_durably(files: Mapping[Path, bytes]) -> None:
    if len(files) == 1 or _SYNC_FILE_SYSTEM is None:
        for path, data in files.items():
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return
    # Opened first: only a failed write since then is told.
    descriptor = os.open(next(iter(files)).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path, data in files.items():
            path.write_bytes(data)
        # A third of the time of syncing each file, and of the processor's.
        if _SYNC_FILE_SYSTEM(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "while it was synced")
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
