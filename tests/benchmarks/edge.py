"""The edge, frame to durable spool, against its bare parts: `python tests/benchmarks/edge.py`.

Ours: JPEG files of fields in a folder -> folder source, quality gate, preprocessing, packing, spool
(file, fsync, rename, fsync, SQLite FULL). Baseline: OpenCV's decode, the leukocyte finder with its
scale, OpenCV's encode of the field and of each cell's box. Both take the same files, in turns.

Memory is what a `hemaline-edge run` child has resident at most while it captures the same folder
with the broker away.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_edge.capture.folder import FolderSource
from hemaline_edge.capturing import Capturing
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.settings import EdgeSettings, FolderSettings, SpoolSettings
from hemaline_edge.simulator import SmearSettings, SmearSimulator
from hemaline_edge.spool.spool import Spool
from hemaline_edge.spool.view import open_view
from hemaline_local.child import Child
from hemaline_local.ports import free_port
from hemaline_shared.pixels.leukocytes import CombinedFinder
from hemaline_shared.pixels.scale import estimate_scale

GOAL = 1.5
_GOAL_MB = 200
_FIELDS = 24
_ROUNDS = 5
_SIZES = {"1280x960": (1280, 960), "640x480": (640, 480)}


def measure() -> dict[str, Any]:
    """Return milliseconds a frame, ours and the bare parts'; the larger field size counts."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        folder = Path(name)
        times = {size: _times(folder / size, *pixels) for size, pixels in _SIZES.items()}
        memory = _resident_mb(folder / "1280x960", folder / "agent")
    ours, baseline, ratio = times["1280x960"]
    return {
        "ours": ours,
        "baseline": baseline,
        "ratio": ratio,
        "goal": GOAL,
        "unit": "ms/frame",
        "ratio_640x480": times["640x480"][2],
        "resident_mb": memory,
        "goal_resident_mb": _GOAL_MB,
    }


def _times(folder: Path, width: int, height: int) -> tuple[float, float, float]:
    _draw(folder, width, height)
    _bare(folder)
    turns = [_bare(folder)]
    ours = []
    for _ in range(_ROUNDS):
        ours.append(_ours(folder))
        turns.append(_bare(folder))
    ratios = [own / ((a + b) / 2) for own, a, b in zip(ours, turns, turns[1:], strict=False)]
    return statistics.median(ours), statistics.median(turns), statistics.median(ratios)


def _draw(folder: Path, width: int, height: int) -> None:
    folder.mkdir()
    um_per_px = 0.125 * 1280 / width
    settings = SmearSettings(
        width=width, height=height, um_per_px=um_per_px, blurred=0, over_exposed=0, empty=0
    )
    smear = SmearSimulator(settings)  # good fields only: a rejected one would cost us less
    for number in range(_FIELDS):
        image = np.ascontiguousarray(smear.field(0, number).image[:, :, ::-1])
        cv2.imwrite(str(folder / f"{number:03}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])


def _bare(folder: Path) -> float:
    finder = CombinedFinder()
    started = time.perf_counter()
    for file in sorted(folder.iterdir()):
        bgr = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        cells = finder.find(image, estimate_scale(image))
        cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
        for cell in cells:
            left, top = max(0, cell.box.left), max(0, cell.box.top)
            crop = cv2.resize(bgr[top : cell.box.bottom, left : cell.box.right], (224, 224))
            cv2.imencode(".png", crop, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return (time.perf_counter() - started) * 1000 / _FIELDS


def _ours(folder: Path) -> float:
    spool_folder = folder.with_name("spool")
    source = FolderSettings(path=folder, watch=False, settle_s=0)
    settings = EdgeSettings(
        site="bench", device="scope-1", source=source, spool=SpoolSettings(path=spool_folder)
    )
    spool = Spool(spool_folder, settings.spool.quota_bytes, 0)
    metrics = EdgeMetrics(CollectorRegistry())
    capturing = Capturing(settings, FolderSource(source, spool), spool, metrics, lambda: None)
    started = time.perf_counter()
    while capturing.capture_next(0):
        pass
    took = time.perf_counter() - started
    counts = spool.counts()
    spool.close()
    shutil.rmtree(spool_folder)
    if (counts.captured, counts.rejected) != (_FIELDS, 0):
        sys.exit(f"of {_FIELDS} frames: {counts}")
    return took * 1000 / _FIELDS


def _resident_mb(images: Path, spool: Path) -> float:
    environment = {
        "HEMALINE_SITE": "bench",
        "HEMALINE_DEVICE": "scope-1",
        "HEMALINE_BROKER__PORT": str(free_port()),
        "HEMALINE_SPOOL__PATH": str(spool),
        "HEMALINE_SOURCE__KIND": "folder",
        "HEMALINE_SOURCE__PATH": str(images),
        "HEMALINE_SOURCE__WATCH": "false",
    }
    command = [sys.executable, "-m", "hemaline_edge", "run"]
    agent = Child("agent", command, spool.with_suffix(".log"), environment)
    process = psutil.Process(agent.pid)
    most = 0
    try:
        deadline = time.monotonic() + 120
        while not _all_captured(spool):
            if time.monotonic() > deadline:
                sys.exit(f"the agent did not capture all: {agent.log_tail()}")
            most = max(most, process.memory_info().rss)
            time.sleep(0.05)
    finally:
        agent.stop()
    return round(most / 2**20, 1)


def _all_captured(spool: Path) -> bool:
    if not (spool / "index.sqlite3").exists():
        return False
    view = open_view(spool)
    try:
        return view.counts().captured == _FIELDS
    finally:
        view.close()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
