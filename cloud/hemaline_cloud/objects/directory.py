"""The object store of one machine: files below a directory, durable once put."""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from hemaline_cloud.objects.keys import is_key
from hemaline_cloud.objects.segments import (
    delete_object,
    has_object,
    is_segment,
    keys_in,
    new_segment,
    place_of,
    read_object,
    write_segment,
)
from hemaline_cloud.objects.store import StoredObject
from hemaline_cloud.objects.uploads import sign_upload
from hemaline_cloud.settings import DirectoryObjects
from hemaline_shared.durable import sync_directory
from hemaline_shared.errors import PermanentError, TransientError

_UNFINISHED_S = 3600


class DirectoryStore:
    """A reader sees all of an object or none.

    A single object is written beside, synced and renamed; the objects of a batch share a segment.
    """

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
        path, unfinished = self._path(key), self._unfinished / uuid4().hex
        with self._writing(path.parent):
            try:
                _write_durably(unfinished, data)
                unfinished.replace(path)
            except OSError:
                unfinished.unlink(missing_ok=True)  # a full disk must not fill further
                raise

    def put_many(self, objects: Mapping[str, bytes]) -> dict[str, str]:
        """See `ObjectStore.put_many`; one file and one sync, however many they are."""
        for key in objects:
            self._path(key)
        if not objects:
            return {}
        segment = new_segment()
        with self._writing((self._root / segment).parent):
            keys = write_segment(self._root, segment, list(objects.values()))
        return dict(zip(objects, keys, strict=True))

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        path, place = self._path(key), place_of(key)
        missing = PermanentError("object-missing", f"there is no object {key}")
        if not self.exists(key):
            raise missing
        with _troubles():
            if place:
                _check_size(key, place.size, at_most)
                found = read_object(self._root, place)
                if found is None:
                    raise missing
                return found
            with path.open("rb") as file:
                _check_size(key, os.fstat(file.fileno()).st_size, at_most)
                return file.read()

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        path, place = self._path(key), place_of(key)
        with _troubles():
            if has_object(self._root, place) if place else path.is_file():
                return True
        # A disk that is not mounted holds no object either, but says nothing about any.
        if problem := self.problem():
            raise TransientError("object-store-unavailable", problem)
        return False

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        path, place = self._path(key), place_of(key)
        with _troubles():
            if place:
                delete_object(self._root, place)
            else:
                path.unlink(missing_ok=True)

    def list_under(self, folder: str) -> Iterator[StoredObject]:
        """See `ObjectStore.list_under`; a segment's objects are as old as its last change."""
        with _troubles():
            for path in sorted(self._path(folder).rglob("*")):
                key = path.relative_to(self._root).as_posix()
                try:
                    found = path.stat()
                    objects = keys_in(self._root, key) if is_segment(key) else None
                except FileNotFoundError:  # deleted meanwhile
                    continue
                if path.is_file():
                    put_at = datetime.fromtimestamp(found.st_mtime, UTC)
                    for one, size in [(key, found.st_size)] if objects is None else objects:
                        yield StoredObject(one, size, put_at)

    def list_files(self, folder: str) -> Iterator[StoredObject]:
        """See `ObjectStore.list_files`."""
        with _troubles():
            for path in sorted(self._path(folder).rglob("*")):
                try:
                    found = path.stat()
                except FileNotFoundError:  # deleted meanwhile
                    continue
                if stat.S_ISREG(found.st_mode):
                    key = path.relative_to(self._root).as_posix()
                    put_at = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield StoredObject(key, found.st_size, put_at)

    def presign_put(self, key: str, *, size: int, sha256: str, expires_s: int) -> str:
        """See `ObjectStore.presign_put`; the address is one of our own API."""
        self._path(key)
        if not self._upload_url or not self._upload_secret:
            raise PermanentError(
                "uploads-off",
                "uploads are off here: set HEMALINE_OBJECTS__UPLOAD_URL and …UPLOAD_SECRET",
            )
        secret = self._upload_secret.get_secret_value()
        return sign_upload(self._upload_url, secret, key, size, sha256, expires_s)

    def problem(self) -> str | None:
        """See `ObjectStore.problem`."""
        if os.access(self._unfinished, os.W_OK | os.X_OK):
            return None
        return f"object store {self._root}: the directory is gone or not writable"

    def _path(self, key: str) -> Path:
        if not is_key(key):
            raise PermanentError("invalid-key", f"{key[:100]!r} cannot be an object's key")
        return self._root / key

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[None]:
        """Make a folder durably before something is written into it, and sync it after."""
        with _troubles():
            try:
                self._make_durably(folder)
                yield
                sync_directory(folder)
            except OSError:
                self._durable_folders.clear()  # what we knew of the disk may hold no longer
                raise

    def _make_durably(self, folder: Path) -> None:
        """Sync the parent too, once: an existing folder may be one whose maker was killed."""
        if folder == self._root or folder in self._durable_folders:
            return
        self._make_durably(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)
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


def _check_size(key: str, size: int, at_most: int | None) -> None:
    if at_most is not None and size > at_most:
        raise PermanentError("object-too-large", f"object {key} has more than {at_most} bytes")


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
