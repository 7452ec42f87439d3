"""The worker against its bare networks: `python tests/benchmarks/worker.py`.

A queue of crops in a real PostgreSQL and a directory store is worked off by `hemaline-cloud infer`.
The baseline runs the same networks over the same crops in memory, in a tight loop, in the
arrangement and at the batch size that are best in this run. How many networks are asked of a cell
hangs on what it shows: with HEMALINE_DATA the crops are cells of patients that trained nothing,
else drawn noise. The two take turns of a few seconds, the worker stopped by a signal meanwhile,
because a shared machine's speed drifts: each ratio compares neighbours in time, and the median
counts. The processor time of a crop is measured beside it; it says how much the worker adds where
another program's load makes seconds meaningless.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
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
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import DirectoryObjects
from hemaline_local.model import model_bundle
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.data.catalogue import known_data_set
from hemaline_train.data.prepare import pixels_of
from hemaline_train.data.samples import read_samples
from parts.appointed import appointed
from parts.postgres import PostgresPart
from parts.queued import EACH_CELL, queue_field, smooth_crops

GOAL = 0.95
_ROUNDS = 5
_ROUND_S = 8.0
_BATCH_SIZES = (4, 8, 16)
_CELLS_A_FIELD = 8
_CELLS = 12 * _CELLS_A_FIELD
_DATA_SET = "aml-deepapl"
_TICKS_S = os.sysconf("SC_CLK_TCK")

_Run = Callable[[np.ndarray], object]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What was done in one turn, in how much time by the clock and of the processors."""

    crops: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.crops / self.seconds

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_seconds / self.crops


def measure() -> dict[str, Any]:
    """Return crops per second of the worker (`ours`) and of the networks alone (`baseline`)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = load_bundle(model_bundle())
        arrangement, run, batch_size = _best_baseline(bundle)
        bare = [_bare_turn(run, batch_size, _ROUND_S)]
        # Twice what a steady machine needs, and a start: the queue must not run dry.
        fields = round(bare[0].rate * _ROUND_S * _ROUNDS * 2 / _CELLS_A_FIELD) + 8 * batch_size
        ours = []
        with _spool(folder, batch_size, fields) as (engine, worker):
            for _ in range(_ROUNDS):
                ours.append(_worker_turn(engine, worker))
                bare.append(_bare_turn(run, batch_size, _ROUND_S))
    neighbours = [statistics.mean(turn.rate for turn in pair) for pair in pairwise(bare)]
    ratios = [mine.rate / both for mine, both in zip(ours, neighbours, strict=True)]
    return {
        "ours": statistics.median(turn.rate for turn in ours),
        "baseline": statistics.median(neighbours),
        "ratio": statistics.median(ratios),
        "goal": GOAL,
        "unit": "crops/s",
        "ratios": ratios,
        "cpu_ms_a_crop": statistics.median(turn.cpu_ms for turn in ours),
        "baseline_cpu_ms_a_crop": statistics.median(turn.cpu_ms for turn in bare),
        "bundle": bundle.manifest.bundle_id,
        "cells": _DATA_SET if "HEMALINE_DATA" in os.environ else "noise",
        "batch_size": batch_size,
        "baseline_arrangement": arrangement,
    }


@cache
def _crops() -> list[RgbImage]:
    """Return the crops of a queue, a multiple of a field's."""
    if "HEMALINE_DATA" not in os.environ:
        return smooth_crops(_CELLS_A_FIELD)
    folder = Path(os.environ["HEMALINE_DATA"]) / _DATA_SET
    unseen = [one for one in read_samples(known_data_set(_DATA_SET), folder) if one.split == "val"]
    return [pixels_of(one) for one in unseen[:: len(unseen) // _CELLS][:_CELLS]]


def _best_baseline(bundle: ModelBundle) -> tuple[str, _Run, int]:
    networks = Networks(bundle, "cpu")
    plain = [
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for graph in bundle.graphs.values()
    ]
    arrangements: dict[str, _Run] = {
        "as the bundle asks": lambda crops: networks.look(
            crops, np.ones(len(crops), np.bool_)
        ).result(),
        "side by side": networks.logits,
        "one after the other": lambda crops: [
            session.run(["logits"], {"crops": crops}) for session in plain
        ],
    }
    found = [
        (_bare_turn(run, size, _ROUND_S / 2).rate, name, run, size)
        for name, run in arrangements.items()
        for size in _BATCH_SIZES
    ]
    _, name, run, size = max(found, key=lambda row: row[0])
    return name, run, size


def _bare_turn(run: _Run, batch_size: int, seconds: float) -> _Turn:
    every = _crops()
    batches = [
        np.stack([every[place % len(every)] for place in range(start, start + batch_size)])
        for start in range(0, len(every), batch_size)
    ]
    run(batches[0])
    started, cpu_started = time.perf_counter(), time.process_time()
    done = 0
    while time.perf_counter() < started + seconds:
        run(batches[done // batch_size % len(batches)])
        done += batch_size
    return _Turn(done, time.perf_counter() - started, time.process_time() - cpu_started)


def _worker_turn(engine: Engine, worker: subprocess.Popen[bytes]) -> _Turn:
    """Let the worker go on for a while, from one of its commits to another."""
    worker.send_signal(signal.SIGCONT)
    before, started, cpu_started = _next_commit(engine, worker)
    done, now, cpu = before, started, cpu_started
    while now < started + _ROUND_S:
        done, now, cpu = _next_commit(engine, worker)
    worker.send_signal(signal.SIGSTOP)
    return _Turn(done - before, now - started, cpu - cpu_started)


def _next_commit(engine: Engine, worker: subprocess.Popen[bytes]) -> tuple[int, float, float]:
    """Wait until more is stored; return how much in all, when, and the processor time till then."""
    before = _stored(engine)
    while (done := _stored(engine)) == before:
        assert worker.poll() is None, "the worker ended early"
        time.sleep(0.02)
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
    return done, time.perf_counter(), (int(fields[11]) + int(fields[12])) / _TICKS_S


def _stored(engine: Engine) -> int:
    with unit_of_work(engine) as connection:
        return int(connection.scalar(text(f"select count(*) from {EACH_CELL}")) or 0)


@contextmanager
def _spool(
    folder: Path, batch_size: int, fields: int
) -> Iterator[tuple[Engine, subprocess.Popen[bytes]]]:
    """Fill a queue, and start a worker on it that has stored its first results."""
    postgres = PostgresPart(folder / "postgres")
    postgres.start()
    url = postgres.create_migrated()
    appointed(url, model_bundle())
    engine = make_engine(url, principal=service("tests"))
    store = open_store(DirectoryObjects(path=folder / "objects"))
    every = _crops()
    for field in range(fields):
        start = field * _CELLS_A_FIELD % len(every)
        queue_field(engine, store, every[start : start + _CELLS_A_FIELD])
    environment = {
        **os.environ,
        "HEMALINE_DATABASE_URL": url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(folder / "objects"),
        "HEMALINE_BUNDLE": str(model_bundle()),
        "HEMALINE_BATCH_SIZE": str(batch_size),
    }
    command = [sys.executable, "-m", "hemaline_cloud", "infer"]
    try:
        with subprocess.Popen(command, env=environment, stderr=sys.stderr) as worker:
            _next_commit(engine, worker)
            try:
                yield engine, worker
            finally:
                worker.kill()
    finally:
        engine.dispose()
        postgres.stop()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201 - a script's answer
