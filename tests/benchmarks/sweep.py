"""A sweep over captured files, against looking at each: `python tests/benchmarks/sweep.py`.

Ours: one sweep of a folder source whose 50,000 files are all in the spool's memory, when nothing
has changed, and when one file is new. Baseline: listing the folder and asking for each file's
state, which is what a sweep without memory costs. Also told: the first sweep after a start, which
asks the spool about each file.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_edge.capture.folder import FolderSource
from hemaline_edge.capture.listing import FileState
from hemaline_edge.settings import FolderSettings
from hemaline_edge.spool.records import SourceMark
from hemaline_edge.spool.spool import Spool

GOAL = 0.2
_FILES = 50_000
_ROUNDS = 15


def measure() -> dict[str, Any]:
    """Return milliseconds a sweep, ours and the baseline's."""
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        folder = Path(name) / "images"
        folder.mkdir()
        for number in range(_FILES):
            (folder / f"{number:06}.jpg").touch()
        spool = Spool(Path(name) / "spool", 2**30, 0)
        source = FolderSource(FolderSettings(path=folder, sweep_s=1e-9), spool)
        spool.remember(
            SourceMark(source.scope, path.name, f"{FileState.of(path.stat())}-captured")
            for path in folder.iterdir()
        )
        first = _milliseconds(source._sweep)
        if source._waiting:
            sys.exit(f"{len(source._waiting)} files are not known")
        time.sleep(3.1)  # until the folder's times are old enough to be believed
        source._sweep()
        times = [(_milliseconds(source._sweep), _milliseconds(lambda: _all(folder)))
                 for _ in range(_ROUNDS)]  # fmt: skip
        new = [_with_one_more(source, folder, number) for number in range(_ROUNDS)]
        source.close()
        spool.close()
    ours, baseline = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "ours": ours,
        "baseline": baseline,
        "ratio": ours / baseline,
        "goal": GOAL,
        "unit": "ms/sweep",
        "one_new_file_ms": statistics.median(new),
        "first_sweep_ms": first,
    }


def _all(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(FileState.of(entry.stat()).size for entry in entries)


def _with_one_more(source: FolderSource, folder: Path, number: int) -> float:
    (folder / f"new-{number}.jpg").touch()
    took = _milliseconds(source._sweep)
    if f"new-{number}.jpg" not in source._waiting:
        sys.exit("a sweep has missed a new file")
    return took


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
