"""Rows of the database as the API and the pages show them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from hemaline_cloud.api.models import (
    BoxView,
    BundleRef,
    BundleView,
    CellView,
    CountsView,
    DeadLetterView,
    DeviceView,
    FieldDetail,
    FieldView,
    FrameView,
    HeatMapView,
    NotEnoughCellsView,
    PerhapsView,
    ResultView,
    RevisionView,
    SlideView,
)
from hemaline_cloud.api.order_models import PatientView
from hemaline_cloud.api.review_models import LabelView
from hemaline_cloud.api.words import explain
from hemaline_cloud.blasts import not_enough_cells
from hemaline_cloud.cell_classes import cell_class
from hemaline_cloud.database.labels import LabelRow
from hemaline_cloud.database.purposes import Sites
from hemaline_cloud.database.reading.cells import CellRow
from hemaline_cloud.database.reading.fields import FieldRow
from hemaline_cloud.database.reading.fleet import FleetDevice
from hemaline_cloud.database.reading.ledger import BundleRow, DeadLetterRow, FrameRow
from hemaline_cloud.database.reading.reviewed import Move
from hemaline_cloud.database.reading.slides import ResultRow, SlideRow
from hemaline_cloud.database.summary import (
    CHANGED_SINCE_SIGNING,
    SlideSummary,
    kept_urgency_flags,
    ledger_flags,
)
from hemaline_shared.ids import accession

API = "/api/v1"


def field_image(frame_id: UUID) -> str:
    """Return the address of a field's JPEG."""
    return f"{API}/fields/{frame_id}/image"


def cell_image(cell_id: UUID) -> str:
    """Return the address of a cell's PNG."""
    return f"{API}/cells/{cell_id}/image"


def cell_thumbnail(cell_id: UUID, px: int = 96) -> str:
    """Return the address of a cell's crop, made small."""
    return f"{API}/cells/{cell_id}/thumbnail{'' if px == 96 else f'?px={px}'}"


def heat_map_image(cell_id: UUID) -> str:
    """Return the address of a cell's heat map."""
    return f"{API}/cells/{cell_id}/heat-map.png"


def thumbnail(frame_id: UUID) -> str:
    """Return the address of a frame's thumbnail."""
    return f"{API}/frames/{frame_id}/thumbnail"


def slide_view(
    row: SlideRow, moves: Sequence[Move] = (), patient: PatientView | None = None
) -> SlideView:
    """Show a slide, with the cells that people call otherwise than the model.

    Args:
        row: The slide.
        moves: Of its cells, those that a person labelled.
        patient: Whose blood it is, if whoever asks may know.
    """
    result = row.result
    summary = SlideSummary.model_validate(result.content) if result else None
    frames = ledger_flags(
        captured=row.counts.captured,
        rejected=row.counts.rejected,
        quarantined=row.counts.quarantined,
    )
    kept = kept_urgency_flags(kept=row.urgency, result=summary.urgency) if summary else ()
    changed = (CHANGED_SINCE_SIGNING,) if row.changed_since_signing else ()
    return SlideView(
        slide_id=row.slide_id,
        accession=accession(row.slide_id),
        specimen_id=row.specimen_id,
        site=row.site,
        device=row.device,
        opened_at=row.opened_at,
        slide_name=row.slide_name,
        order_id=row.order_id,
        barcode=row.barcode,
        patient=patient,
        priority=row.priority,
        state=row.state,
        frames_expected=row.frames_expected,
        counts=CountsView.model_validate(row.counts),
        simulated=row.simulated,
        cells=summary.cells if summary else 0,
        cells_by_class=dict(sorted(summary.cells_by_class.items())) if summary else {},
        relabelled=len(moves),
        cells_by_class_reviewed=_reviewed(summary.cells_by_class if summary else {}, moves),
        flags=[*changed, *(summary.flags if summary else ()), *kept, *frames],
        urgency=row.urgency,
        review=row.review,
        changed_since_signing=row.changed_since_signing,
        ready_at=row.ready_at,
        reader_name=row.reader_name,
        second_reader_name=row.second_reader_name,
        machine_hidden=row.machine_hidden,
        trained=summary.trained if summary else None,
        bundle_id=result.bundle_id if result else None,
        revision=result.revision if result else None,
    )


def revision_view(row: ResultRow, *, current: bool) -> RevisionView:
    """Show what made a revision."""
    return RevisionView(
        revision=row.revision,
        computed_at=row.computed_at,
        reason=row.reason,
        bundle=_bundle_ref(row),
        current=current,
    )


def result_view(slide_id: UUID, result: ResultRow) -> ResultView:
    """Show one revision of a slide's result."""
    summary = SlideSummary.model_validate(result.content)
    wanted = not_enough_cells(summary.blasts)
    return ResultView(
        slide_id=slide_id,
        accession=accession(slide_id),
        revision=result.revision,
        computed_at=result.computed_at,
        reason=result.reason,
        bundle=_bundle_ref(result),
        summary=summary,
        not_enough_cells=NotEnoughCellsView(**wanted._asdict()) if wanted else None,
    )


def field_view(row: FieldRow) -> FieldView:
    """Show a field."""
    return FieldView(**_field(row))


def field_detail(
    row: FieldRow,
    cells: list[CellRow],
    answers: dict[str, Any] | None,
    labels: Mapping[UUID, LabelRow],
) -> FieldDetail:
    """Show a field with its cells and what was said of itself."""
    found = [cell_view(cell, labels.get(cell.cell_id)) for cell in cells]
    return FieldDetail(**_field(row), found=found, probabilities=answers)


def cell_view(row: CellRow, person: LabelRow | None = None) -> CellView:
    """Show a cell, and what a person called it."""
    return CellView(
        cell_id=row.cell_id,
        frame_id=row.frame_id,
        slide_id=row.slide_id,
        sequence=row.sequence,
        index=row.index,
        box=BoxView.model_validate(row.box),
        confidence=row.confidence,
        label=row.label,
        probability=row.probability,
        probabilities=row.probabilities,
        task=row.task or None,
        likeliest=row.likeliest,
        perhaps=PerhapsView.model_validate(row.perhaps) if row.perhaps else None,
        disagreement=row.disagreement,
        certainty=row.certainty,
        heat_map=_heat_map(row),
        counted=row.excluded is None,
        excluded=row.excluded,
        same_as=row.same_as,
        reviewed=label_view(person) if person and person.label else None,
        label_version=person.version if person else 0,
        image=cell_image(row.cell_id),
    )


def label_view(row: LabelRow) -> LabelView:
    """Show what a person called a cell."""
    return LabelView(
        cell_id=row.cell_id,
        label=cell_class(row.label),
        version=row.version,
        by_name=row.by_name,
        at=row.at,
        undone=row.undoes is not None,
    )


def frame_view(row: FrameRow) -> FrameView:
    """Show a line of the ledger."""
    # The gate may have several reasons; the ledger's own column holds the first.
    reasons = (row.quality or {}).get("reasons") or ([row.reason] if row.reason else [])
    return FrameView(
        frame_id=row.frame_id,
        slide_id=row.slide_id,
        accession=accession(row.slide_id),
        slide_name=row.slide_name,
        site=row.site,
        device=row.device,
        sequence=row.sequence,
        source=row.source,
        captured_at=row.captured_at,
        received_at=row.received_at,
        state=row.state,
        reason=row.reason,
        reasons=reasons,
        detail=row.detail,
        explanation=" ".join(map(explain, reasons)) or None,
        thumbnail=thumbnail(row.frame_id) if row.has_image else None,
    )


def dead_letter_view(row: DeadLetterRow) -> DeadLetterView:
    """Show a dead letter."""
    return DeadLetterView(
        dead_letter_id=row.dead_letter_id,
        topic=row.topic,
        message_id=row.message_id,
        reason=row.reason,
        detail=row.detail,
        explanation=explain(row.reason),
        size=row.size,
        received_at=row.received_at,
    )


def device_view(device: FleetDevice) -> DeviceView:
    """Show a device."""
    row, state = device.row, device.state
    told = row.told
    return DeviceView(
        site=row.site,
        device=row.device,
        state=state.word,
        reason=state.reason,
        connection=row.connection,
        connection_at=row.status_at,
        telemetry_at=row.telemetry_at,
        capture_at=row.capture_at,
        receipt_at=row.receipt_at,
        problems=told.get("problems", []),
        attention=sorted(device.attention),
        edge_version=row.edge_version,
        spool_frames=told.get("spool_frames"),
        spool_bytes=told.get("spool_bytes"),
        spool_quota_bytes=told.get("spool_quota_bytes"),
        waiting_since=row.waiting_since,
        disk_free_bytes=told.get("disk_free_bytes"),
        clock_ahead_s=row.clock_ahead_s,
        temperature_c=told.get("temperature_c"),
    )


def bundle_view(row: BundleRow, active: Sites, trial: Sites) -> BundleView:
    """Show a bundle, and at which sites its answers count or are only kept."""
    return BundleView(
        sha256=row.sha256,
        bundle_id=row.bundle_id,
        trained=row.trained,
        first_used_at=row.first_used_at,
        active=None if active.none else str(active),
        trial=None if trial.none else str(trial),
        manifest=row.manifest,
    )


def _bundle_ref(row: ResultRow) -> BundleRef:
    return BundleRef(bundle_id=row.bundle_id, sha256=row.bundle_sha256, trained=row.trained)


def _reviewed(by_model: Mapping[str, int], moves: Sequence[Move]) -> dict[str, int]:
    """Return the counts with each relabelled cell in the class where people see it."""
    counts = Counter(by_model)
    for move in moves:
        if move.of_model is not None:
            counts[move.of_model] -= 1
        counts[move.of_person] += 1
    return {label: cells for label, cells in sorted(counts.items()) if cells > 0}


def _heat_map(row: CellRow) -> HeatMapView | None:
    if row.heat_map is None:
        return None
    columns, rows = row.heat_map
    return HeatMapView(
        label=row.likeliest or row.label or "",
        columns=columns,
        rows=rows,
        image=heat_map_image(row.cell_id),
    )


def _field(row: FieldRow) -> dict[str, Any]:
    return {
        "frame_id": row.frame_id,
        "slide_id": row.slide_id,
        "sequence": row.sequence,
        "captured_at": row.captured_at,
        "state": row.state,
        "source": row.source,
        "edge_version": row.edge_version,
        "width": row.width,
        "height": row.height,
        "um_per_px": row.um_per_px,
        "scale_source": row.scale_source,
        "pixel_pipeline": row.pixel_pipeline,
        "finder": row.finder,
        "measures": row.quality.get("measures", {}),
        "cells": row.cells,
        "image": field_image(row.frame_id),
        "thumbnail": thumbnail(row.frame_id),
    }
