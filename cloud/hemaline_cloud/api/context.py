"""What every route works with: the database, the images, the stream of changes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.field_images import FieldImageReader
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.principal import ALL_SITES, Principal, Role
from hemaline_shared.errors import PermanentError

_EVERY_ROLE = frozenset[Role]({"technologist", "haematologist", "operator", "admin"})
_LOCAL_PERSON = Principal("local", "local", "person", roles=_EVERY_ROLE, sites=ALL_SITES)
_NOBODY = Principal("", "nobody", "service")


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts of one API process.

    Attributes:
        engine: Read-only connections.
        images: The stored fields.
        changes: What changed in the database, for live pages.
        store_problem: Says what is wrong with the object store, or None.
        principal: Who asks; outside of a request nobody does, and nothing can be read.
    """

    engine: Engine
    images: FieldImageReader
    changes: ChangeFeed
    store_problem: Callable[[], str | None]
    principal: Principal = _NOBODY

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one read-only transaction of whoever asks: what it reads belongs together.

        Raises:
            ProblemError: 422 where the request holds what no column can: a number too large, a
                text with a NUL.
        """
        try:
            with unit_of_work(self.engine, self.principal) as connection:
                yield connection
        except PermanentError as error:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "invalid-request",
                "A part of this address is nothing that Hemaline ever stores.",
            ) from error


async def principal_of(_request: Request) -> Principal:
    """Return who asks. There is no log-in yet: it is always the machine's own person."""
    return _LOCAL_PERSON


def _context(
    request: Request, principal: Annotated[Principal, Depends(principal_of)]
) -> ApiContext:
    context: ApiContext = request.app.state.context
    return replace(context, principal=principal)


Context = Annotated[ApiContext, Depends(_context)]
