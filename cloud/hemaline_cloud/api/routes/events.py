"""`/events`: server-sent events that say what changed, so that pages need not ask."""

import json
import time
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from hemaline_cloud.api import examples
from hemaline_cloud.api.authentication import authentication_of
from hemaline_cloud.api.authenticator import Authentication
from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.problems import ProblemError, documented
from hemaline_cloud.api.views import API
from hemaline_shared.errors import TransientError

router = APIRouter(prefix=API, tags=["events"])

_EXAMPLE = 'event: slide\ndata: {"slide_id": "0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f"}\n\n'
_HEARTBEAT_S = 15.0
_CHECK_S = 10.0
"""Whoever left hears nothing more after so long and a heartbeat."""
_EVENTS = {"devices": "devices", "dead_letters": "dead-letters", "everything": "everything"}


@router.get(
    "/events",
    summary="Hear of changes as they happen",
    response_class=StreamingResponse,
    responses=examples.sends("text/event-stream", _EXAMPLE)
    | documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def events(context: Context, request: Request) -> StreamingResponse:
    """Events `slide` (with its id), `devices`, `dead-letters`, and `everything`.

    `everything` comes first, and whenever single changes may have been missed: then read again
    what you show. Changes of one slide that come in a burst are told once. The stream ends when
    the session or token does.
    """
    if context.changes.is_full:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too-many-listeners",
            "Too many pages listen for changes already. Ask for the lists instead.",
        )
    return StreamingResponse(
        _stream(context.changes, authentication_of(request)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(feed: ChangeFeed, listens: Authentication) -> AsyncIterator[str]:
    checked = time.monotonic()
    with feed.listening() as listener:
        yield _spell(["everything"])
        while not listener.ended:
            changed = await listener.wait(_HEARTBEAT_S)
            if time.monotonic() - checked >= _CHECK_S:
                if await run_in_threadpool(_has_left, listens):
                    return
                checked = time.monotonic()
            yield _spell(sorted(changed)) or ": still here\n\n"


def _has_left(listens: Authentication) -> bool:
    try:
        return not listens.still_good()
    except TransientError:  # a database that is away has no changes to tell, either
        return False


def _spell(changes: Iterable[str]) -> str:
    return "".join(_event(change) for change in changes)


def _event(change: str) -> str:
    kind, _, slide_id = change.partition(":")
    if kind == "slide":
        return f"event: slide\ndata: {json.dumps({'slide_id': slide_id})}\n\n"
    return f"event: {_EVENTS[kind]}\ndata: {{}}\n\n"
