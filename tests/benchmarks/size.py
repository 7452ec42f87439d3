"""Bytes of the database a cell: `python tests/benchmarks/size.py`.

A hundred slides of 25 fields with eight cells each go through what ingest and workers write, with
the answers of the bundle that ships (three networks, three tasks, a heat map) and the classes of a
smear in which one cell in twenty is a blast. Ours is the size of every table with its indices,
divided by the cells; the baseline is the same answers as JSON text alone, as they were stored
before. The ratio is that of ours to the goal of 600 bytes.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from hemaline_cloud.database.answers import Answers
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.frames import (
    CellRow,
    FieldRow,
    FrameRow,
    record_fields,
    record_frames,
)
from hemaline_cloud.database.results import (
    BundleRecord,
    Prediction,
    register_bundle,
    save_slide_result,
    settle_with_result,
    store_field_predictions,
    store_predictions,
)
from hemaline_cloud.database.slides import SlideRow, open_slides
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_cloud.objects.keys import field_key
from hemaline_shared.ids import cell_id, new_id
from hemaline_shared.model_manifest import Manifest
from hemaline_shared.topics import DeviceName
from parts.postgres import PostgresPart, as_owner

GOAL = 600
_SLIDES, _FIELDS, _CELLS = 100, 25, 8
_SQUARES = 7
"""Of a heat map, on each side: what the networks that ship give."""
_LABELS = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "blast", "unclassified")
_SHARES = (0.5, 0.25, 0.06, 0.04, 0.05, 0.1)
_SHA256 = "1" * 64
_NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
_QUALITY = {
    "measures": {"focus": 182.437, "exposure": 0.6123, "stain": 0.4418, "density": 0.2311},
    "reasons": [],
}


def measure() -> dict[str, Any]:
    """Return bytes a cell, and where they are."""
    manifest = load_bundle(shipped_bundle()).manifest
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        Path(name).chmod(0o755)  # PostgreSQL runs as another user where this one is root
        postgres = PostgresPart(Path(name) / "postgres")
        postgres.start()
        try:
            engine = make_engine(as_owner(postgres.create_migrated()), statement_timeout_s=0)
            as_json = _fill(engine, manifest)
            tables = _tables(engine)
            engine.dispose()
        finally:
            postgres.stop()
    cells = _SLIDES * _FIELDS * _CELLS
    each = sum(tables.values()) / cells
    return {
        "ours": each,
        "baseline": as_json,
        "ratio": each / GOAL,
        "goal": 1.0,
        "unit": "B",
        "tables": {table: size / cells for table, size in tables.items()},
    }


def _fill(engine: Engine, manifest: Manifest) -> float:
    """Write the slides; return the bytes a cell of their answers as JSON."""
    random = np.random.default_rng(1)
    record = BundleRecord(_SHA256, "bench", trained=True, manifest=manifest.model_dump(mode="json"))
    with unit_of_work(engine) as connection:
        register_bundle(connection, record)
    as_json = 0
    for number in range(_SLIDES):
        as_json += _write_slide(engine, manifest, random)
        if number % 10 == 9:  # as the server does by itself, now and then
            with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(text("vacuum"))
    return as_json / (_SLIDES * _FIELDS * _CELLS)


def _write_slide(engine: Engine, manifest: Manifest, random: np.random.Generator) -> int:
    slide = SlideRow(new_id(), uuid4(), "north", "scope-1")
    with unit_of_work(engine) as connection:
        open_slides(connection, [(slide, _NOW)])
    as_json = 0
    for sequence in range(_FIELDS):
        frame = FrameRow(
            new_id(), slide.slide_id, "north", "scope-1", sequence, "folder", "0.1.0", _NOW, _NOW,
            "pending", quality=_QUALITY,
        )  # fmt: skip
        sha256 = random.bytes(32).hex()
        key = field_key(DeviceName("north", "scope-1"), frame.frame_id, sha256)
        field = FieldRow(
            frame.frame_id,
            "north",
            1280,
            960,
            0.1,
            "red-cells",
            "1",
            "combined-1",
            key,
            99_000,
            sha256,
        )
        cells = [
            CellRow(
                cell_id(frame.frame_id, index),
                frame.frame_id,
                "north",
                index,
                400,
                90,
                540,
                221,
                0.94,
            )
            for index in range(_CELLS)
        ]
        predictions = list(_predictions(manifest, cells, random))
        with unit_of_work(engine) as connection:
            record_frames(connection, [frame])
            record_fields(connection, [field], cells)
        with unit_of_work(engine) as connection:
            store_predictions(connection, _SHA256, predictions)
            said = {frame.frame_id: _answers(manifest, "field", random)}
            store_field_predictions(connection, _SHA256, said)
            settle_with_result(connection, [frame.frame_id])
            save_slide_result(
                connection, slide.slide_id, _SHA256, {"cells": sequence, "urgency": 0}
            )
        as_json += sum(len(json.dumps(one.probabilities)) for one in predictions)
    return as_json


def _predictions(
    manifest: Manifest, cells: list[CellRow], random: np.random.Generator
) -> Iterator[Prediction]:
    for cell, label in zip(cells, random.choice(_LABELS, len(cells), p=_SHARES), strict=True):
        answers = _answers(manifest, "cell", random)
        asked = {task.name for task in manifest.tasks if label in (task.asked_of or [label])}
        yield Prediction(
            cell.cell_id,
            cell.site,
            str(label),
            float(random.random()),
            {task: said for task, said in answers.items() if task in asked},
            float(random.random()),
            random.bytes(_SQUARES * _SQUARES),
            _SQUARES,
        )


def _answers(manifest: Manifest, view: str, random: np.random.Generator) -> Answers:
    names = [*(network.name for network in manifest.networks), "average"]
    return {
        task.name: {
            name: dict(
                zip(task.labels, random.dirichlet(np.ones(len(task.labels))).tolist(), strict=True)
            )
            for name in names
        }
        for task in manifest.tasks
        if task.view == view
    }


def _tables(engine: Engine) -> dict[str, int]:
    sizes = text(
        "select relname, pg_total_relation_size(oid) from pg_class"
        " where relkind = 'r' and relnamespace = 'public'::regnamespace"
    )
    with unit_of_work(engine) as connection:
        return {table: size for table, size in connection.execute(sizes) if size > 200_000}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
