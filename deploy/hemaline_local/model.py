"""Which model bundle the one-machine system runs."""

import os
from pathlib import Path

from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import MANIFEST_FILE

BUNDLE_VARIABLE = "HEMALINE_BUNDLE"


def model_bundle() -> Path:
    """Return the bundle that the environment names, else the one that ships.

    Raises:
        PermanentError: `no-such-bundle`, `no-bundle`.
    """
    if bundle := named_bundle() or shipped_bundle():
        return bundle
    raise PermanentError(
        "no-bundle",
        f"No model bundle comes with this installation: name one's directory by {BUNDLE_VARIABLE}",
    )


def named_bundle() -> Path | None:
    """Return the bundle that the environment names, if it names one; raises as `model_bundle`."""
    named = os.environ.get(BUNDLE_VARIABLE)
    if not named:
        return None
    bundle = Path(named).resolve()
    if not (bundle / MANIFEST_FILE).is_file():
        raise PermanentError(
            "no-such-bundle",
            f"{BUNDLE_VARIABLE} names {bundle}, and there is no {MANIFEST_FILE} in it: "
            "name the directory of a model bundle, or unset it to take the one that ships",
        )
    return bundle
