"""The claim check's upload: one PUT at a time, in a thread of its own."""

import logging
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

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
        timeout_s: float,
    ) -> None:
        """Say where images come from and who is told.

        Args:
            load: Returns a message's packed images; None when there are none any more.
            done: Called on the uploader's thread, with the error that ended an upload, or None.
            timeout_s: For each step of the exchange.
        """
        self._load = load
        self._done = done
        self._timeout_s = timeout_s
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
                put(upload.url, images, self._timeout_s)
        except HemalineError as error:
            return error
        except Exception:
            logger.exception("an upload failed unexpectedly")
            return TransientError("upload-failed", "unexpectedly; the log has the trace")
        return None


def put(url: str, data: bytes, timeout_s: float) -> None:
    """PUT bytes to a presigned address, which no log and no error ever shows.

    Raises:
        TransientError: `upload-failed`.
        PermanentError: `bad-upload-address`.
    """
    if not url.startswith(("https://", "http://")):
        raise PermanentError("bad-upload-address", "the upload's address is neither http nor https")
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data, headers, method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        error.close()
        problem = f"the store answered {error.code}"
    except (OSError, ValueError) as error:
        problem = f"the store cannot be reached ({type(error).__name__})"
    raise TransientError("upload-failed", problem)
