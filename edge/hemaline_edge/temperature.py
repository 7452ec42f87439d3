"""How hot this computer is, where its kernel says so."""

from contextlib import suppress
from pathlib import Path

_ZONES = Path("/sys/class/thermal")
_POSSIBLE_C = (-40.0, 150.0)
"""Some zones report nonsense while their sensor is off."""


def hottest_c(zones: Path = _ZONES) -> float | None:
    """Return the temperature of the hottest place in degrees Celsius; None: nothing tells.

    Virtual machines, containers and Windows tell none.
    """
    readings = [_read(file) for file in zones.glob("thermal_zone*/temp")]
    low, high = _POSSIBLE_C
    return max((each for each in readings if each is not None and low < each < high), default=None)


def _read(file: Path) -> float | None:
    with suppress(OSError, ValueError):
        return int(file.read_text()) / 1000
    return None
