"""Capture to readable result at light load: `python tests/benchmarks/latency.py`.

One simulated microscope sends a field every two seconds through the whole one-machine system. Ours:
from the moment of capture until the result is committed, from the ledger, and the time the API
takes to give it. Baseline: preprocessing and inference of such a field alone, in this process. The
goal is twice that and 200 ms, so `ratio` is ours over (2 x baseline + 200 ms), to be at most 1.
"""

import json
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.runtime import Networks
from hemaline_edge.simulator import SmearSettings, SmearSimulator
from hemaline_local.microscopes import Agents, Microscope, simulated
from hemaline_local.model import model_bundle
from hemaline_local.ports import free_port
from hemaline_local.results import read_slides
from hemaline_local.services import Layout
from hemaline_local.system import OneMachine
from hemaline_shared.packing import FieldImages, pack
from hemaline_shared.pixels.encode import encode_crop, encode_field
from hemaline_shared.pixels.leukocytes import CombinedFinder
from hemaline_shared.pixels.pipeline import preprocess
from hemaline_shared.pixels.scale import estimate_scale

GOAL = 1.0
_FIELDS = 16
_INTERVAL_S = "2"
_ALLOWANCE_MS = 200


def measure() -> dict[str, Any]:
    """Return milliseconds, ours and the bare stages', and their ratio to the goal."""
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        layout = Layout(Path(name) / "home", *(free_port() for _ in range(4)))
        with OneMachine(layout, lambda _line: None) as machine:
            ours = _ours(machine)
            reading = _reading_ms(layout, machine.accounts.token)
        baseline = _bare_ms(model_bundle())
    total = ours + reading
    return {
        "ours": total,
        "baseline": baseline,
        "ratio": total / (2 * baseline + _ALLOWANCE_MS),
        "goal": GOAL,
        "unit": "ms",
        "until_committed": ours,
        "reading": reading,
    }


def _ours(machine: OneMachine) -> float:
    (scope,) = simulated(1, 1, _FIELDS)
    paced = Microscope(scope.device, {**scope.source, "INTERVAL_S": _INTERVAL_S})
    with Agents([paced], machine.layout) as agents:
        while not agents.drained:
            time.sleep(0.5)
    with psycopg.connect(machine.database_url) as connection:
        rows = connection.execute(
            "select extract(epoch from settled_at - captured_at) * 1000 from frames"
            " where state = 'result' order by sequence"
        ).fetchall()
    return statistics.median(float(row[0]) for row in rows[1:])  # the first one warms up


def _reading_ms(layout: Layout, token: str) -> float:
    (slide,) = read_slides(layout.api_port, token)
    address = f"http://127.0.0.1:{layout.api_port}/api/v1/slides/{slide}/result"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    times = []
    for _ in range(10):
        started = time.perf_counter()
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _bare_ms(bundle: Path) -> float:
    """Preprocess and infer the same fields one by one."""
    cv2.setNumThreads(1)
    networks = Networks(load_bundle(bundle), "cpu")
    finder = CombinedFinder()
    smear = SmearSimulator(SmearSettings(seed=1))
    times = []
    for number in range(_FIELDS):
        image = smear.field(0, number).image
        started = time.perf_counter()
        field = preprocess(image, finder, estimate_scale(image))
        crops = tuple(encode_crop(cell.pixels) for cell in field.cells)
        pack(FieldImages(encode_field(field.image), crops))
        if field.cells:
            networks.logits(np.stack([cell.pixels for cell in field.cells]))
        times.append((time.perf_counter() - started) * 1000)
    networks.close()
    return statistics.median(times[1:])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
