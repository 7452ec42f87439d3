"""CBOR from anybody: read only as far as our own messages are made of it."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NoReturn

import cbor2

from hemaline_shared.errors import PermanentError

_DEEPEST = 16
# All that cbor2 gives a meaning but ours, 0 (date and time as text) and 37 (UUID): numbers too long
# to print, expressions and fractions to compute, and references, by which a hundred bytes are a
# structure that takes years to hash.
_FOREIGN_TAGS = frozenset(
    {1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799}
)


def read_cbor(payload: bytes) -> Any:  # noqa: ANN401 - whatever was written
    """Return what the payload holds.

    Raises:
        PermanentError: `not-cbor` when it is no CBOR, or holds tags, depths or keys that none of
            our messages has.
    """
    try:
        return cbor2.loads(
            payload,
            semantic_decoders=_REFUSED,
            tag_hook=_refuse,
            max_depth=_DEEPEST,
            strict_hashable_types=True,
        )
    except cbor2.CBORDecodeError as error:
        raise PermanentError("not-cbor", f"the payload is not CBOR: {error}") from error


def _refuse(*_: object) -> NoReturn:
    raise cbor2.CBORDecodeError("a tag that no message of ours has")


_REFUSED: MappingProxyType[int, Callable[..., Any]] = MappingProxyType(
    dict.fromkeys(_FOREIGN_TAGS, _refuse)
)
