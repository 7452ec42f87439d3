"""Is a message what it says it is? Everything here fails for good, with a reason."""

from datetime import UTC, datetime

from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import (
    FieldMessage,
    RejectedMessage,
    SlideClosedMessage,
    Status,
    Telemetry,
    UpMessage,
)
from hemaline_shared.packing import FieldImages, sha256_hex, unpack
from hemaline_shared.pixels.crops import CROP_PX
from hemaline_shared.pixels.decode import DEFAULT_LIMITS
from hemaline_shared.pixels.faults import unsupported
from hemaline_shared.pixels.header import inspect_image, verify_png_structure
from hemaline_shared.pixels.jpeg import verify_jpeg_structure
from hemaline_shared.topics import DeviceName

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # what a clock without a battery says
_JPEG = b"\xff\xd8\xff"
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def verify_frame(name: DeviceName, message: UpMessage) -> None:
    """Check what a message says of its sender and itself, images aside.

    Raises:
        PermanentError: `device-mismatch`, `impossible-time` or `invalid-message`.
    """
    said = f"{message.site}/{message.device}"
    if said != str(name):
        raise PermanentError(
            "device-mismatch", f"{name} published a message that says it is from {said}"
        )
    if isinstance(message, SlideClosedMessage):
        return
    _verify_time(name, "captured at", message.captured_at)
    if isinstance(message, FieldMessage) and not message.quality.accepted:
        raise PermanentError("invalid-message", "a field that its quality gate refused")
    if isinstance(message, RejectedMessage) and message.quality.accepted:
        raise PermanentError("invalid-message", "a rejected frame without a reason")


def verify_told(name: DeviceName, message: Status | Telemetry) -> None:
    """Check what a device says of itself: one impossible time would hide all devices' list.

    Raises:
        PermanentError: `impossible-time`.
    """
    _verify_time(name, "said at", message.at)
    if isinstance(message, Telemetry) and message.oldest_spooled_at:
        _verify_time(name, "oldest frame spooled at", message.oldest_spooled_at)


def is_possible_time(at: datetime) -> bool:
    """Whether any clock can say so; PostgreSQL keeps more than Python can read back."""
    return _EARLIEST <= at < _LATEST


def verify_field(message: FieldMessage, packed: bytes) -> None:
    """Check a field's packed images against its message, without decoding a pixel.

    That they came whole is proved here: by their hash, a JPEG's markers and a PNG's checksums. What
    they show is decoded by the worker, which refuses what does not decode and keeps the object.

    Raises:
        PermanentError: `wrong-size`, `wrong-hash`, `invalid-images`, `invalid-cells`,
            `wrong-field-size`, `wrong-crop-size`, `too-many-pixels`, or a reason of
            `inspect_image`.
    """
    if len(packed) != message.images.size:
        raise PermanentError(
            "wrong-size", f"{len(packed)} bytes came where {message.images.size} were announced"
        )
    if sha256_hex(packed) != message.images.sha256:
        raise PermanentError("wrong-hash", "the images are not the bytes whose hash was announced")
    images = unpack(packed)
    _verify_cells(message, images)
    _verify_picture(images.field, message.width, message.height, "wrong-field-size", "the field")
    for index, crop in enumerate(images.crops):
        _verify_picture(crop, CROP_PX, CROP_PX, "wrong-crop-size", f"crop {index}")


def _verify_time(name: DeviceName, what: str, at: datetime) -> None:
    if not is_possible_time(at):
        raise PermanentError("impossible-time", f"{what} {at}: set the clock of {name}")


def _verify_cells(message: FieldMessage, images: FieldImages) -> None:
    if len(images.crops) != len(message.cells):
        raise PermanentError(
            "invalid-cells", f"{len(message.cells)} cells, but {len(images.crops)} crops"
        )
    if [cell.index for cell in message.cells] != list(range(len(message.cells))):
        raise PermanentError("invalid-cells", "the cells are not numbered 0, 1, 2 …")
    for cell in message.cells:
        across = 0 <= cell.left < cell.right <= message.width
        down = 0 <= cell.top < cell.bottom <= message.height
        if not (across and down):
            raise PermanentError("invalid-cells", f"cell {cell.index} lies outside the field")


def _verify_picture(data: bytes, width: int, height: int, reason: str, what: str) -> None:
    if data.startswith(_JPEG):
        jpeg = verify_jpeg_structure(data)
        found = (jpeg.width, jpeg.height)
    else:
        header = inspect_image(data)
        if header.media_type != "image/png":
            raise unsupported(f"{header.media_type} data")
        verify_png_structure(data)
        found = (header.width, header.height)
    if found != (width, height):
        size = f"{found[0]}x{found[1]} pixels"
        raise PermanentError(reason, f"{what} is {size} where {width}x{height} were announced")
    if width * height > DEFAULT_LIMITS.max_pixels:
        raise PermanentError(
            "too-many-pixels", f"{what} is {width}x{height}; {DEFAULT_LIMITS.max_pixels:,} go"
        )
