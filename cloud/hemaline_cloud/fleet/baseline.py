"""How a device's pictures are now, against how its own used to be.

Optics, cameras and stains differ between devices, so no limit fits all of them; a device is
compared with itself alone.
"""

import math
from dataclasses import dataclass, replace

MEASURES = ("blur", "density")
"""What is followed, as the quality gate calls it: focus and stain."""

_FRAMES_KNOWN = 200
"""Before so many frames nobody knows how the device usually is."""
_SLOW, _FAST = 1 / 2000, 1 / 40
"""How much one frame moves the baseline, and what holds now: some slides."""
_DRIFT = 1.5
"""Slides differ: so many standard deviations of single frames, held over some slides."""
_FARTHEST = 2.0
"""What lies farther off moves the baseline no more than that, or a drift would hide itself."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """One measure of a device: how many frames were judged, their mean and variance, and lately."""

    frames: int = 0
    mean: float = 0.0
    variance: float = 0.0
    recent: float = 0.0

    def with_frame(self, value: float) -> "Baseline":
        """Return it after one more frame."""
        if self.frames == 0:
            return Baseline(1, value, 0.0, value)
        frames = self.frames + 1
        slow, fast = max(_SLOW, 1 / frames), max(_FAST, 1 / frames)
        apart = value - self.mean
        if self.frames >= _FRAMES_KNOWN and self.variance > 0:
            farthest = _FARTHEST * math.sqrt(self.variance)
            apart = max(-farthest, min(farthest, apart))
        return replace(
            self,
            frames=frames,
            mean=self.mean + slow * apart,
            variance=(1 - slow) * (self.variance + slow * apart**2),
            recent=self.recent + fast * (value - self.recent),
        )

    @property
    def drift(self) -> float | None:
        """Return how far the recent frames lie from the mean, in standard deviations of frames.

        None: too few frames to say.
        """
        if self.frames < _FRAMES_KNOWN:
            return None
        spread = math.sqrt(self.variance)
        return (self.recent - self.mean) / spread if spread > 0 else 0.0

    @property
    def drifts(self) -> bool:
        """Whether the recent frames differ from the device's own past."""
        return abs(self.drift or 0.0) >= _DRIFT
