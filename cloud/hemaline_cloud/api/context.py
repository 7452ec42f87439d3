"""What every route works with: the database, the images, the stream of changes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from hemaline_cloud.api.authenticator import Authenticator
from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.field_images import FieldImageReader
from hemaline_cloud.api.hashing import HashingSlots
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.api.rate_limits import RateLimit
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.people.log_in import LocalLogIn
from hemaline_shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts of one API process.

    Attributes:
        engine: Read-only connections.
        images: The stored fields.
        changes: What changed in the database, for live pages.
        store_problem: Says what is wrong with the object store, or None.
        authenticator: Finds whose a cookie or a token is.
        local_log_in: Looks at names and passwords.
        hashing: Bounds how many of these are looked at at once.
        log_in_limit: Bounds the attempts from one address.
    """

    engine: Engine
    images: FieldImageReader
    changes: ChangeFeed
    store_problem: Callable[[], str | None]
    authenticator: Authenticator
    local_log_in: LocalLogIn
    hashing: HashingSlots
    log_in_limit: RateLimit

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one read-only transaction: what it reads belongs together.

        Raises:
            ProblemError: 422 where the request holds what no column can: a number too large, a
                text with a NUL.
        """
        try:
            with unit_of_work(self.engine) as connection:
                yield connection
        except PermanentError as error:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-request",
                "A part of this address is nothing that Hemaline ever stores.",
            ) from error


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]
