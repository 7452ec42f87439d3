"""Read one picture of a data set, and name the file in whatever goes wrong."""

from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.types import RgbImage


def read_picture(path: Path) -> RgbImage:
    """Decode a file as the pixel pipeline does.

    Raises:
        PermanentError: `image-missing`, or why it cannot be decoded; the message names the file.
    """
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise PermanentError("image-missing", f"{path}: {error.strerror}.") from error
    except PermanentError as error:
        raise PermanentError(error.reason, f"{path}: {error}") from error
