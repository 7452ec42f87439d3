"""`/specimens/{id}/erasure`: a patient's right to be forgotten, for administrators."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.review_models import Text
from hemaline_cloud.api.review_refusals import refusals
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import WRITING_PROBLEMS, Done, Write
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.erasures import erase_specimen
from hemaline_cloud.database.reading.slides import slides_of_specimen
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal

router = APIRouter(prefix=API, tags=["specimens"])


class ErasureBody(BaseModel):
    """Why a specimen is erased."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Text = Field(description="The audit keeps it for good: write nobody's name.")


class ErasureView(BaseModel):
    """What was erased."""

    specimen_id: UUID
    slides: int
    fields: int


@router.post(
    "/specimens/{specimen_id}/erasure",
    summary="Erase a specimen",
    response_model=ErasureView,
    responses=examples.answers(
        {"specimen_id": "0199f3a2-7c1e-4d3b-9a64-5b1f0c2d3e4f", "slides": 2, "fields": 40}
    )
    | documented(*WRITING_PROBLEMS),
)
def erase(context: Context, writing: Write, specimen_id: UUID, body: ErasureBody) -> Response:
    """Its slides with images, cells, labels and reports are gone for good, and so is its order.

    The audit keeps that it happened. Refused with 409 while a legal hold is on it, and while more
    of it may come. Images are deleted right after; one that cannot be now is deleted later.
    """
    context.require_review(Right.ADMINISTER)

    def act(connection: Connection, who: Principal) -> Done:
        if not slides_of_specimen(connection, specimen_id):
            raise not_found("specimen", specimen_id)
        with refusals():
            gone = erase_specimen(connection, who, specimen_id, body.reason)
        event = Event("erase", "specimen", specimen_id, body.reason, gone.site)
        view = ErasureView(specimen_id=specimen_id, slides=gone.slides, fields=gone.fields)
        return Done(view, event, is_told=False)

    answer = writing.write(act, Right.ADMINISTER, freshly=True)
    context.finish_erasures()
    return answer
