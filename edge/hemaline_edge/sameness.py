"""Whether a source shows one picture again and again: a camera that hangs looks well otherwise."""

import time

_OFTEN = 3


class Sameness:
    """Counts how often in a row a picture came that is the last one, pixel for pixel.

    No sensor gives the same noise twice, so three such pictures were not taken three times.
    """

    def __init__(self, least_s: float = 0.0) -> None:
        """Begin.

        Args:
            least_s: For how long the picture must have been the same. A coded video of a still view
                may repeat itself until its next whole picture.
        """
        self._least_s = least_s
        self._digest: str | int | None = None
        self._times = 0
        self._since = time.monotonic()

    def add(self, digest: str | int) -> None:
        """Take the digest of one more picture."""
        if digest == self._digest:
            self._times += 1
            return
        self._digest, self._times, self._since = digest, 1, time.monotonic()

    def problem(self) -> str | None:
        """Say what is wrong, for a readiness check; any thread may ask."""
        times = self._times
        if times < _OFTEN or time.monotonic() - self._since < self._least_s:
            return None
        return (
            f"the last {times} pictures are the same to the last pixel: the camera, or the "
            "software that saves its pictures, hangs; restart it"
        )
