"""The refusals that every decoder shares, one sentence each."""

from hemaline_shared.errors import PermanentError


def truncated() -> PermanentError:
    """The file ends before the image does, or has a part that nobody has written yet."""
    return PermanentError(
        "truncated",
        "The image file ends too early or has an empty part. Was it still being written or copied?",
    )


def undecodable() -> PermanentError:
    """The bytes are damaged."""
    return PermanentError(
        "undecodable", "The image file is damaged and cannot be decoded. Capture it again."
    )


def unsupported(what: str) -> PermanentError:
    """The file is an image, of a kind this pipeline does not read."""
    return PermanentError(
        "unsupported-format",
        f"The image holds {what}. Save the field as PNG or TIFF with 8 or 16 bits a sample, or as "
        "JPEG, BMP or WebP with 8.",
    )
