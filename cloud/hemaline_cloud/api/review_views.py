"""Rows of the review as the API and the pages show them."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from hemaline_cloud.api.review_models import (
    AgreementView,
    CellToSee,
    MachineView,
    MorphologyView,
    ReadingsView,
    ReadingView,
    ReadSoFarView,
    ReviewView,
    SignatureView,
)
from hemaline_cloud.api.views import API
from hemaline_cloud.database.morphology import MorphologyRow
from hemaline_cloud.database.reading.machine import NamedCells
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.readings import ReadingRow
from hemaline_cloud.database.signing import SignatureRow
from hemaline_cloud.database.summary import ClassShare, SlideSummary
from hemaline_cloud.database.unseen import Unseen
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.morphology import NOT_ASSESSED
from hemaline_cloud.review.policy import MachineRule
from hemaline_cloud.review.reader_counts import ReadShare, ReadSoFar
from hemaline_cloud.review.report import Agreement
from hemaline_cloud.review.second_reading import SecondReaderReason


def signature_view(row: SignatureRow) -> SignatureView:
    """Show a signature."""
    return SignatureView(
        signature_id=row.signature_id,
        revision=row.revision,
        signed_by_name=row.signed_by_name,
        signed_at=row.signed_at,
        amends=row.amends,
        reason=row.reason,
        policy_version=row.policy_version,
        report_sha256=row.report_sha256,
        report=f"{API}/slides/{row.slide_id}/signatures/{row.signature_id}",
    )


def review_view(
    who: Principal,
    row: SlideRow,
    unseen: Unseen | None,
    signatures: Sequence[SignatureRow],
    wanted: Sequence[SecondReaderReason],
    agreement: Agreement | None,
    read: ReadSoFar | None,
    named: NamedCells,
) -> ReviewView:
    """Show how far a review is, as one person sees it.

    Args:
        who: The person.
        row: The slide.
        unseen: What they must still see; None before there is a result.
        signatures: Of the slide, the one that holds first.
        wanted: Why a second person must read it.
        agreement: Of the two readings, if there are two.
        read: The result as people call the cells; None before there is one.
        named: How far the person has named the cells.
    """
    missing = set(unseen.cells) if unseen else set()
    to_see = unseen.to_see if unseen else {}
    return ReviewView(
        slide_id=row.slide_id,
        state=row.review,
        version=row.review_version,
        revision=row.result.revision if row.result else None,
        reader_name=row.reader_name,
        second_reader_name=row.second_reader_name,
        your_part=_part(who, row),
        second_reader_wanted=list(wanted),
        agreement=agreement_view(agreement),
        changed_since_signing=row.changed_since_signing,
        policy_version=unseen.policy.version if unseen else 0,
        to_see=[
            CellToSee.model_validate(
                {"cell_id": cell_id, "reason": reason, "seen": cell_id not in missing}
            )
            for cell_id, reason in to_see.items()
        ],
        cells_unseen=len(missing),
        fields_unseen=unseen.fields if unseen else 0,
        signatures=[signature_view(one) for one in signatures],
        read_so_far=ReadSoFarView(named=read.named, **_shares(read.summary)) if read else None,
        machine=_machine(unseen.policy.policy.machine, row, named) if unseen else None,
    )


def _machine(rule: MachineRule, row: SlideRow, named: NamedCells) -> MachineView:
    return MachineView(
        hidden=row.machine_hidden,
        order=rule.order,
        hidden_from_second=rule.hidden_from_second,
        named=named.named,
        to_name=min(rule.after_cells, named.counted) if rule.order == "after-own" else None,
    )


def _shares(summary: SlideSummary) -> dict[str, Any]:
    return {
        "differential": [
            ReadShare.model_validate(share.model_dump()) for share in summary.differential or ()
        ],
        "beside": list(summary.beside),
        "blasts": summary.blasts,
    }


class SharesOfClass(NamedTuple):
    """One class of a differential: as people call the cells, and as the model does."""

    label: str
    read: ReadShare | None
    model: ClassShare | None


def shares_side_by_side(
    read: Sequence[ReadShare], model: Sequence[ClassShare]
) -> list[SharesOfClass]:
    """Return every class that either counts, the most frequent first, as people call the cells."""
    by_people = {share.label: share for share in read}
    by_model = {share.label: share for share in model}
    rows = [
        SharesOfClass(label, by_people.get(label), by_model.get(label))
        for label in by_people | by_model
    ]
    return sorted(rows, key=lambda row: -(row.read.fraction if row.read else 0))


def morphology_view(row: MorphologyRow | None) -> MorphologyView:
    """Show how people grade red cells and platelets."""
    said = (row.content if row else NOT_ASSESSED).model_dump()
    return MorphologyView(
        version=row.version if row else 0,
        by_name=row.by_name if row else None,
        at=row.at if row else None,
        **said,
    )


def agreement_view(found: Agreement | None) -> AgreementView | None:
    """Show how far two readings agree, if there are two."""
    return AgreementView.model_validate(found) if found else None


def readings_view(rows: Sequence[ReadingRow], agreement: AgreementView | None) -> ReadingsView:
    """Show the finished readings of a slide."""
    return ReadingsView(readings=[_reading(row) for row in rows], agreement=agreement)


def _reading(row: ReadingRow) -> ReadingView:
    report = row.signed_report
    return ReadingView.model_validate(
        {
            "number": row.number,
            "revision": row.revision,
            "reader_name": row.reader_name,
            "finished_at": row.finished_at,
            "looked_before": row.looked_before,
            "cells_by_class": report.cells_by_reader,
            "labels": {label.cell_id: label.label for label in report.labels},
        }
    )


def _part(who: Principal, row: SlideRow) -> Literal["first-reader", "second-reader"] | None:
    if row.second_reader == who.id:
        return "second-reader"
    return "first-reader" if row.reader == who.id else None
