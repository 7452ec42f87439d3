"""The claim check's upload: one PUT at a time, in a thread of its own."""

import logging
import queue
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from hemaline_edge.settings import PublisherSettings
from hemaline_shared.errors import HemalineError, PermanentError, TransientError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """Images to be put where a grant allows. The address is a secret for as long as it lives."""

    message_id: UUID
    object_key: str
    url: str


class Uploader:
    """Uploads in the background, so that a slow one delays no receipt."""

    def __init__(
        self,
        load: Callable[[UUID], bytes | None],
        done: Callable[[Upload, HemalineError | None], None],
        settings: PublisherSettings,
    ) -> None:
        """Say where images come from and who is told.

        Args:
            load: Returns a message's packed images; None when there are none any more.
            done: Called on the uploader's thread, with the error that ended an upload, or None.
            settings: Where uploads may go, whom to trust, and how long each step may take.

        Raises:
            PermanentError: `bad-certificate`: the file of certificates cannot be used.
        """
        self._load = load
        self._done = done
        self._store = UploadTarget(settings)
        self._waiting: queue.SimpleQueue[Upload] = queue.SimpleQueue()
        # A daemon: an upload cut off by the agent's end is asked for again at its next start.
        self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)

    def start(self) -> None:
        """Upload from now on."""
        self._thread.start()

    def submit(self, upload: Upload) -> None:
        """Queue an upload."""
        self._waiting.put(upload)

    def _run(self) -> None:
        while True:
            upload = self._waiting.get()
            self._done(upload, self._try(upload))

    def _try(self, upload: Upload) -> HemalineError | None:
        try:
            images = self._load(upload.message_id)
            if images is not None:
                self._store.put(upload.url, images)
        except HemalineError as error:
            return error
        except Exception:
            logger.exception("an upload failed unexpectedly")
            return TransientError("upload-failed", "unexpectedly; the log has the trace")
        return None


class UploadTarget:
    """The object stores that this device may send images to."""

    def __init__(self, settings: PublisherSettings) -> None:
        self._hosts = frozenset(settings.upload_hosts)
        self._timeout_s = settings.upload_timeout_s
        try:
            context = ssl.create_default_context(cafile=settings.upload_ca)
        except OSError as error:
            raise PermanentError(
                "bad-certificate",
                f"publisher.upload_ca {settings.upload_ca} cannot be used: it must be a readable "
                "file of PEM certificates",
            ) from error
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def put(self, url: str, data: bytes) -> None:
        """PUT bytes to a presigned address, which no log and no error ever shows.

        Raises:
            TransientError: `upload-failed` or `upload-host-not-allowed`.
        """
        self._check(url)
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, data, headers, method="PUT")  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout_s):
                return
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the store answered {error.code}"
        except urllib.error.URLError as error:
            problem = f"the store cannot be reached ({_reason(error)})"
        except (OSError, ValueError) as error:
            problem = f"the store cannot be reached ({type(error).__name__})"
        raise TransientError("upload-failed", problem)

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if host and (parts.scheme == "https" or (parts.scheme == "http" and host in self._hosts)):
            return
        raise TransientError(
            "upload-host-not-allowed",
            f"the cloud names {host or 'no host'} without https, and publisher.upload_hosts does "
            "not: let ingest give https addresses, or add that host",
        )


def _reason(error: urllib.error.URLError) -> str:
    if isinstance(error.reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.reason.verify_message}; publisher.upload_ca"
    return type(error.reason).__name__
