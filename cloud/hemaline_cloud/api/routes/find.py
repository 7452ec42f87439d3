"""`POST /find`, `/slides/search`: slides by words that may name a person, in no address."""

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.cookies import no_store
from hemaline_cloud.api.finding import called_so, seal_words
from hemaline_cloud.api.forms import form_of
from hemaline_cloud.api.known_patients import patients_of_slides
from hemaline_cloud.api.models import SlideView
from hemaline_cloud.api.order_models import FindBody
from hemaline_cloud.api.paging import Page, decode_cursor, encode_cursor, page_of
from hemaline_cloud.api.problems import documented
from hemaline_cloud.api.routes.slides import SLIDE_KEY
from hemaline_cloud.api.views import API, slide_view
from hemaline_cloud.database.reading.reviewed import moves_of
from hemaline_cloud.database.reading.slides import list_slides

router = APIRouter()

_LONGEST_WORDS = 100
_KEPT = ("review", "mine")


@router.post("/find", include_in_schema=False)
async def find(context: Context, request: Request) -> Response:
    """Lead to the worklist with the words sealed in its address."""
    form = await form_of(request)
    words = form.get("words", "").strip()[:_LONGEST_WORDS]
    query = {name: form[name] for name in _KEPT if form.get(name)}
    if words and context.identity_keys:
        query["find"] = seal_words(context, words)
    to = f"/?{urlencode(query)}" if query else "/"
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, no_store())


@router.post(
    f"{API}/slides/search",
    tags=["slides"],
    summary="Search slides by words that may name a person",
    responses=examples.pages(examples.SLIDE) | documented(HTTPStatus.BAD_REQUEST),
)
def search(context: Context, body: FindBody) -> Page[SlideView]:
    """Newest first.

    By the beginning of an accession or of an order's barcode, by the beginning or end of a slide's
    name; for technologists and haematologists also by a patient's identifier, or by whole words of
    the name, without case and accents.
    """
    after = decode_cursor(SLIDE_KEY, body.cursor)
    with context.reading() as connection:
        called = called_so(context, connection, body.words)
        rows = list_slides(connection, limit=body.limit + 1, called=called, after=after)
        moves = moves_of(connection, [row.slide_id for row in rows])
        patients = patients_of_slides(context, connection, rows)
        context.audit_read("slides", shown=[row.slide_id for row in rows[: body.limit]])
    return page_of(
        rows,
        body.limit,
        lambda row: slide_view(row, moves.get(row.slide_id, ()), patients.get(row.slide_id)),
        lambda row: encode_cursor(SLIDE_KEY, row.key),
    )
