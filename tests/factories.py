"""Rows and images as the pipeline would have stored them, for tests of what reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import cv2
from sqlalchemy import Engine, cast, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from drawn_fields import Drawn, draw_field
from hemaline_cloud.database.answers import AnswerLayout
from hemaline_cloud.database.engine import make_engine
from hemaline_cloud.database.labels import NewLabel, add_labels, placed_cells
from hemaline_cloud.database.order_links import link_scanned, unlink
from hemaline_cloud.database.orders import add_order
from hemaline_cloud.database.reading.slides import get_slide
from hemaline_cloud.database.results import (
    PredictedField,
    Prediction,
    cells_of,
    store_predictions,
)
from hemaline_cloud.database.schema import (
    Bundle,
    Cell,
    CellPredictions,
    DeadLetter,
    Device,
    FieldOfView,
    FieldPrediction,
    Frame,
    ResultRevision,
    Signature,
    Slide,
)
from hemaline_cloud.objects.keys import dead_letter_key, field_key
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.orders.identity import IdentityKeys
from hemaline_cloud.orders.order import BloodCount, NewOrder, PatientIdentity
from hemaline_cloud.principal import service
from hemaline_cloud.review.report import SignedReport
from hemaline_shared.ids import accession, cell_id, new_id
from hemaline_shared.packing import pack, sha256_hex
from hemaline_shared.pixels.encode import encode_thumbnail
from hemaline_shared.topics import DeviceName

SITE, DEVICE = "north", "scope-1"
UNTRAINED = "0" * 64
TRAINED = "1" * 64
LABELS = ("blast", "neutrophil", "lymphocyte", "monocyte", "eosinophil")
_NETWORKS = ("resnet34", "densenet121")
_MANIFEST: dict[str, Any] = {
    "tasks": [
        {"name": "cell-class", "view": "cell", "labels": list(LABELS)},
        {
            "name": "all-subtype",
            "view": "field",
            "labels": ["benign", "early-pre-b", "pre-b", "pro-b"],
        },
    ],
    "networks": [{"name": name} for name in _NETWORKS],
}
IDENTITY_KEY = "a key of identities, of 32 letters or more"
OPENED = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


@dataclass
class SlideMade:
    slide_id: UUID
    simulated: bool
    specimen_id: UUID = field(default_factory=uuid4)
    sequence: int = 0
    fields: list[UUID] = field(default_factory=list)
    frames: list[UUID] = field(default_factory=list)
    labels: dict[UUID, str] = field(default_factory=dict)
    signatures: list[UUID] = field(default_factory=list)
    orders: list[UUID] = field(default_factory=list)
    patients: list[UUID] = field(default_factory=list)


class Factory:
    """Makes what a test needs; each call is one committed transaction."""

    def __init__(self, database_url: str, store: ObjectStore) -> None:
        self.engine: Engine = make_engine(database_url, principal=service("tests"))
        self.store = store
        self._insert(
            Bundle,
            *(
                {
                    "sha256": sha256,
                    "bundle_id": bundle_id,
                    "trained": trained,
                    "manifest": _MANIFEST | {"bundle_id": bundle_id},
                    "first_used_at": OPENED,
                }
                for sha256, bundle_id, trained in (
                    (UNTRAINED, "untrained-1", False),
                    (TRAINED, "cells-1", True),
                )
            ),
        )

    def close(self) -> None:
        self.engine.dispose()

    def slide(
        self,
        *,
        opened_at: datetime = OPENED,
        simulated: bool = False,
        slide_id: UUID | None = None,
        specimen_id: UUID | None = None,
        slide_name: str | None = None,
        priority: str = "routine",
    ) -> SlideMade:
        made = SlideMade(slide_id or new_id(), simulated, specimen_id or uuid4())
        self._insert(
            Slide,
            {
                "slide_id": made.slide_id,
                "specimen_id": made.specimen_id,
                "site": SITE,
                "device": DEVICE,
                "opened_at": opened_at,
                "slide_name": slide_name,
                "priority": priority,
                "frames_expected": None,
            },
        )
        return made

    def close_slide(self, slide: SlideMade, frames: int | None = None) -> None:
        expected = len(slide.frames) if frames is None else frames
        with self.engine.begin() as connection:
            connection.execute(
                update(Slide)
                .where(Slide.slide_id == slide.slide_id)
                .values(frames_expected=expected)
            )

    def field(self, slide: SlideMade, drawn: Drawn | None = None) -> UUID:
        """A stored field that waits for the model."""
        drawn = drawn or draw_field(seed=slide.sequence)
        packed = pack(drawn.images)
        frame_id = self._frame(slide, "pending")
        sha256 = sha256_hex(packed)
        key = field_key(DeviceName(SITE, DEVICE), frame_id, sha256)
        self.store.put(key, packed)
        height, width = drawn.image.shape[:2]
        self._insert(
            FieldOfView,
            {
                "frame_id": frame_id,
                "width": width,
                "height": height,
                "um_per_px": 0.12,
                "scale_source": "red-cells",
                "pixel_pipeline": "1",
                "finder": "classical-1",
                "object_key": key,
                "object_size": len(packed),
                "object_sha256": sha256,
            },
        )
        self._insert(
            Cell,
            *(
                {
                    "cell_id": cell_id(frame_id, index),
                    "frame_id": frame_id,
                    "index": index,
                    "left": box.left,
                    "top": box.top,
                    "right": box.right,
                    "bottom": box.bottom,
                    "confidence": 0.9,
                }
                for index, box in enumerate(drawn.boxes)
            ),
        )
        slide.fields.append(frame_id)
        slide.labels |= {cell_id(frame_id, index): "" for index in range(len(drawn.boxes))}
        return frame_id

    def rejected(self, slide: SlideMade, *reasons: str) -> UUID:
        reasons = reasons or ("out-of-focus",)
        return self._frame(
            slide,
            "rejected",
            reason=reasons[0],
            detail=", ".join(reasons),
            quality={"measures": {}, "reasons": list(reasons)},
            thumbnail=encode_thumbnail(cv2.blur(draw_field().image, (25, 25))),
        )

    def quarantined(self, slide: SlideMade, reason: str = "truncated") -> UUID:
        return self._frame(slide, "quarantined", reason=reason, detail="The file ends too early.")

    def untrained_result(self, slide: SlideMade, revision: int = 1) -> None:
        """All fields of the slide get a result from the untrained bundle."""
        labels = dict.fromkeys(slide.labels, "unclassified")
        self._predict(slide, labels, UNTRAINED, None)
        self._result(slide, UNTRAINED, revision, self._summary(slide, labels, UNTRAINED))

    def trained_result(
        self,
        slide: SlideMade,
        *,
        urgency: int = 0,
        labels: tuple[str, ...] = LABELS,
        **more: Any,
    ) -> None:
        """All cells get a class in turn, each a little more certain than the one before.

        `more` are further parts of the slide's summary.
        """
        called = {cell: labels[n % len(labels)] for n, cell in enumerate(slide.labels)}
        self._predict(slide, called, TRAINED, 0.5)
        summary = self._summary(slide, called, TRAINED)
        summary |= {"urgency": urgency, "differential": _differential(called)}
        if urgency:
            flag = {"code": "blasts-present", "text": "Some leukocytes look like blasts."}
            summary["flags"] = [flag]
        summary |= more
        self._result(slide, TRAINED, 1, summary)

    def field_answers(self, frame_id: UUID, said: dict[str, Any]) -> None:
        """What the trained bundle said of a whole field."""
        self._insert(
            FieldPrediction,
            {
                "frame_id": frame_id,
                "bundle": self._number(TRAINED),
                "probabilities": AnswerLayout.of(_MANIFEST, "field").pack(said),
            },
        )

    def change_cell(
        self, cell: UUID, *, label: str | None = None, disagreement: float | None = None
    ) -> None:
        """Let the prediction of one cell be another."""
        with self.engine.begin() as connection:
            found = select(Cell.frame_id, Cell.index).where(Cell.cell_id == cell)
            frame_id, index = connection.execute(found).one()
            whose = CellPredictions.frame_id == frame_id
            said = select(CellPredictions.labels, CellPredictions.disagreements).where(whose)
            joined, disagreements = connection.execute(said).one()
            labels = joined.split(",")
            labels[index] = label or labels[index]
            if disagreement is not None:
                disagreements[index] = disagreement
            connection.execute(
                update(CellPredictions)
                .where(whose)
                .values(labels=",".join(labels), disagreements=disagreements)
            )

    def newer_result(self, slide: SlideMade, **parts: Any) -> None:
        """Another revision of the slide's result that differs in some parts."""
        columns = ("slide_id", "bundle", "computed_at", "inputs")
        newest = (
            select(
                *(getattr(ResultRevision, name) for name in columns),
                ResultRevision.revision + 1,
                literal("recount"),
                ResultRevision.content.op("||")(cast(parts, JSONB)),
            )
            .where(ResultRevision.slide_id == slide.slide_id)
            .order_by(ResultRevision.revision.desc())
            .limit(1)
        )
        names = [*columns, "revision", "reason", "content"]
        with self.engine.begin() as connection:
            connection.execute(insert(ResultRevision).from_select(names, newest))

    def signature(self, slide: SlideMade, revision: int = 1) -> UUID:
        """A person's signature, beside all rules of signing."""
        signature_id = new_id()
        report = self._report(slide, signature_id, revision)
        self._insert(
            Signature,
            {
                "signature_id": signature_id,
                "slide_id": slide.slide_id,
                "site": SITE,
                "revision": revision,
                "signed_by": "p-ada",
                "signed_by_name": "Ada",
                "policy_version": 0,
                "report": report,
                "report_sha256": sha256_hex(report.encode()),
            },
        )
        slide.signatures.append(signature_id)
        return signature_id

    def signed_label(self, slide: SlideMade, label: str = "blast") -> UUID:
        """A person's name for the slide's first cell, and their signature after it."""
        cell = next(iter(slide.labels))
        with self.engine.begin() as connection:
            new = [NewLabel(cell, label, 0)]
            add_labels(connection, service("tests"), placed_cells(connection, [cell]), new)
        self.signature(slide)
        with self.engine.begin() as connection:
            whose = Slide.slide_id == slide.slide_id
            connection.execute(update(Slide).where(whose).values(review="signed"))
        return cell

    def order(
        self,
        slide: SlideMade,
        barcode: str,
        name: str = "Example, Erin",
        blood_count: BloodCount | None = None,
    ) -> UUID:
        """An order of somebody, to which the slide is linked."""
        patient = PatientIdentity(identifier=name, name=name, birth_date=date(1980, 5, 17))
        who = service("tests")
        with self.engine.begin() as connection:
            counted = blood_count or BloodCount()
            new = NewOrder(barcode=barcode, patient=patient, blood_count=counted)
            added = add_order(connection, who, IdentityKeys([IDENTITY_KEY]), SITE, new)
            row = get_slide(connection, slide.slide_id)
            assert row
            made = link_scanned(connection, who, row, barcode)
        assert made.patient_id
        slide.orders.append(added.order_id)
        slide.patients.append(made.patient_id)
        return added.order_id

    def unlink(self, slide: SlideMade) -> None:
        """Take the slide's order away again."""
        with self.engine.begin() as connection:
            row = get_slide(connection, slide.slide_id)
            assert row
            unlink(connection, service("tests"), row)

    def _report(self, slide: SlideMade, signature_id: UUID, revision: int) -> str:
        columns = (ResultRevision.content, ResultRevision.computed_at, Bundle.sha256)
        result = (
            select(*columns)
            .join(Bundle, Bundle.number == ResultRevision.bundle)
            .where(ResultRevision.slide_id == slide.slide_id, ResultRevision.revision == revision)
        )
        with self.engine.begin() as connection:
            content, computed_at, bundle = connection.execute(result).one()
        return SignedReport(
            signature_id=signature_id,
            slide_id=slide.slide_id,
            accession=accession(slide.slide_id),
            specimen_id=slide.specimen_id,
            slide_name=None,
            site=SITE,
            device=DEVICE,
            simulated=slide.simulated,
            revision=revision,
            computed_at=computed_at,
            bundle_id="cells-1",
            bundle_sha256=bundle,
            trained=True,
            result=content,
            cells_by_model={},
            cells_by_reader={},
            labels=(),
            policy_version=0,
            cells_to_see={},
            signed_by="p-ada",
            signed_by_name="Ada",
            signed_at=OPENED,
        ).model_dump_json()

    def exclude(self, cell: UUID, reason: str, same_as: UUID | None = None) -> None:
        """A cell is found not to count."""
        with self.engine.begin() as connection:
            connection.execute(
                update(Cell).where(Cell.cell_id == cell).values(excluded=reason, same_as=same_as)
            )

    def predict_besides(self, slide: SlideMade, label: str) -> None:
        """A bundle that is newer than all others looks at the slide's cells; it does not count."""
        sha256 = "2" * 64
        self._insert(
            Bundle,
            {
                "sha256": sha256,
                "bundle_id": "cells-2",
                "trained": True,
                "manifest": _MANIFEST,
                "first_used_at": OPENED + timedelta(days=1),
            },
        )
        self._predict(slide, dict.fromkeys(slide.labels, label), sha256, 0.5)

    def quarantine_stored(self, frame_id: UUID, reason: str) -> None:
        """A worker finds a stored field unusable."""
        with self.engine.begin() as connection:
            connection.execute(
                update(Frame)
                .where(Frame.frame_id == frame_id)
                .values(state="quarantined", reason=reason, detail=reason)
            )

    def device(
        self,
        device: str = DEVICE,
        *,
        online: bool = True,
        stopped: bool = False,
        captured_at: datetime | None = None,
        problems: Sequence[str] = (),
        site: str = SITE,
        spooled: int = 0,
        at: datetime = OPENED + timedelta(minutes=5),
        clock_ahead: timedelta = timedelta(0),
    ) -> None:
        self._insert(
            Device,
            {
                "site": site,
                "device": device,
                "online": online,
                "stopped": stopped,
                "capture_at": captured_at,
                "session": 1,
                "edge_version": "0.1.0",
                "status_at": OPENED,
                "telemetry": {
                    "at": (at + clock_ahead).isoformat(),
                    "spool_frames": spooled,
                    "spool_bytes": spooled * 800_000,
                    "spool_quota_bytes": 20_000_000_000,
                    "oldest_spooled_at": OPENED.isoformat() if spooled else None,
                    "disk_free_bytes": 81_000_000_000,
                    "problems": list(problems),
                },
                "telemetry_at": at,
            },
        )

    def dead_letter(self, reason: str = "not-cbor", at: datetime = OPENED) -> UUID:
        dead_letter_id = new_id()
        self._insert(
            DeadLetter,
            {
                "dead_letter_id": dead_letter_id,
                "topic": f"hemaline/v1/{SITE}/{DEVICE}/field",
                "message_id": None,
                "reason": reason,
                "detail": "the payload is not CBOR",
                "object_key": dead_letter_key(dead_letter_id),
                "size": 12,
                "received_at": at,
            },
        )
        return dead_letter_id

    def _frame(self, slide: SlideMade, state: str, **values: Any) -> UUID:
        slide.sequence += 1
        frame_id = new_id()
        at = OPENED + timedelta(seconds=slide.sequence)
        row = {
            "frame_id": frame_id,
            "slide_id": slide.slide_id,
            "site": SITE,
            "device": DEVICE,
            "sequence": slide.sequence,
            "source": "simulator" if slide.simulated else "folder",
            "edge_version": "0.1.0",
            "captured_at": at,
            "received_at": at,
            "state": state,
            "reason": None,
            "detail": None,
            "quality": {"measures": {"focus": 180.5}, "reasons": []},
            "thumbnail": None,
            "settled_at": None,
        }
        self._insert(Frame, row | values)
        slide.frames.append(frame_id)
        return frame_id

    def _predict(
        self, slide: SlideMade, labels: dict[UUID, str], bundle: str, certainty: float | None
    ) -> None:
        said = {}
        for place, (cell, label) in enumerate(labels.items()):
            if certainty is None:
                said[cell] = Prediction(label, None, None)
                continue
            probability = min(0.99, certainty + place / 100)
            answers = {"cell-class": _answer(label, probability)}
            said[cell] = Prediction(label, probability, answers, 0.0, _HEAT, 4)
        with self.engine.begin() as connection:
            fields = [
                PredictedField(frame_id, SITE, [said[cell] for cell in cells])
                for frame_id, cells in cells_of(connection, slide.fields).items()
            ]
            store_predictions(connection, bundle, fields)

    def _result(
        self, slide: SlideMade, bundle: str, revision: int, summary: dict[str, Any]
    ) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                update(Frame)
                .where(Frame.frame_id.in_(slide.fields))
                .values(state="result", settled_at=OPENED, judged_by=self._number(bundle))
            )
            connection.execute(
                insert(ResultRevision).values(
                    slide_id=slide.slide_id,
                    revision=revision,
                    bundle=self._number(bundle),
                    computed_at=OPENED,
                    reason="new-frames",
                    inputs=None,
                    content=summary,
                )
            )

    def _summary(self, slide: SlideMade, labels: dict[UUID, str], bundle: str) -> dict[str, Any]:
        trained = bundle == TRAINED
        name = "cells-1" if trained else "untrained-1"
        by_class: dict[str, int] = {}
        for label in labels.values():
            by_class[label] = by_class.get(label, 0) + 1
        untrained = {
            "code": "untrained-model",
            "text": "Cells are counted, not classified: this model is untrained.",
        }
        return {
            "trained": trained,
            "fields": len(slide.fields),
            "cells": len(labels),
            "cells_by_class": by_class,
            "differential": None,
            "blasts": None,
            "flags": [] if trained else [untrained],
            "urgency": 0,
            "made_by": {
                "bundles": [
                    {
                        "bundle_id": name,
                        "sha256": bundle,
                        "trained": trained,
                        "cells": len(labels),
                    }
                ],
                "pixel_pipelines": ["1"],
                "finders": ["classical-1"],
                "edge_versions": ["0.1.0"],
            },
        }

    def _number(self, sha256: str) -> int:
        with self.engine.connect() as connection:
            return connection.scalars(select(Bundle.number).where(Bundle.sha256 == sha256)).one()

    def _insert(self, table: type, *rows: dict[str, Any]) -> None:
        if rows:
            with self.engine.begin() as connection:
                connection.execute(insert(table), list(rows))


_HEAT = bytes([0, 0, 40, 0, 0, 120, 255, 60, 0, 90, 200, 30, 0, 0, 20, 0])
"""Sixteen squares, the strongest right of the middle."""


def _answer(label: str, probability: float) -> dict[str, dict[str, float]]:
    others = [other for other in LABELS if other != label]
    average = {label: probability} | dict.fromkeys(others, (1 - probability) / len(others))
    return dict.fromkeys((*_NETWORKS, "average"), average)


def _differential(labels: dict[UUID, str]) -> list[dict[str, Any]]:
    names = list(labels.values())
    return [
        {
            "label": label,
            "cells": names.count(label),
            "fraction": names.count(label) / len(names),
            "low": max(0.0, names.count(label) / len(names) - 0.06),
            "high": min(1.0, names.count(label) / len(names) + 0.08),
        }
        for label in sorted(set(names))
    ]
