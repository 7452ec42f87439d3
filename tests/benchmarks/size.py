"""Bytes of the database a cell: `python tests/benchmarks/size.py`.

Slides of 25 fields with eight cells each go the way of real ones: recorded and queued as ingest
does, leased and settled eight fields at a time as a worker does, closed by their device. The
answers are of the shape of the bundle that ships (three networks, three tasks, a heat map), the
classes those of a smear in which one cell in twenty is a blast; every field has a look, one cell in
eight is cut by the border, and one field of a slide shows the place of the one before again. The
server vacuums by itself, by its own rule, looking every two seconds, in which a few slides come.

Ours is by how much a hundred slides make all tables and indices larger, divided by their cells; the
first 25 slides came before that, for an index of one row takes sixteen kilobytes. The last slide is
open: its fields' looks are there. The baseline is the same answers as JSON text alone, as they were
stored before. The ratio is that of ours to the goal of 600 bytes.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from drawn_fields import draw_field
from hemaline_cloud.database.answers import Answers
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.frames import (
    CellRow,
    FieldRow,
    FrameRow,
    record_fields,
    record_frames,
)
from hemaline_cloud.database.results import BundleRecord, cells_of, register_bundle
from hemaline_cloud.database.slides import SlideRow, close_slide, open_slides
from hemaline_cloud.database.work import Room, enqueue, lease
from hemaline_cloud.inference.bundle import ModelBundle, load_bundle
from hemaline_cloud.inference.heat_maps import HeatMap
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.inference.settling import JudgedField, Settler
from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_cloud.inference.verdicts import Verdict
from hemaline_cloud.objects.keys import field_key
from hemaline_shared.ids import cell_id, new_id
from hemaline_shared.model_manifest import Manifest
from hemaline_shared.pixels.repeats import Look
from hemaline_shared.topics import DeviceName
from parts.postgres import PostgresPart, as_owner

GOAL = 600
_BEFORE, _SLIDES, _FIELDS, _CELLS = 25, 100, 25, 8
_TOGETHER = 8
"""Fields that a worker settles in one transaction."""
_WIDTH, _HEIGHT = 1280, 960
_SQUARES = 7
"""Of a heat map, on each side: what the networks that ship give."""
_LABELS = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "blast", "unclassified")
_SHARES = (0.5, 0.25, 0.06, 0.04, 0.05, 0.1)
_NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
_QUALITY = {
    "measures": {"focus": 182.437, "exposure": 0.6123, "stain": 0.4418, "density": 0.2311},
    "reasons": [],
}


def measure() -> dict[str, Any]:
    """Return bytes a cell, and where they are."""
    with tempfile.TemporaryDirectory(prefix="hemaline-bench-") as name:
        Path(name).chmod(0o755)  # PostgreSQL runs as another user where this one is root
        postgres = PostgresPart(Path(name) / "postgres")
        postgres.start()
        try:
            engine = make_engine(as_owner(postgres.create_migrated()), statement_timeout_s=0)
            slides = _Slides(engine)
            slides.write(_BEFORE)
            before = _tables(engine)
            as_json = slides.write(_SLIDES, last_is_open=True)
            tables, looks = _tables(engine), _looks(engine)
            engine.dispose()
        finally:
            postgres.stop()
    cells = _SLIDES * _FIELDS * _CELLS
    grown = {table: (size - before[table]) / cells for table, size in tables.items()}
    each = sum(grown.values())
    return {
        "ours": each,
        "baseline": as_json / cells,
        "ratio": each / GOAL,
        "goal": 1.0,
        "unit": "B",
        "tables": {table: size for table, size in grown.items() if size >= 1},
        "look": looks,
    }


class _Slides:
    """Writes slides as ingest and a worker do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._random = np.random.default_rng(1)
        self._bundle: ModelBundle = load_bundle(shipped_bundle())
        self._settler = Settler(engine, "bench", self._bundle)
        self._looks = [
            Look.of(draw_field(_WIDTH, _HEIGHT, _CELLS, seed, red_cells=260).image).pack()
            for seed in range(_FIELDS)
        ]
        self._as_json = 0
        self._prepare()

    def write(self, slides: int, *, last_is_open: bool = False) -> int:
        """Write so many; return the bytes of their answers as JSON."""
        self._as_json = 0
        for number in range(1, slides + 1):
            self._write_slide(closed=number < slides or not last_is_open)
        return self._as_json

    def _prepare(self) -> None:
        manifest = self._bundle.manifest
        record = BundleRecord(
            self._bundle.sha256, "bench", trained=True, manifest=manifest.model_dump(mode="json")
        )
        with unit_of_work(self._engine) as connection:
            register_bundle(connection, record)
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with autocommit.connect() as connection:
            connection.execute(text("alter system set autovacuum_naptime = 2"))
            connection.execute(text("select pg_reload_conf()"))

    def _write_slide(self, *, closed: bool) -> None:
        slide = SlideRow(new_id(), uuid4(), "north", "scope-1")
        with unit_of_work(self._engine) as connection:
            open_slides(connection, [(slide, _NOW)])
        frames = [self._record(slide.slide_id, sequence) for sequence in range(_FIELDS)]
        if closed:
            with unit_of_work(self._engine) as connection:
                close_slide(connection, slide.slide_id, _FIELDS)
        for start in range(0, _FIELDS, _TOGETHER):
            self._settle(frames[start : start + _TOGETHER], start)

    def _record(self, slide_id: UUID, sequence: int) -> UUID:
        frame = FrameRow(
            new_id(), slide_id, "north", "scope-1", sequence, "folder", "0.1.0", _NOW, _NOW,
            "pending", quality=_QUALITY,
        )  # fmt: skip
        sha256 = self._random.bytes(32).hex()
        key = field_key(DeviceName("north", "scope-1"), frame.frame_id, sha256)
        field = FieldRow(
            frame.frame_id, "north", _WIDTH, _HEIGHT, 0.1, "red-cells", "1", "combined-1", key,
            99_000, sha256,
        )  # fmt: skip
        cells = [
            CellRow(
                cell_id(frame.frame_id, at), frame.frame_id, "north", at, 140 * at, 390,
                140 * at + 130, 521, 0.94,
            )
            for at in range(_CELLS)
        ]  # fmt: skip
        with unit_of_work(self._engine) as connection:
            record_frames(connection, [frame])
            record_fields(connection, [field], cells)
            enqueue(connection, [frame.frame_id])
        return frame.frame_id

    def _settle(self, frames: Sequence[UUID], start: int) -> None:
        with unit_of_work(self._engine) as connection:
            leased = lease(connection, "bench", Room(["1"], fields=len(frames)), 60).fields
            cells = cells_of(connection, frames)
        judged = []
        for sequence, field in enumerate(leased, start):
            manifest = self._bundle.manifest
            verdicts = list(self._verdicts(manifest))
            self._as_json += sum(len(json.dumps(one.probabilities)) for one in verdicts)
            said = _answers(manifest, "field", self._random)
            shown = sequence - 1 if sequence == _FIELDS - 1 else sequence
            held = HeldField(field, cells[field.frame_id])
            judged.append(JudgedField(held, verdicts, said, self._looks[shown]))
        self._settler.settle(judged)

    def _verdicts(self, manifest: Manifest) -> Iterator[Verdict]:
        for label in self._random.choice(_LABELS, _CELLS, p=_SHARES).tolist():
            answers = _answers(manifest, "cell", self._random)
            asked = {task.name for task in manifest.tasks if label in (task.asked_of or [label])}
            yield Verdict(
                label,
                None if label == "unclassified" else label,
                float(self._random.random()),
                {task: said for task, said in answers.items() if task in asked},
                float(self._random.random()),
                HeatMap(_SQUARES, self._random.bytes(_SQUARES * _SQUARES)),
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
        return dict(connection.execute(sizes).tuples().all())


def _looks(engine: Engine) -> dict[str, float]:
    """Return how many fields have a look, all of open slides, and the bytes of one."""
    kept = text("select count(*), coalesce(avg(length(look)), 0) from field_looks")
    with unit_of_work(engine) as connection:
        count, size = connection.execute(kept).one()
    return {"kept": count, "bytes": float(size)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
