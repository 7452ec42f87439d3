"""From logits to what is said of a cell: calibrated average, operating point, label. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_cloud.inference.manifest import UNCLASSIFIED, Manifest
from hemaline_cloud.inference.runtime import Logits
from hemaline_shared.errors import PermanentError

AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a bundle says of one cell; an untrained one says nothing but that it is a cell.

    Attributes:
        probability: Of the likeliest class, also where it stays below its operating point.
        probabilities: Network (and `average`) -> class -> calibrated probability.
    """

    label: str
    probability: float | None
    probabilities: dict[str, dict[str, float]] | None


def judge(manifest: Manifest, logits: Mapping[str, Logits]) -> list[Verdict]:
    """Return a verdict for each crop of a batch.

    Raises:
        PermanentError: `no-finite-logits` when a network gave something else than numbers.
    """
    broken = [name for name, values in logits.items() if not np.isfinite(values).all()]
    if broken:
        raise PermanentError(
            "no-finite-logits", f"network {broken[0]} gave no finite number for a crop"
        )
    crops = len(next(iter(logits.values())))
    if not manifest.trained:
        return [Verdict(UNCLASSIFIED, None, None)] * crops
    by_network = {
        entry.name: softmax(logits[entry.name], entry.temperature) for entry in manifest.networks
    }
    average = np.mean(list(by_network.values()), axis=0)
    every = {**by_network, AVERAGE: average}
    return [_verdict(manifest, average[crop], every, crop) for crop in range(crops)]


def softmax(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """Return probabilities, shape (n, classes), in double precision."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _verdict(
    manifest: Manifest,
    average: NDArray[np.float64],
    every: Mapping[str, NDArray[np.float64]],
    crop: int,
) -> Verdict:
    best = int(np.argmax(average))
    label, probability = manifest.labels[best], float(average[best])
    return Verdict(
        label if probability >= manifest.operating_points[label] else UNCLASSIFIED,
        probability,
        {
            name: dict(zip(manifest.labels, map(float, values[crop]), strict=True))
            for name, values in every.items()
        },
    )
