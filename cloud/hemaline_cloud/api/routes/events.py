"""`/events`: server-sent events that say what changed, so that pages need not ask."""

import json
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from hemaline_cloud.api import examples
from hemaline_cloud.api.authentication import authentication_of
from hemaline_cloud.api.authenticator import Authentication
from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.problems import ProblemError, documented
from hemaline_cloud.api.views import API
from hemaline_cloud.database.outbox import Entry, Position
from hemaline_shared.errors import TransientError

router = APIRouter(prefix=API, tags=["events"])

_EXAMPLE = (
    'id: 4711-12\nevent: slide\ndata: {"slide_id": "0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f"}\n\n'
)
_HEARTBEAT_S = 15.0
_CHECK_S = 10.0
"""Whoever left hears nothing more after so long and a heartbeat."""
_LONGEST_NUMBER = 19


@router.get(
    "/events",
    summary="Hear of changes as they happen",
    response_class=StreamingResponse,
    responses=examples.sends("text/event-stream", _EXAMPLE)
    | documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def events(
    context: Context,
    request: Request,
    last_event_id: Annotated[
        str | None,
        Header(description="The id of the last event that was heard: what came after it follows."),
    ] = None,
) -> StreamingResponse:
    """Events `slide` (with its id), `devices`, `dead-letters`, and `everything`.

    `everything` comes first, unless the stream goes on from a `Last-Event-ID`, and whenever single
    changes may have been missed: then read again what you show. Changes of one slide that come in
    a burst are told once. Events are kept for a day, and tell of the sites that the listener sees.
    The stream ends when the session or token does, or when it is good for other sites.
    """
    if context.changes.is_full:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too-many-listeners",
            "Too many pages listen for changes already. Ask for the lists instead.",
        )
    return StreamingResponse(
        _stream(context.changes, authentication_of(request), _position(last_event_id)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(
    feed: ChangeFeed, listens: Authentication, heard: Position | None
) -> AsyncIterator[str]:
    def concerns(entry: Entry) -> bool:
        return entry.site is None or listens.principal.may_see(entry.site)

    checked = time.monotonic()
    with feed.listening(concerns) as listener:
        missed = await _missed(feed, heard)
        told = missed[-1].position if missed else None
        yield _spell(feed, missed if missed is None else list(filter(concerns, missed)))
        while not listener.ended:
            changed = await listener.wait(_HEARTBEAT_S)
            if time.monotonic() - checked >= _CHECK_S:
                if await run_in_threadpool(_sees_something_else, listens):
                    return
                checked = time.monotonic()
            if changed and told:  # what was missed may come from the feed once more
                changed = [entry for entry in changed if entry.position > told]
            yield _spell(feed, changed) or ": still here\n\n"


def _sees_something_else(listens: Authentication) -> bool:
    """Whether session or token has ended, or is good for other sites than when it was opened."""
    try:
        now = listens.again()
    except TransientError:  # a database that is away has no changes to tell, either
        return False
    return now is None or now.principal != listens.principal


async def _missed(feed: ChangeFeed, heard: Position | None) -> list[Entry] | None:
    """Return what came after the last event that was heard; None where that cannot be told."""
    if heard is None:
        return None
    try:
        return await run_in_threadpool(feed.since, heard)
    except TransientError:
        return None


def _position(event_id: str | None) -> Position | None:
    """Read an event's id; what is none begins from now."""
    parts = (event_id or "").split("-")
    if len(parts) != 2 or not all(_is_number(part) for part in parts):
        return None
    return Position(*map(int, parts))


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < _LONGEST_NUMBER


def _spell(feed: ChangeFeed, changes: list[Entry] | None) -> str:
    if changes is None:
        return _event(feed.position, "everything", {})
    return "".join(
        _event(
            entry.position,
            entry.kind,
            {"slide_id": str(entry.subject_id)} if entry.subject_id else {},
        )
        for entry in changes
    )


def _event(position: Position | None, kind: str, data: dict[str, str]) -> str:
    event_id = f"id: {position.transaction}-{position.number}\n" if position else ""
    return f"{event_id}event: {kind}\ndata: {json.dumps(data)}\n\n"
