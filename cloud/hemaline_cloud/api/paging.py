"""Keyset cursors: opaque to the reader, checked when they come back."""

import base64
import binascii
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic import Field as ModelField

from hemaline_cloud.api.problems import ProblemError

STORABLE = r"^[^\x00]*$"
"""No column takes a NUL."""

Limit = Annotated[int, Query(ge=1, le=500, description="Rows in a page at most.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=512,
        description="`next` of the page before. Rows added since neither repeat nor hide others.",
    ),
]
_T = TypeVar("_T")
_K = TypeVar("_K")
_Row = TypeVar("_Row")


class Page(BaseModel, Generic[_T]):
    """One page of a list."""

    items: list[_T]
    next: str | None = ModelField(
        description="Give it as `cursor` to read on; null: this was the last page.",
        examples=["W3RydWUsIjIwMjYtMDUtMDRUMDk6MTI6MDBaIl0"],
    )


def encode_cursor(kind: TypeAdapter[_K], key: _K) -> str:
    """Return a key as a word that is safe in an address."""
    return base64.urlsafe_b64encode(kind.dump_json(key)).decode().rstrip("=")


def decode_cursor(kind: TypeAdapter[_K], cursor: str | None) -> _K | None:
    """Read what `encode_cursor` wrote.

    Raises:
        ProblemError: 400 `invalid-cursor`.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return kind.validate_json(base64.b64decode(padded, altchars="-_", validate=True))
    except (binascii.Error, ValidationError, ValueError) as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "invalid-cursor",
            "This cursor is not one that a page gave as `next`. Start again without it.",
        ) from error


def page_of(
    rows: Sequence[_Row],
    limit: int,
    show: Callable[[_Row], _T],
    cursor: Callable[[_Row], str],
) -> Page[_T]:
    """Make a page of `limit` rows; one row more than that says that there is a next page."""
    following = cursor(rows[limit - 1]) if len(rows) > limit else None
    return Page(items=[show(row) for row in rows[:limit]], next=following)
