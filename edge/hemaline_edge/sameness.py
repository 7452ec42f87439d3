"""Whether a source shows one picture again and again: a camera that hangs looks well otherwise."""

_OFTEN = 3


class Sameness:
    """Counts how often in a row a picture came that is the last one, pixel for pixel.

    No sensor gives the same noise twice, so three such pictures were not taken three times.
    """

    def __init__(self) -> None:
        self._digest = ""
        self._times = 0

    def add(self, digest: str) -> None:
        """Take the digest of one more picture."""
        self._times = self._times + 1 if digest == self._digest else 1
        self._digest = digest

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check; any thread may ask."""
        times = self._times
        if times < _OFTEN:
            return None
        return (
            f"the last {times} pictures are the same to the last pixel: the camera, or the "
            "software that saves its pictures, hangs; restart it"
        )
