"""A field's images as one block of bytes: stored, hashed, sent and claimed as a whole."""

import hashlib
from dataclasses import dataclass

import cbor2

from hemaline_shared.cbor import read_cbor
from hemaline_shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class FieldImages:
    """The encoded field (JPEG, for people) and its crops (PNG, lossless, for the networks)."""

    field: bytes
    crops: tuple[bytes, ...]


def pack(images: FieldImages) -> bytes:
    """Return the images as CBOR."""
    return cbor2.dumps({"field": images.field, "crops": list(images.crops)})


def unpack(packed: bytes) -> FieldImages:
    """Read what `pack` wrote.

    Raises:
        PermanentError: `invalid-images` when the bytes are anything else.
    """
    try:
        content = read_cbor(packed)
        field, crops = content["field"], content["crops"]
    except (PermanentError, KeyError, TypeError) as error:
        raise PermanentError(
            "invalid-images", f"the packed images are unreadable: {error}"
        ) from error
    if not isinstance(field, bytes) or not isinstance(crops, list):
        raise PermanentError("invalid-images", "the packed images have another shape")
    if not all(isinstance(crop, bytes) for crop in crops):
        raise PermanentError("invalid-images", "a crop is not bytes")
    return FieldImages(field, tuple(crops))


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 as the wire spells it."""
    return hashlib.sha256(data).hexdigest()
