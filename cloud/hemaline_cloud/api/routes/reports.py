"""`/slides/{id}/report.pdf` and `/slides/{id}/signatures/{id}`: what somebody stands behind."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from hemaline_cloud.api import examples
from hemaline_cloud.api.caching import NO_STORE, REVALIDATE, tagged, unchanged
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.report_pdf import signed_pdf, unreviewed_pdf
from hemaline_cloud.api.views import API
from hemaline_cloud.database.reports import order_to_sign
from hemaline_cloud.database.signing import signatures_of, signed_report
from hemaline_cloud.database.summary import SlideSummary
from hemaline_shared.ids import accession

router = APIRouter(prefix=f"{API}/slides/{{slide_id}}", tags=["review"])

_PDF = "application/pdf"


@router.get(
    "/report.pdf",
    summary="Read a slide's report on paper, as it holds now",
    response_class=Response,
    responses=examples.sends(_PDF, "The report as PDF/A-3a and PDF/UA-1.")
    | documented(HTTPStatus.NOT_FOUND),
)
def current_report(context: Context, slide_id: UUID) -> Response:
    """The signed report that holds; before a signature it says that nobody has reviewed it."""
    with context.reading() as connection:
        slide = existing_slide(connection, slide_id)
        signatures = signatures_of(connection, slide_id)
        signature_id = signatures[0].signature_id if signatures else None
        written = signed_report(connection, slide_id, signature_id) if signature_id else None
        order = order_to_sign(connection, slide)
        context.audit_read("report", signature_id or slide_id, slide_id=slide_id)
    if written is not None:
        return _on_paper(signed_pdf(written), slide_id)
    if slide.result is None:
        raise not_found("result", f"slide {slide_id}")
    facts = {
        "accession": accession(slide_id),
        "slide_name": slide.slide_name,
        "site": slide.site,
        "device": slide.device,
        "simulated": slide.simulated,
        "revision": slide.result.revision,
        "computed_at": slide.result.computed_at,
        "bundle_id": slide.result.bundle_id,
        "bundle_sha256": slide.result.bundle_sha256,
        "order": order.model_dump() if order else None,
    }
    summary = SlideSummary.model_validate(slide.result.content)
    return _on_paper(unreviewed_pdf(facts, summary), slide_id)


@router.get(
    "/signatures/{signature_id}",
    summary="Read a report as it was signed",
    responses=examples.sends("application/json", "The report, byte for byte.")
    | documented(HTTPStatus.NOT_FOUND),
)
def report(context: Context, request: Request, slide_id: UUID, signature_id: UUID) -> Response:
    """Its SHA-256 is that of the signature."""
    written = _as_signed(context, slide_id, signature_id)
    tag = f'"{signature_id}"'
    answer = Response(written, media_type="application/json")
    return unchanged(request, tag, REVALIDATE) or tagged(answer, tag, REVALIDATE)


@router.get(
    "/signatures/{signature_id}/report.pdf",
    summary="Read a report on paper, as it was signed",
    response_class=Response,
    responses=examples.sends(_PDF, "The report as PDF/A-3a and PDF/UA-1.")
    | documented(HTTPStatus.NOT_FOUND),
)
def report_on_paper(context: Context, slide_id: UUID, signature_id: UUID) -> Response:
    """Made of the signed report alone, so that its bytes are the same each time."""
    return _on_paper(signed_pdf(_as_signed(context, slide_id, signature_id)), slide_id)


def _as_signed(context: Context, slide_id: UUID, signature_id: UUID) -> str:
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        written = signed_report(connection, slide_id, signature_id)
        context.audit_read("report", signature_id, slide_id=slide_id)
    if written is None:
        raise not_found("signature", f"{signature_id} of slide {slide_id}")
    return written


def _on_paper(pdf: bytes, slide_id: UUID) -> Response:
    name = f"{accession(slide_id)}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": NO_STORE}
    return Response(pdf, media_type=_PDF, headers=headers)
