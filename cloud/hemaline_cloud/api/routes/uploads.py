"""`PUT /uploads/…`: where devices put large images when the object store is a directory."""

import hashlib
from http import HTTPStatus

import anyio
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, SecretStr
from pydantic import Field as ModelField
from starlette.requests import ClientDisconnect

from hemaline_cloud.api import examples
from hemaline_cloud.api.problems import ProblemError, documented
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.objects.uploads import GrantedUpload, verify_upload
from hemaline_shared.errors import PermanentError

_AT_ONCE = 4  # bodies in memory
_LONGEST_S = 120.0  # a device that vanished half way must not keep its place for ever


class Uploaded(BaseModel):
    """What was stored."""

    size: int = ModelField(description="Bytes.")
    sha256: str


_EXAMPLE = {
    "size": 2_400_000,
    "sha256": "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
}


def upload_router(store: ObjectStore, secret: SecretStr) -> APIRouter:
    """Return the route; only a directory store has one, S3 takes uploads itself."""
    router = APIRouter(tags=["uploads"])
    slots = anyio.Semaphore(_AT_ONCE)

    @router.put(
        "/uploads/{path:path}",
        summary="Put a field's packed images where a grant says",
        responses=examples.answers(_EXAMPLE)
        | documented(
            HTTPStatus.FORBIDDEN,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    async def upload(request: Request, path: str) -> Uploaded:
        """The address is signed, short-lived, and good for the very bytes that were granted."""
        key = f"uploads/{path}"
        granted = _granted(secret, key, request)
        async with slots:
            body = await _read_in_time(request, granted.size)
            if hashlib.sha256(body).hexdigest() != granted.sha256:
                raise _changed()
            await run_in_threadpool(store.put, key, body)
        return Uploaded(size=granted.size, sha256=granted.sha256)

    return router


def _granted(secret: SecretStr, key: str, request: Request) -> GrantedUpload:
    try:
        return verify_upload(secret.get_secret_value(), key, request.query_params)
    except PermanentError as error:
        raise ProblemError(HTTPStatus.FORBIDDEN, error.reason, str(error)) from error


async def _read_in_time(request: Request, size: int) -> bytes:
    try:
        with anyio.fail_after(_LONGEST_S):
            return await _read(request, size)
    except TimeoutError as error:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT,
            "upload-too-slow",
            f"The body did not come within {_LONGEST_S:.0f} s. Send it again.",
        ) from error
    except ClientDisconnect as error:
        raise _too_short(size, "the connection broke off") from error


async def _read(request: Request, size: int) -> bytes:
    """Read the body, and stop at the first byte too many, whatever its headers say."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > size:
            raise ProblemError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "upload-too-large",
                f"{size} bytes were granted, and more came.",
            )
    if len(body) < size:
        raise _too_short(size, f"{len(body)} came")
    return bytes(body)


def _changed() -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "upload-changed",
        "The body is not the bytes whose hash was granted. Ask for another address.",
    )


def _too_short(size: int, what: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "upload-too-short",
        f"{size} bytes were granted, {what}. Send the whole body again.",
    )
