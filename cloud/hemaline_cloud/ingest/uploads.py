"""Claim checks: who may upload how much, and what becomes of uploads that nobody claims."""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hemaline_cloud.ingest.metrics import SWEPT
from hemaline_cloud.objects.keys import UPLOADS, upload_folder, upload_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import UploadGrant, UploadRequest
from hemaline_shared.topics import DeviceName

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reserved:
    """Bytes that a device may upload until a moment of the monotonic clock, or has uploaded."""

    size: int
    until: float


class Uploads:
    """Grants uploads within a quota of each device; safe to call from many threads."""

    def __init__(self, settings: IngestSettings, store: ObjectStore) -> None:
        self._store = store
        self._max_bytes = settings.max_upload_bytes
        self._quota_bytes = settings.device_upload_bytes
        self._grant_s = settings.upload_grant_s
        self._keep = timedelta(seconds=settings.upload_keep_s)
        self._reserved: dict[DeviceName, dict[UUID, _Reserved]] = {}
        self._reserving = threading.Lock()

    def grant(self, name: DeviceName, request: UploadRequest) -> UploadGrant:
        """Return an address for the images of one frame, or why there is none.

        Raises:
            TransientError: The object store is away.
        """
        message_id, size = request.message_id, request.size
        if size > self._max_bytes:
            refusal = f"{size:,} bytes; at most {self._max_bytes:,} can be uploaded"
            return UploadGrant(message_id=message_id, refusal=refusal, permanent=True)
        if not self._reserve(name, message_id, size):
            refusal = (
                f"{name} has uploads waiting to be claimed; with these {size:,} bytes they would "
                f"be more than {self._quota_bytes:,}"
            )
            return UploadGrant(message_id=message_id, refusal=refusal)
        key = upload_key(name, message_id)
        try:
            url = self._store.presign_put(
                key, size=size, sha256=request.sha256, expires_s=self._grant_s
            )
        except PermanentError as error:  # no uploads here at present: a setting may change that
            return UploadGrant(message_id=message_id, refusal=str(error))
        return UploadGrant(message_id=message_id, object_key=key, url=url)

    def remove(self, key: str) -> None:
        """Delete an object that nothing refers to; an upload's bytes go back to its device.

        Raises:
            TransientError: The object store is away.
        """
        self._store.delete(key)
        self._forget(key)

    def sweep(self) -> None:
        """Delete uploads that nobody claimed in time; trouble is for the next sweep."""
        oldest = datetime.now(UTC) - self._keep
        try:
            for found in self._store.list_under(UPLOADS):
                if found.put_at < oldest:
                    self.remove(found.key)
                    SWEPT.inc()
                    logger.warning("deleted upload %s, which nobody claimed", found.key)
        except TransientError as error:
            logger.info("could not look for abandoned uploads: %s", error)

    def _reserve(self, name: DeviceName, message_id: UUID, size: int) -> bool:
        with self._reserving:
            reserved = self._reserved.get(name)
            if reserved is None or not self._fits(reserved, message_id, size):
                reserved = self._count_anew(name)
            if not self._fits(reserved, message_id, size):
                return False
            reserved[message_id] = _Reserved(size, time.monotonic() + self._grant_s)
            return True

    def _fits(self, reserved: dict[UUID, _Reserved], message_id: UUID, size: int) -> bool:
        others = sum(one.size for of, one in reserved.items() if of != message_id)
        return others + size <= self._quota_bytes

    def _count_anew(self, name: DeviceName) -> dict[UUID, _Reserved]:
        """Count what lies in the store, and what was granted and may still come."""
        now = time.monotonic()
        granted = self._reserved.get(name, {})
        counted = {of: one for of, one in granted.items() if one.until > now}
        for found in self._store.list_under(upload_folder(name)):
            if (message_id := _message_of(found.key)) and message_id not in counted:
                counted[message_id] = _Reserved(found.size, now)
        self._reserved[name] = counted
        return counted

    def _forget(self, key: str) -> None:
        message_id = _message_of(key)
        with self._reserving:
            for name, reserved in self._reserved.items():
                if message_id and upload_key(name, message_id) == key:
                    reserved.pop(message_id, None)


def _message_of(key: str) -> UUID | None:
    try:
        return UUID(key.rsplit("/", 1)[-1])
    except ValueError:
        return None
