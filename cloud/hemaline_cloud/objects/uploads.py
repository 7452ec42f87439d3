"""Short-lived upload addresses of the directory store: signed here, verified by the API."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from hemaline_shared.errors import PermanentError


def sign_upload(base_url: str, secret: str, key: str, size: int, expires_s: int) -> str:
    """Return `{base_url}/{key}?expires=…&size=…&signature=…`, good for one PUT of `size` bytes."""
    expires = int(time.time()) + expires_s
    signature = _signature(secret, key, size, expires)
    query = urlencode({"expires": expires, "size": size, "signature": signature})
    return f"{base_url.rstrip('/')}/{key}?{query}"


def verify_upload(secret: str, key: str, query: Mapping[str, str]) -> int:
    """Check the query of an upload address; return the size that the body must have.

    Args:
        secret: The store's `upload_secret`.
        key: The path of the address below its base, `uploads/…`.
        query: The address's query parameters.

    Raises:
        PermanentError: `upload-forbidden` (unsigned or changed) or `upload-expired`.
    """
    try:
        expires, size = int(query["expires"]), int(query["size"])
    except (KeyError, ValueError) as error:
        raise _forbidden() from error
    expected = _signature(secret, key, size, expires)
    if not hmac.compare_digest(expected.encode(), query.get("signature", "").encode()):
        raise _forbidden()
    if time.time() > expires:
        raise PermanentError("upload-expired", "this upload address has expired; ask for another")
    return size


def _signature(secret: str, key: str, size: int, expires: int) -> str:
    text = f"PUT\n{key}\n{size}\n{expires}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _forbidden() -> PermanentError:
    return PermanentError("upload-forbidden", "this upload address was not signed by this server")
