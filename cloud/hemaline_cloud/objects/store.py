"""What every object store does, and how the one of the settings is opened."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hemaline_cloud.settings import DirectoryObjects, S3Objects


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing tells of it."""

    key: str
    size: int
    put_at: datetime


class ObjectStore(Protocol):
    """Whole objects under keys of `hemaline_cloud.objects.keys`.

    Every method raises TransientError `object-store-unavailable` when the store does not answer,
    is full or refuses us: nothing about an object makes that permanent.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store an object, over any other of its key; durable on return."""

    def put_many(self, objects: Mapping[str, bytes]) -> dict[str, str]:
        """Store several for less than as many calls of `put`; all durable on return.

        Returns:
            The key under which each is found: the store may have chosen another one.
        """

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        """Return an object.

        Raises:
            PermanentError: `object-missing`, or `object-too-large` where it has more bytes than
                `at_most`; it is not read then.
        """

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def list_under(self, folder: str) -> Iterator[StoredObject]:
        """Yield what was put under keys that begin with `{folder}/`.

        What the store chose another key for lies under `segments/`.
        """

    def list_files(self, folder: str) -> Iterator[StoredObject]:
        """Yield what lies below `{folder}/` as the store keeps it: what a backup copies.

        A whole segment is one file. `get` and `put` take these keys too.
        """

    def presign_put(self, key: str, *, size: int, sha256: str, expires_s: int) -> str:
        """Return an address that takes one PUT for so long, without credentials.

        It takes a body of this very size. One of another SHA-256 is refused too, where the store
        compares it; SeaweedFS does not, so whoever claims the object compares it as well.

        Raises:
            PermanentError: `uploads-off` where the store has no such addresses.
        """

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check."""


def open_store(settings: DirectoryObjects | S3Objects) -> ObjectStore:
    """Return the store that the settings name; nothing is asked of it yet.

    Raises:
        TransientError: `object-store-unavailable` when the directory cannot be made.
    """
    if isinstance(settings, S3Objects):
        from hemaline_cloud.objects.s3 import S3Store  # noqa: PLC0415 - a directory needs no minio

        return S3Store(settings)
    from hemaline_cloud.objects.directory import DirectoryStore  # noqa: PLC0415

    return DirectoryStore(settings)
