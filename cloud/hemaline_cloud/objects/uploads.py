"""Short-lived upload addresses: of our own API, which verifies them too, and of any S3."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from hemaline_cloud.settings import S3Objects
from hemaline_shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class GrantedUpload:
    """What a body must be."""

    size: int
    sha256: str


def sign_upload(
    base_url: str, secret: str, key: str, size: int, sha256: str, expires_s: int
) -> str:
    """Return `{base_url}/{key}?expires=…&size=…&sha256=…&signature=…`, good for that very body."""
    expires = int(time.time()) + expires_s
    signature = _signature(secret, key, GrantedUpload(size, sha256), expires)
    query = {"expires": expires, "size": size, "sha256": sha256, "signature": signature}
    return f"{base_url.rstrip('/')}/{key}?{urlencode(query)}"


def verify_upload(secret: str, key: str, query: Mapping[str, str]) -> GrantedUpload:
    """Check the query of an upload address; return what the body must be.

    Args:
        secret: The store's `upload_secret`.
        key: The path of the address below its base, `uploads/…`.
        query: The address's query parameters.

    Raises:
        PermanentError: `upload-forbidden` (unsigned or changed) or `upload-expired`.
    """
    try:
        expires = int(query["expires"])
        granted = GrantedUpload(int(query["size"]), query["sha256"])
    except (KeyError, ValueError) as error:
        raise _forbidden() from error
    expected = _signature(secret, key, granted, expires)
    if not hmac.compare_digest(expected.encode(), query.get("signature", "").encode()):
        raise _forbidden()
    if time.time() > expires:
        raise PermanentError("upload-expired", "this upload address has expired; ask for another")
    return granted


def presign_put(settings: S3Objects, path: str, size: int, sha256: str, expires_s: int) -> str:
    """Return the path and query of an S3's address for one PUT of that very body.

    AWS Signature Version 4 in the query, with the body's length and hash among what is signed,
    which minio's presigned addresses lack.
    """
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    scope = f"{now[:8]}/{settings.region}/s3/aws4_request"
    signed = "content-length;host"
    query = urlencode(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Content-Sha256": sha256,
            "X-Amz-Credential": f"{settings.access_key}/{scope}",
            "X-Amz-Date": now,
            "X-Amz-Expires": expires_s,
            "X-Amz-SignedHeaders": signed,
        },
        quote_via=quote,
        safe="",
    )
    headers = f"content-length:{size}\nhost:{settings.endpoint}\n"
    request = f"PUT\n{path}\n{query}\n{headers}\n{signed}\n{sha256}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{settings.secret_key.get_secret_value()}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{path}?{query}&X-Amz-Signature={key.hex()}"


def _signature(secret: str, key: str, granted: GrantedUpload, expires: int) -> str:
    text = f"PUT\n{key}\n{granted.size}\n{granted.sha256}\n{expires}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _forbidden() -> PermanentError:
    return PermanentError("upload-forbidden", "this upload address was not signed by this server")
