"""Which model bundle the one-machine system runs."""

import os
from pathlib import Path

from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_cloud.inference.untrained import ensure_untrained_bundle

BUNDLE_VARIABLE = "HEMALINE_BUNDLE"


def model_bundle(home: Path) -> Path:
    """Return the bundle that the environment names, else the one that ships.

    Where none ships, an untrained one is made in `home`: it counts cells and classifies none.
    """
    if named := os.environ.get(BUNDLE_VARIABLE):
        return Path(named).resolve()
    if shipped := shipped_bundle():
        return shipped
    made = home / "untrained-bundle"
    ensure_untrained_bundle(made)
    return made
