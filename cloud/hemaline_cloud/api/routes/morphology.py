"""`/slides/{id}/morphology`: how people grade red cells and platelets."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.problems import ProblemError, documented
from hemaline_cloud.api.review_models import MorphologyView
from hemaline_cloud.api.review_refusals import refusals
from hemaline_cloud.api.review_views import morphology_view
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import VERSIONED_PROBLEMS, Done, Write, etag
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.morphology import (
    AssessedMeanwhileError,
    assess_morphology,
    newest_morphology,
)
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.morphology import Morphology

router = APIRouter(prefix=API, tags=["review"])


@router.get(
    "/slides/{slide_id}/morphology",
    summary="Read how people grade a slide's red cells and platelets",
    response_model=MorphologyView,
    responses=examples.answers(examples.MORPHOLOGY) | documented(HTTPStatus.NOT_FOUND),
)
def morphology(context: Context, slide_id: UUID) -> Response:
    """What is missing was not assessed. Its ETag is what a change names in If-Match."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        view = morphology_view(newest_morphology(connection, slide_id))
        context.audit_read("morphology", slide_id, slide_id=slide_id)
    return JSONResponse(
        view.model_dump(mode="json"),
        headers={"ETag": etag(view.version), "Cache-Control": "no-store"},
    )


@router.put(
    "/slides/{slide_id}/morphology",
    summary="Grade a slide's red cells and platelets",
    response_model=MorphologyView,
    responses=examples.answers(examples.MORPHOLOGY) | documented(*VERSIONED_PROBLEMS),
)
def assess(context: Context, writing: Write, slide_id: UUID, body: Morphology) -> Response:
    """It takes the place of what was said before; what it leaves out is not assessed.

    Grades: 0 none, 1 few, 2 moderate, 3 many (ICSH 2015).
    """
    context.require_review()
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        slide = existing_slide(connection, slide_id)
        try:
            with refusals():
                row = assess_morphology(connection, who, slide, body, version)
        except AssessedMeanwhileError as error:
            raise _assessed_meanwhile(error) from error
        said = body.model_dump_json(exclude_defaults=True)
        event = Event("assess", "morphology", row.assessment_id, said, row.site, slide_id)
        return Done(morphology_view(row), event, row.version)

    return writing.write(act)


def _assessed_meanwhile(error: AssessedMeanwhileError) -> ProblemError:
    row = error.now
    said = f"{row.by_name} graded it at {row.at:%H:%M} UTC." if row else "Nobody has graded it."
    return ProblemError(
        HTTPStatus.PRECONDITION_FAILED,
        "assessed-meanwhile",
        f"{said} Look again.",
        errors=[
            {"where": "If-Match", "fault": "is older", "etag": etag(row.version if row else 0)}
        ],
    )
