"""The model bundle that comes with this version of the software."""

import re
from pathlib import Path

from hemaline_shared.model_manifest import MANIFEST_FILE

_NUMBER = re.compile(r"(\d+)")

MODELS = Path(__file__).parents[1] / "models"
"""Holds one directory, a bundle with its model card; or none, as in a checkout without models."""


def shipped_bundle(models: Path = MODELS) -> Path | None:
    """Return the bundle that ships, or None; of several the one with the highest number."""
    found = [file.parent for file in models.glob(f"*/{MANIFEST_FILE}")]
    return max(found, key=_in_order, default=None)


def _in_order(bundle: Path) -> list[tuple[int, str]]:
    """Return what sorts `hemaline-10` after `hemaline-2`."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(bundle.name)
    ]
