"""The quality gate."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from hemaline_shared.messages import QualityReport
from hemaline_shared.pixels.types import RgbImage


class QualityLimits(BaseModel):
    """Limits."""

    model_config = ConfigDict(extra="forbid")


class QualityGate:
    """Judges frames."""

    def __init__(self, limits: QualityLimits) -> None:
        self._limits = limits

    def judge(self, image: RgbImage, slide: str) -> QualityReport:
        """Judge."""
        return QualityReport(measures={"mean": float(np.mean(image))})
