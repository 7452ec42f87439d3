"""The object store on any S3; the only module that imports minio."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from hemaline_cloud.objects.keys import is_key
from hemaline_cloud.objects.store import StoredObject
from hemaline_cloud.objects.uploads import presign_put
from hemaline_cloud.settings import S3Objects
from hemaline_shared.errors import PermanentError, TransientError

_WRITERS = 8
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_MISSING = {"NoSuchKey", "NoSuchObject"}


class S3Store:
    """An S3's own durability is trusted: a PUT that it answered is stored."""

    def __init__(self, settings: S3Objects) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._name = f"{settings.endpoint}/{settings.bucket}"
        # The caller retries with backoff and says so; hidden retries would only delay that.
        pool = urllib3.PoolManager(timeout=_TIMEOUT, maxsize=_WRITERS + 2, retries=False)
        self._client = Minio(
            settings.endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key.get_secret_value(),
            secure=settings.secure,
            region=settings.region,
            http_client=pool,
        )
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="objects")

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        _check(key)
        with self._troubles(key):
            self._client.put_object(self._bucket, key, BytesIO(data), len(data))

    def put_many(self, objects: Mapping[str, bytes]) -> dict[str, str]:
        """See `ObjectStore.put_many`; several requests at once."""
        list(self._writers.map(self.put, objects.keys(), objects.values()))
        return {key: key for key in objects}

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        """See `ObjectStore.get`."""
        _check(key)
        with self._troubles(key):
            response = self._client.get_object(self._bucket, key)
            try:
                size = int(response.headers["Content-Length"])
                if at_most is not None and size > at_most:
                    raise PermanentError(
                        "object-too-large", f"object {key} has more than {at_most} bytes"
                    )
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        _check(key)
        try:
            with self._troubles(key):
                self._client.stat_object(self._bucket, key)
        except PermanentError:
            return False
        return True

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        _check(key)
        with self._troubles(key):
            self._client.remove_object(self._bucket, key)

    def list_under(self, folder: str) -> Iterator[StoredObject]:
        """See `ObjectStore.list_under`."""
        _check(folder)
        with self._troubles(folder):
            found = self._client.list_objects(self._bucket, f"{folder}/", recursive=True)
            for item in found:
                if item.object_name and item.last_modified:
                    yield StoredObject(item.object_name, item.size or 0, item.last_modified)

    def list_files(self, folder: str) -> Iterator[StoredObject]:
        """See `ObjectStore.list_files`; they are the objects."""
        return self.list_under(folder)

    def presign_put(self, key: str, *, size: int, sha256: str, expires_s: int) -> str:
        """See `ObjectStore.presign_put`; the length and the hash are part of the signature."""
        _check(key)
        scheme = "https" if self._settings.secure else "http"
        address = presign_put(self._settings, f"/{self._bucket}/{key}", size, sha256, expires_s)
        return f"{scheme}://{self._settings.endpoint}{address}"

    def problem(self) -> str | None:
        """See `ObjectStore.problem`."""
        try:
            with self._troubles("the bucket"):
                found = self._client.bucket_exists(self._bucket)
        except TransientError as error:
            return str(error)
        return None if found else f"object store {self._name}: there is no such bucket"

    @contextmanager
    def _troubles(self, key: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code in _MISSING:
                raise PermanentError("object-missing", f"there is no object {key}") from error
            raise self._unavailable(error.code or "an error without a code") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unavailable(type(error).__name__) from error

    def _unavailable(self, what: str) -> TransientError:
        return TransientError("object-store-unavailable", f"object store {self._name}: {what}")


def _check(key: str) -> None:
    if not is_key(key):
        raise PermanentError("invalid-key", f"{key[:100]!r} cannot be an object's key")
