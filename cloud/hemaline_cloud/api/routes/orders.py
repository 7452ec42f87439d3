"""`/orders`, `/slides/{id}/order`: which order a slide was made for, and whose blood it is."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.known_patients import order_view, slide_order_view
from hemaline_cloud.api.order_models import (
    AnswerBody,
    AskBody,
    LinkBody,
    LinkChanged,
    OrderAdded,
    OrderBody,
    OrderView,
    SlideOrderView,
)
from hemaline_cloud.api.problems import documented, not_found
from hemaline_cloud.api.review_refusals import hold_unchanged, refusals
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import VERSIONED_PROBLEMS, WRITING_PROBLEMS, Done, Write, etag
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.order_links import (
    answer_unlinking,
    ask_to_unlink,
    link_again,
    link_scanned,
    slides_of_orders,
    unlink,
)
from hemaline_cloud.database.orders import add_order, get_order
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal

router = APIRouter(prefix=API, tags=["orders"])

_CHANGED = examples.answers(examples.LINK_CHANGED) | documented(*VERSIONED_PROBLEMS)
_MOST_SLIDES = 100


@router.post(
    "/orders",
    summary="Type an order in",
    response_model=OrderAdded,
    responses=examples.answers(examples.ORDER_ADDED) | documented(*WRITING_PROBLEMS),
)
def type_in(context: Context, writing: Write, body: OrderBody) -> Response:
    """One that is there and says the same stays as it is; one that says something else is refused.

    The patient's name, birth date and identifier are sealed, and stand nowhere else.
    """
    context.require_review(Right.IDENTIFY)

    def act(connection: Connection, who: Principal) -> Done:
        context.require(Right.IDENTIFY, body.site)
        with refusals():
            added = add_order(connection, who, context.identity_keys, body.site, body)
        view = OrderAdded(order_id=added.order_id, barcode=body.barcode, new=added.new)
        detail = "" if added.new else "known already"
        event = Event("add", "order", added.order_id, detail, body.site)
        return Done(view, event, is_told=False)

    return writing.write(act, Right.IDENTIFY)


@router.get(
    "/orders/{order_id}",
    summary="Read an order",
    responses=examples.answers(examples.ORDER) | documented(HTTPStatus.NOT_FOUND),
)
def order(context: Context, order_id: UUID) -> OrderView:
    """Whose blood it is, is told to technologists and haematologists of its site alone."""
    with context.reading() as connection:
        found = get_order(connection, order_id)
        if found is None:
            raise not_found("order", order_id)
        slides = slides_of_orders(connection, [order_id], limit=_MOST_SLIDES)
        context.audit_read("order", order_id, shown=slides)
        return order_view(context, connection, found)


@router.get(
    "/slides/{slide_id}/order",
    summary="Read what a slide was made for, and other slides of the same person",
    response_model=SlideOrderView,
    responses=examples.answers(examples.SLIDE_ORDER) | documented(HTTPStatus.NOT_FOUND),
)
def slide_order(context: Context, slide_id: UUID) -> Response:
    """Its ETag is what a change of it names in If-Match."""
    with context.reading() as connection:
        slide = existing_slide(connection, slide_id)
        view = slide_order_view(context, connection, slide)
        context.audit_read("slide-order", slide_id, slide_id=slide_id)
    headers = {"ETag": etag(view.version), "Cache-Control": "no-store"}
    return JSONResponse(view.model_dump(mode="json"), headers=headers)


@router.post(
    "/slides/{slide_id}/order",
    summary="Link a slide to an order, by its barcode",
    response_model=LinkChanged,
    responses=_CHANGED,
)
def link(context: Context, writing: Write, slide_id: UUID, body: LinkBody) -> Response:
    """Refused with 409 in words: a wrong check digit, a code that is used or unknown here.

    A code that another site alone knows is unknown, too.
    """
    context.require_review()
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        slide = _held(context, connection, slide_id, version)
        with refusals():
            if body.barcode is not None:
                found = link_scanned(
                    connection, who, slide, body.barcode, another_smear=body.another_smear
                )
            else:
                assert body.order_id, "checked"
                found = link_again(
                    connection, who, slide, body.order_id, another_smear=body.another_smear
                )
        detail = "another smear of the tube" if body.another_smear else ""
        return _done(connection, "link-order", slide, found.order_id, detail)

    return writing.write(act)


@router.delete(
    "/slides/{slide_id}/order",
    summary="Unlink a slide that nobody has signed",
    response_model=LinkChanged,
    responses=_CHANGED,
)
def take_back(context: Context, writing: Write, slide_id: UUID) -> Response:
    """To undo it, link the order that is named in `before`. Once signed it takes two people."""
    context.require_review()
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        slide = _held(context, connection, slide_id, version)
        with refusals():
            order_id = unlink(connection, who, slide)
        return _done(connection, "unlink-order", slide, order_id)

    return writing.write(act)


@router.post(
    "/slides/{slide_id}/order/unlinking",
    summary="Ask a second person to unlink a slide that is signed",
    response_model=LinkChanged,
    responses=_CHANGED,
)
def ask(context: Context, writing: Write, slide_id: UUID, body: AskBody) -> Response:
    """It stays linked until another person agrees; the signed report stays as it is for good."""
    context.require_review()
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        slide = _held(context, connection, slide_id, version)
        with refusals():
            row = ask_to_unlink(connection, who, slide, body.reason)
        return _done(connection, "ask-to-unlink-order", slide, row.order_id)

    return writing.write(act)


@router.post(
    "/slides/{slide_id}/order/unlinking/answer",
    summary="Agree to unlink a signed slide, or refuse",
    response_model=LinkChanged,
    responses=_CHANGED,
)
def answer(context: Context, writing: Write, slide_id: UUID, body: AnswerBody) -> Response:
    """Whoever asked may take it back; only another haematologist may agree, freshly logged in."""
    context.require_review(Right.SIGN if body.agrees else Right.REVIEW)
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        slide = _held(context, connection, slide_id, version)
        with refusals():
            row = answer_unlinking(connection, who, slide, agrees=body.agrees)
        action = "unlink-order" if body.agrees else "refuse-to-unlink-order"
        return _done(connection, action, slide, row.order_id)

    if body.agrees:
        return writing.write(act, Right.SIGN, freshly=True)
    return writing.write(act)


def _held(context: Context, connection: Connection, slide_id: UUID, version: int) -> SlideRow:
    """Return a slide that is held and unchanged; a refusal tells nothing to who may not review."""
    slide = existing_slide(connection, slide_id)
    context.require(Right.REVIEW, slide.site)
    hold_unchanged(connection, slide_id, version)
    return existing_slide(connection, slide_id)


def _done(
    connection: Connection, action: str, slide: SlideRow, order_id: UUID, detail: str = ""
) -> Done:
    now = existing_slide(connection, slide.slide_id)
    view = LinkChanged(
        slide_id=slide.slide_id,
        version=now.review_version,
        order_id=now.order_id,
        before=slide.order_id if now.order_id != slide.order_id else None,
    )
    # A code may name a person, and so may a reason: the order and the act hold them.
    event = Event(action, "order", order_id, detail, slide.site, slide.slide_id)
    return Done(view, event, now.review_version)
