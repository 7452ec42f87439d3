"""Changes that are sent twice are made once: the first answer is kept for a day."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.schema import IdempotencyKey

KEPT_FOR = timedelta(days=1)


class KeyUsedOtherwiseError(Exception):
    """The key was used for another change."""


def claim_key(
    connection: Connection, principal: str, key: str, request: str
) -> dict[str, Any] | None:
    """Take a key for this change, or return the answer that the same change got before.

    Whoever uses the key at the same time waits until this transaction ends.

    Args:
        connection: In the transaction of the change.
        principal: The id of whoever asks; others have keys of their own.
        key: As it was sent.
        request: The SHA-256 of what is asked.

    Raises:
        KeyUsedOtherwiseError: Something else was asked under this key.
    """
    connection.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.principal == principal, IdempotencyKey.at < func.now() - KEPT_FOR
        )
    )
    taken = connection.execute(
        insert(IdempotencyKey)
        .values(principal=principal, key=key, request=request)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if taken.first():
        return None
    query = select(IdempotencyKey.request, IdempotencyKey.answer)
    known, answer = connection.execute(query.where(*_is(principal, key))).one()
    if known != request:
        raise KeyUsedOtherwiseError
    assert isinstance(answer, dict)
    return answer


def keep_answer(connection: Connection, principal: str, key: str, answer: dict[str, Any]) -> None:
    """Keep the answer to a change under the key that was claimed for it."""
    connection.execute(update(IdempotencyKey).where(*_is(principal, key)).values(answer=answer))


def _is(principal: str, key: str) -> tuple[Any, ...]:
    return IdempotencyKey.principal == principal, IdempotencyKey.key == key
