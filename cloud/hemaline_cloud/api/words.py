"""Reasons, classes, times and sizes in plain words, for the pages and the explanations."""

from datetime import UTC, datetime

_EXPLANATIONS = {
    # Files that are no usable image.
    "empty": "The image file was empty. Capture it again.",
    "not-an-image": "The file is not an image. Check what is saved into the watched folder.",
    "unsupported-format": "An image format that Hemaline does not read. Save as JPEG, PNG or TIFF.",
    "too-many-bytes": "The image file is larger than allowed. Check the camera's output format.",
    "too-many-pixels": "The image has more pixels than allowed. Check the camera's resolution.",
    "truncated": "The image file ends too early: it was still being written or copied.",
    "undecodable": "The image file is damaged. Capture it again.",
    # Messages.
    "not-cbor": "The message is not in Hemaline's format.",
    "invalid-message": "The message breaks the format. Update the device's software.",
    "unknown-version": "The device speaks another version of the format. Update the older side.",
    "unknown-topic": "The message came on a topic that is not Hemaline's.",
    "invalid-images": "The images in the message cannot be unpacked.",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def explain(reason: str) -> str:
    """Return a reason in plain words with what to do; an unknown one as it is spelt."""
    return _EXPLANATIONS.get(reason) or f"{humanise(reason)}."


def humanise(word: str) -> str:
    """Return a kebab-case word as people write it: `immature-granulocyte`."""
    spaced = word.replace("-", " ").replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def ago(moment: datetime) -> str:
    """Return how long ago a moment was, in one unit."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"


def amount(number: int, noun: str) -> str:
    """Return a number with its noun: `1 cell`, `1,204 cells`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(fraction: float) -> str:
    """Return a share of one to a tenth of a percent below ten, else to a whole one."""
    return f"{fraction:.1%}" if 0 < fraction < 0.1 else f"{fraction:.0%}"


def in_bytes(number: int) -> str:
    """Return a size in the unit that people would say."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
