"""The object store's part of a backup: what is new is copied; what was deleted stays in the copy.

An object never changes under its key, except that a dead letter of a device's report keeps the
newest of them, and that a segment of the directory store gets a hole where an object was deleted.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.objects.keys import AUDIT_SEALS, KEPT
from hemaline_cloud.objects.store import ObjectStore, StoredObject
from hemaline_shared.durable import write_durably
from hemaline_shared.errors import PermanentError

_COPIED = (*KEPT, AUDIT_SEALS)
_GONE = "gone.json"


@dataclass(frozen=True, slots=True)
class Copied:
    """What one pass over the store did."""

    looked_at: int
    files: int
    size: int


def copy_objects(store: ObjectStore, folder: BackupFolder) -> Copied:
    """Copy what the backup does not have yet; a file is there whole or not at all.

    Raises:
        TransientError: `object-store-unavailable`; what was copied stays.
    """
    looked_at = files = size = 0
    for found in _listed(store):
        looked_at += 1
        path = folder.objects / found.key
        if _has(path, found):
            continue
        try:
            data = store.get(found.key)
        except PermanentError:  # deleted meanwhile
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, data)
        os.utime(path, (found.put_at.timestamp(), found.put_at.timestamp()))
        files, size = files + 1, size + len(data)
    return Copied(looked_at, files, size)


def copy_back(folder: BackupFolder, store: ObjectStore) -> Copied:
    """Put every file of the backup into an empty store.

    Raises:
        PermanentError: `target-not-empty`; nothing was put.
    """
    if next(_listed(store), None):
        raise PermanentError(
            "target-not-empty", "the object store holds objects already: restore into an empty one"
        )
    files = size = 0
    for path in _files(folder):
        data = path.read_bytes()
        store.put(path.relative_to(folder.objects).as_posix(), data)
        files, size = files + 1, size + len(data)
    return Copied(files, files, size)


def forget_deleted(store: ObjectStore, folder: BackupFolder, keep: timedelta) -> int:
    """Delete from the backup what has been gone from the store for so long; return how many.

    Since when is known from the first call that missed it, and kept in `gone.json`.

    Raises:
        PermanentError: `not-its-store` where most of the copy is not in the store.
    """
    there = {found.key for found in _listed(store)}
    copied = {path.relative_to(folder.objects).as_posix() for path in _files(folder)}
    gone = copied - there
    if 2 * len(gone) > len(copied):
        raise PermanentError(
            "not-its-store",
            f"{len(gone)} of {len(copied)} objects of the backup are not in the store: "
            "is it the one that the backup is of?",
        )
    now = datetime.now(UTC)
    before = _gone_since(folder)
    since = {key: before.get(key, now) for key in gone}
    old = {key for key, at in since.items() if at <= now - keep}
    for key in old:
        (folder.objects / key).unlink()
    kept = {key: at.isoformat() for key, at in since.items() if key not in old}
    write_durably(folder.root / _GONE, json.dumps(kept).encode())
    return len(old)


def _has(path: Path, found: StoredObject) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    changes = found.key.startswith("dead-letters/")
    return there.st_size == found.size and (
        not changes or abs(there.st_mtime - found.put_at.timestamp()) < 0.001
    )


def _listed(store: ObjectStore) -> Iterator[StoredObject]:
    for prefix in _COPIED:
        yield from store.list_files(prefix)


def _files(folder: BackupFolder) -> Iterator[Path]:
    """Yield whole files: a hidden name is of one that was cut off."""
    for path in sorted(folder.objects.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _gone_since(folder: BackupFolder) -> Mapping[str, datetime]:
    try:
        told = json.loads((folder.root / _GONE).read_bytes())
    except FileNotFoundError:
        return {}
    return {key: datetime.fromisoformat(at) for key, at in told.items()}
