"""Changes: If-Match, idempotency key, audit and outbox come together in one transaction."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from hemaline_cloud.api.context import ApiContext, Context
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.idempotency import KeyUsedOtherwiseError, claim_key, keep_answer
from hemaline_cloud.database.outbox import tell_of_slide
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal

_STATUSES = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
)
WRITING_PROBLEMS = (*_STATUSES, HTTPStatus.SERVICE_UNAVAILABLE)
VERSIONED_PROBLEMS = (
    *WRITING_PROBLEMS,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.PRECONDITION_REQUIRED,
)


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made, in the transaction that makes it.

    Attributes:
        body: The answer.
        event: What the audit keeps of it; it names its site, and its slide, if it has one.
        version: Of what was changed: its ETag.
        is_told: Whether live pages of the slide are to show it.
    """

    body: BaseModel
    event: Event
    version: int | None = None
    is_told: bool = True


Act: TypeAlias = Callable[[Connection, Principal], Done]


@dataclass(frozen=True, slots=True)
class Writing:
    """One request that changes something."""

    context: ApiContext
    request_hash: str
    key: str | None
    if_match: str | None

    def expected_version(self) -> int:
        """Return the version that the change is based on.

        Raises:
            ProblemError: 428 without If-Match; 412 where it names no version.
        """
        if self.if_match is None:
            raise ProblemError(
                HTTPStatus.PRECONDITION_REQUIRED,
                "version-missing",
                "Say in If-Match which version you saw: its ETag, from a GET of the same address.",
            )
        version = parse_etag(self.if_match)
        if version is None:
            raise ProblemError(
                HTTPStatus.PRECONDITION_FAILED,
                "version-unknown",
                "If-Match names no version of this. Read it again.",
            )
        return version

    def write(self, act: Act, right: Right = Right.REVIEW, *, freshly: bool = False) -> Response:
        """Make a change once, with all that belongs to it, in one transaction.

        Args:
            act: Makes it.
            right: Needed at the site of what is changed.
            freshly: The person must have shown within minutes that it is they: before signing.

        Raises:
            ProblemError: What `act` raises, and as `ApiContext.require` does, then nothing has
                changed; 422 where the idempotency key was used for another change.
            TransientError: `database-unavailable`.
        """
        with self.context.writing() as (connection, who):
            kept = self._answer_before(connection, who)
            if kept is not None:
                return _response(kept, replayed=True)
            done = act(connection, who)
            event = done.event
            assert event.site
            self.context.require(right, event.site, freshly=freshly)
            record_event(connection, who, event)
            if done.is_told and event.slide_id:
                tell_of_slide(connection, event.site, event.slide_id)
            answer = {"body": done.body.model_dump(mode="json"), "version": done.version}
            if self.key is not None:
                keep_answer(connection, who.id, self.key, answer)
        return _response(answer, replayed=False)

    def _answer_before(self, connection: Connection, who: Principal) -> dict[str, Any] | None:
        if self.key is None:
            return None
        try:
            return claim_key(connection, who.id, self.key, self.request_hash)
        except KeyUsedOtherwiseError as error:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "This Idempotency-Key came with another change before. Use a new one.",
            ) from error


def etag(version: int) -> str:
    """Return a version as an ETag."""
    return f'"v{version}"'


def parse_etag(value: str) -> int | None:
    """Return the version that an If-Match names, or None."""
    digits = value.strip().removeprefix('"v').removesuffix('"')
    known = digits.isascii() and digits.isdigit() and len(digits) < 10
    return int(digits) if known and etag(int(digits)) == value.strip() else None


async def _writing(
    request: Request,
    context: Context,
    if_match: Annotated[
        str | None, Header(max_length=64, description="The ETag of what the change is based on.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=128,
            description="Chosen by you. Sent again within a day with the same change, it gets the "
            "same answer and changes nothing.",
        ),
    ] = None,
) -> Writing:
    asked = json.dumps([request.method, request.url.path, if_match]).encode()
    request_hash = hashlib.sha256(asked + await request.body()).hexdigest()
    return Writing(context, request_hash, idempotency_key, if_match)


Write = Annotated[Writing, Depends(_writing)]


def _response(answer: dict[str, Any], *, replayed: bool) -> Response:
    headers = {"Cache-Control": "no-store"}
    if answer["version"] is not None:
        headers["ETag"] = etag(answer["version"])
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(answer["body"], headers=headers)
