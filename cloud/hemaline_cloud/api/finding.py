"""Searches by words that may name a person: sealed, so that no address and no log holds them."""

import base64
import binascii

from sqlalchemy import Connection

from hemaline_cloud.api.context import ApiContext
from hemaline_cloud.database.orders import orders_called
from hemaline_cloud.database.reading.slides import CalledSo
from hemaline_cloud.orders.identity import Sealed
from hemaline_cloud.people.rights import Right
from hemaline_shared.errors import PermanentError

LONGEST_SEALED = 1000


def called_so(context: ApiContext, connection: Connection, words: str | None) -> CalledSo | None:
    """Return what words find: a slide's own names, its order's code, and, to who may know, names.

    Args:
        context: Whose search it is.
        connection: In a transaction.
        words: As somebody typed them.
    """
    if not words or not words.strip():
        return None
    known_at = context.sites_with(Right.IDENTIFY)
    orders = orders_called(connection, context.identity_keys, words, known_at=known_at)
    return CalledSo(words, orders)


def seal_words(context: ApiContext, words: str) -> str:
    """Return words for an address: they open for the same person alone."""
    sealed = context.identity_keys.seal(words.encode(), _bound_to(context))
    return f"{sealed.key}.{base64.urlsafe_b64encode(sealed.box).decode().rstrip('=')}"


def open_words(context: ApiContext, sealed: str | None) -> str | None:
    """Return the words again; None where it is no search of this person: then all is shown."""
    key, _, box = (sealed or "").partition(".")
    try:
        packed = base64.urlsafe_b64decode(box + "=" * (-len(box) % 4))
        return context.identity_keys.open(Sealed(key, packed), _bound_to(context)).decode()
    except (PermanentError, ValueError, binascii.Error):
        return None


def _bound_to(context: ApiContext) -> str:
    return f"search of {context.principal.id}"
