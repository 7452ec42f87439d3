"""The worker against its bare networks: `python tests/benchmarks/worker.py`.

A queue of crops in a real PostgreSQL and a directory store is worked off by `hemaline-cloud infer`.
The baseline runs the same two networks over crops in memory, in a tight loop, in the arrangement
and at the batch size that are best in this run. Worker and baseline take turns, because a shared
machine's speed drifts; each ratio compares neighbours in time, and the median counts.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.inference.bundle import ModelBundle, load_bundle
from hemaline_cloud.inference.runtime import Networks
from hemaline_cloud.inference.untrained import ensure_untrained_bundle
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.settings import DirectoryObjects
from parts.postgres import PostgresPart
from parts.queued import queue_field, smooth_crops

GOAL = 0.95
_ROUNDS = 3
_BATCH_SIZES = (4, 8, 16)
_CELLS_A_FIELD = 8
_ROUND_S = 10
"""Long enough that a lease, a commit or a neighbour's burst does not decide."""

_Run = Callable[[np.ndarray], object]


def measure() -> dict[str, Any]:
    """Return crops per second of the worker (`ours`) and of the networks alone (`baseline`)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ensure_untrained_bundle(folder / "bundle")
        bundle = load_bundle(folder / "bundle")
        arrangement, run, batch_size = _best_baseline(bundle)
        fields = round(_rate(run, batch_size, 3) * _ROUND_S / _CELLS_A_FIELD) + 2 * batch_size
        with _spool(folder, batch_size) as (engine, store, environment):
            turns = [_rate(run, batch_size, _ROUND_S)]
            ours = []
            for _ in range(_ROUNDS):
                _fill_queue(engine, store, fields)
                ours.append(_worker_rate(engine, environment))
                turns.append(_rate(run, batch_size, _ROUND_S))
    baselines = [statistics.mean(pair) for pair in pairwise(turns)]
    ratios = [mine / bare for mine, bare in zip(ours, baselines, strict=True)]
    return {
        "ours": statistics.median(ours),
        "baseline": statistics.median(baselines),
        "ratio": statistics.median(ratios),
        "goal": GOAL,
        "unit": "crops/s",
        "ratios": ratios,
        "batch_size": batch_size,
        "baseline_arrangement": arrangement,
    }


def _best_baseline(bundle: ModelBundle) -> tuple[str, _Run, int]:
    networks = Networks(bundle, "cpu")
    plain = [
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for graph in bundle.graphs.values()
    ]
    arrangements: dict[str, _Run] = {
        "side by side": networks.logits,
        "one after the other": lambda crops: [
            session.run(["logits"], {"crops": crops}) for session in plain
        ],
    }
    found = [
        (_rate(run, size, 4), name, run, size)
        for name, run in arrangements.items()
        for size in _BATCH_SIZES
    ]
    _, name, run, size = max(found, key=lambda row: row[0])
    return name, run, size


def _rate(run: _Run, batch_size: int, seconds: float) -> float:
    crops = np.stack(smooth_crops(batch_size))
    run(crops)
    started = time.perf_counter()
    batches = 0
    while time.perf_counter() < started + seconds:
        run(crops)
        batches += 1
    return batches * batch_size / (time.perf_counter() - started)


@contextmanager
def _spool(folder: Path, batch_size: int) -> Iterator[tuple[Engine, ObjectStore, dict[str, str]]]:
    postgres = PostgresPart(folder / "postgres")
    postgres.start()
    url = postgres.create_migrated()
    engine = make_engine(url)
    environment = {
        **os.environ,
        "HEMALINE_DATABASE_URL": url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(folder / "objects"),
        "HEMALINE_BUNDLE": str(folder / "bundle"),
        "HEMALINE_BATCH_SIZE": str(batch_size),
    }
    try:
        yield engine, open_store(DirectoryObjects(path=folder / "objects")), environment
    finally:
        engine.dispose()
        postgres.stop()


def _fill_queue(engine: Engine, store: ObjectStore, fields: int) -> None:
    crops = smooth_crops(_CELLS_A_FIELD)
    for _ in range(fields):
        queue_field(engine, store, crops)


def _worker_rate(engine: Engine, environment: dict[str, str]) -> float:
    """Return crops per second from the first commit to the last: a worker's start is no work."""
    before = _ask(engine, "select now()")[0]
    command = [sys.executable, "-m", "hemaline_cloud", "infer"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:
        while _ask(engine, "select count(*) from work")[0]:
            if worker.poll() is not None:
                raise RuntimeError("the worker ended early")
            time.sleep(0.5)
        worker.terminate()
    cells, seconds = _ask(
        engine,
        "with settled as (select settled_at, count(cell_id) as cells from frames"
        f"  join cells using (frame_id) where settled_at > '{before}' group by settled_at)"
        " select sum(cells) filter (where settled_at > (select min(settled_at) from settled)),"
        " extract(epoch from max(settled_at) - min(settled_at)) from settled",
    )
    return float(cells) / float(seconds)


def _ask(engine: Engine, statement: str) -> tuple[Any, ...]:
    with unit_of_work(engine) as connection:
        return tuple(connection.execute(text(statement)).one())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201 - a script's answer
