"""The model bundle that comes with this version of the software."""

from pathlib import Path

from hemaline_shared.model_manifest import MANIFEST_FILE

MODELS = Path(__file__).parents[1] / "models"
"""Holds one directory, a bundle with its model card; or none, as in a checkout without models."""


def shipped_bundle(models: Path = MODELS) -> Path | None:
    """Return the bundle that ships, or None; of several the last by name."""
    found = sorted(file.parent for file in models.glob(f"*/{MANIFEST_FILE}"))
    return found[-1] if found else None
