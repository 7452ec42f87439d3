"""A judge of FHIR resources that is not ours: npm's `fhir`."""

import json
import subprocess
from pathlib import Path
from typing import Any

from parts.node import install, node
from parts.waiting import LONG_S

_SOURCE = Path(__file__).parent / "fhir_validator"


class FhirValidator:
    """Judges resources against R4's definitions, without a network."""

    def __init__(self, folder: Path) -> None:
        self._script = install(_SOURCE, folder) / "validate.js"

    def faults(self, *resources: dict[str, Any]) -> list[list[str]]:
        """Return what is wrong with each resource."""
        lines = "\n".join(map(json.dumps, resources))
        run = subprocess.run(
            [node(), str(self._script)],
            input=lines,
            capture_output=True,
            text=True,
            check=True,
            timeout=LONG_S,
        )
        return [json.loads(line) for line in run.stdout.splitlines()]
