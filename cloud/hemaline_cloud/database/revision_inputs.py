"""Which frames and cells went into a revision of a slide's result, kept with it as bytes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hemaline_cloud.database.counted_cells import CUT, SEEN

_VERSION = 1
_WHY: tuple[str | None, ...] = (None, CUT, SEEN)
"""What two bits of a cell stand for."""
_BITS, _CELLS_A_BYTE = 2, 4
_HEAD = struct.Struct(">16sIH")


@dataclass(frozen=True, slots=True)
class FrameInput:
    """One frame of a revision.

    Attributes:
        bundle: The number of the bundle whose answers counted for it.
        excluded: Why each cell did not count, in the finder's order; None where it did.
    """

    frame_id: UUID
    bundle: int
    excluded: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class RevisionInputs:
    """The frames that had a result, in the order of their ids.

    As bytes: the version of this form, then for each frame its id, the bundle's number, how many
    cells it has, and two bits a cell, the first cell in the lowest bits: 0 counted, 1 cut by the
    border, 2 seen before. Numbers have their higher byte first. A field of eight
    cells takes 24 bytes.
    """

    frames: Sequence[FrameInput]

    def pack(self) -> bytes:
        """Return what `unpack` reads."""
        parts = [bytes([_VERSION])]
        for frame in self.frames:
            cells = len(frame.excluded)
            bits = sum(_WHY.index(why) << _BITS * place for place, why in enumerate(frame.excluded))
            parts.append(_HEAD.pack(frame.frame_id.bytes, frame.bundle, cells))
            parts.append(bits.to_bytes(_bytes_of(cells), "little"))
        return b"".join(parts)

    @classmethod
    def unpack(cls, packed: bytes) -> "RevisionInputs":
        """Return what was packed.

        Raises:
            ValueError: It is of another version, or cut short.
        """
        if packed[:1] != bytes([_VERSION]):
            raise ValueError(f"inputs of version {packed[:1].hex() or 'none'}, not {_VERSION}")
        frames, at = [], 1
        while at < len(packed):
            try:
                frame_id, bundle, cells = _HEAD.unpack_from(packed, at)
            except struct.error as error:
                raise ValueError("inputs that end too early") from error
            at += _HEAD.size
            bits = int.from_bytes(packed[at : at + _bytes_of(cells)], "little")
            at += _bytes_of(cells)
            excluded = tuple(_WHY[bits >> _BITS * place & 3] for place in range(cells))
            frames.append(FrameInput(UUID(bytes=frame_id), bundle, excluded))
        if at > len(packed):
            raise ValueError("inputs that end too early")
        return cls(tuple(frames))


def _bytes_of(cells: int) -> int:
    return -(-cells // _CELLS_A_BYTE)
