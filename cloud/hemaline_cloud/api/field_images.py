"""A field's stored images, checked against their hash and kept for the next request."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from hemaline_cloud.database.reading.fields import StoredObject
from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import FieldImages, sha256_hex, unpack

_LOCKS = 64
_CAPACITY_BYTES = 128 * 1024 * 1024


class FieldImageReader:
    """Reads fields from the object store; a page asks for all crops of a field at once.

    Args:
        get: Reads an object by its key; raises TransientError or PermanentError.
        capacity_bytes: Memory for fields already read, the longest unused ones forgotten first.
    """

    def __init__(self, get: Callable[[str], bytes], capacity_bytes: int = _CAPACITY_BYTES) -> None:
        self._get = get
        self._capacity_bytes = capacity_bytes
        self._kept: OrderedDict[str, tuple[FieldImages, int]] = OrderedDict()
        self._kept_bytes = 0
        self._keeping = threading.Lock()
        # One reader a field: a browser asks for six crops of it in the same moment.
        self._reading = tuple(threading.Lock() for _ in range(_LOCKS))

    def read(self, stored: StoredObject) -> FieldImages:
        """Return the images.

        Raises:
            TransientError: The store is away.
            PermanentError: The object is gone, or `object-corrupt`: not what was stored.
        """
        with self._reading[hash(stored.sha256) % _LOCKS]:
            return self._recall(stored.sha256) or self._fetch(stored)

    def _recall(self, sha256: str) -> FieldImages | None:
        with self._keeping:
            if sha256 not in self._kept:
                return None
            self._kept.move_to_end(sha256)
            return self._kept[sha256][0]

    def _fetch(self, stored: StoredObject) -> FieldImages:
        packed = self._get(stored.key)
        if sha256_hex(packed) != stored.sha256:
            raise PermanentError(
                "object-corrupt",
                f"object {stored.key} no longer has the hash it was stored with; "
                "restore it from a backup",
            )
        images = unpack(packed)
        self._keep(stored.sha256, images, len(packed))
        return images

    def _keep(self, sha256: str, images: FieldImages, size: int) -> None:
        with self._keeping:
            self._kept[sha256] = images, size
            self._kept_bytes += size
            while self._kept_bytes > self._capacity_bytes:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._kept_bytes -= dropped
