"""The small changes that no test can notice, because nobody could: each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equal:
    """A change of a line, both without their indentation, and why it changes nothing."""

    module: str
    line: str
    change: str
    why: str


_CLOUD, _EDGE = "cloud/hemaline_cloud", "edge/hemaline_edge"
_PIXELS = "shared/hemaline_shared/pixels"
_FROZEN = "equal: nobody writes to it, and mypy (`make lint`) refuses whoever would"
_AT_ONE_INSTANT = "equal: it differs at one instant of a clock that counts nanoseconds"

EQUAL = (
    Equal(
        f"{_CLOUD}/database/work.py",
        "@dataclass(frozen=True, slots=True)",
        "@dataclass(frozen=False, slots=True)",
        _FROZEN,
    ),
    Equal(
        f"{_CLOUD}/inference/batching.py",
        "@dataclass(frozen=True, slots=True, eq=False)",
        "@dataclass(frozen=False, slots=True, eq=False)",
        _FROZEN,
    ),
    Equal(
        f"{_CLOUD}/inference/batching.py",
        "for verdict, heat_map in zip(verdicts, seen, strict=True)",
        "for verdict, heat_map in zip(verdicts, seen, strict=False)",
        "equal: a bundle names the likeliest class of each cell or of none, so both are as long",
    ),
    Equal(
        f"{_CLOUD}/blasts.py",
        'if verdicts[WHO] == "above":',
        'if verdicts[WHO] <= "above":',
        'equal: of the three words, "above" is the first in the alphabet',
    ),
    Equal(
        f"{_CLOUD}/blasts.py",
        'elif verdicts[ICC] == "undecided":',
        'elif verdicts[ICC] >= "undecided":',
        'equal: of the three words, "undecided" is the last in the alphabet',
    ),
    Equal(
        f"{_CLOUD}/inference/leasing.py",
        "self._pause_s = min(_POLL_S, lease_s / 6)",
        "self._pause_s = min(_POLL_S, lease_s / 7)",
        "equal: how long it sleeps at most between two looks; notifications wake it anyhow",
    ),
    Equal(
        f"{_CLOUD}/inference/leasing.py",
        "self._leases_unsure = False",
        "self._leases_unsure = True",
        "equal: the first look gives back what this worker's name holds, which is nothing yet",
    ),
    Equal(
        f"{_CLOUD}/inference/places.py",
        "@dataclass(frozen=True, slots=True, eq=False)",
        "@dataclass(frozen=False, slots=True, eq=False)",
        _FROZEN,
    ),
    Equal(
        f"{_CLOUD}/inference/places.py",
        "_REMEMBERED = 1024",
        "_REMEMBERED = 1023",
        "equal: 25 KB of memory, and a read of the database for one field of a thousand",
    ),
    Equal(
        f"{_CLOUD}/inference/places.py",
        "for cell, order in zip(field.cells, field.orders, strict=True)",
        "for cell, order in zip(field.cells, field.orders, strict=False)",
        "equal: both are made of the same cells, so both are as long",
    ),
    Equal(
        f"{_CLOUD}/objects/directory.py",
        "return dict(zip(objects, keys, strict=True))",
        "return dict(zip(objects, keys, strict=False))",
        "equal: a segment gives one key for each object that is written into it",
    ),
    Equal(
        f"{_CLOUD}/objects/directory.py",
        "_UNFINISHED_S = 3600",
        "_UNFINISHED_S = 3601",
        "equal: no file is an hour under way, and nobody waits for that second",
    ),
    Equal(
        f"{_EDGE}/publisher/window.py",
        "@dataclass(slots=True, eq=False)",
        "@dataclass(slots=True, eq=True)",
        "equal: two messages never have the same id, so none equals another",
    ),
    Equal(
        f"{_EDGE}/spool/spool.py",
        'hastened = priority == "stat" and slide.priority != "stat"',
        'hastened = priority == "stat" and slide.priority <= "stat"',
        "equal: a slide that is `stat` is made `stat` once more",
    ),
    Equal(
        f"{_EDGE}/spool/writing.py",
        "if counted.rowcount != 1:",
        "if counted.rowcount < 1:",
        "equal: a slide's id is its key, so no more than one row can change",
    ),
    Equal(
        f"{_PIXELS}/header.py",
        'if int.from_bytes(data[14:18], "little") == 12:  # OS/2',
        'if int.from_bytes(data[14:18], "little") <= 12:  # OS/2',
        "equal: no BMP has a shorter header than that of OS/2",
    ),
    Equal(
        f"{_PIXELS}/jpeg.py",
        "if tag == 0xB002:",
        "if tag >= 0xB002:",
        "equal: tags stand in ascending order, and the list of pictures must be among them",
    ),
    Equal(
        f"{_PIXELS}/scale.py",
        "cells[nuclear > 0] = 0",
        "cells[nuclear != 0] = 0",
        "equal: a mask is 0 or 1",
    ),
    Equal(
        f"{_PIXELS}/scale.py",
        "rest = shade[nuclear == 0]",
        "rest = shade[nuclear <= 0]",
        "equal: a mask is 0 or 1",
    ),
)
