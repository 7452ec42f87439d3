"""The only place that links slides to orders and unlinks them; what was signed needs two people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, exists, insert, select, update
from sqlalchemy.orm import aliased

from hemaline_cloud.database.orders import OrderRow, checked_barcode, find_order, get_order
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.review import count_change, count_reported_change
from hemaline_cloud.database.schema import OrderLink, Signature, Slide
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import accession, new_id


class LinkRow(NamedTuple):
    """One act about a slide's order; see `OrderLink`."""

    act_id: UUID
    slide_id: UUID
    order_id: UUID
    site: str
    act: str
    reason: str | None
    answers: UUID | None
    by: str
    by_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SlideOrder:
    """The order of a slide, and what was last done about it.

    Attributes:
        order: None: it is linked to none.
        linked: The act that linked it.
        asked: What waits for a second person.
    """

    order: OrderRow | None
    linked: LinkRow | None
    asked: LinkRow | None


_COLUMNS = tuple(getattr(OrderLink, name) for name in LinkRow._fields)


def order_of_slide(connection: Connection, slide: SlideRow) -> SlideOrder:
    """Return what a slide was made for."""
    if slide.order_id is None:
        return SlideOrder(None, None, None)
    order = get_order(connection, slide.order_id)
    query = select(*_COLUMNS).where(OrderLink.slide_id == slide.slide_id, OrderLink.act == "link")
    linked = connection.execute(query.order_by(OrderLink.act_id.desc()).limit(1)).first()
    return SlideOrder(order, LinkRow(*linked) if linked else None, _asked(connection, slide))


def link_scanned(
    connection: Connection,
    who: Principal,
    slide: SlideRow,
    typed: str,
    *,
    another_smear: bool = False,
) -> OrderRow:
    """Link a slide to the order of a code; return the order.

    Args:
        connection: In a transaction that holds the slide.
        who: Scanned or typed it.
        slide: Which slide.
        typed: The code.
        another_smear: They say that it is one more smear of the tube whose code is used already.

    Raises:
        PermanentError: `barcode-unreadable`, `wrong-check-digit`; `barcode-unknown`, at this site:
            whether another has it is not told; as `link`.
    """
    code = checked_barcode(connection, slide.site, typed)
    order = find_order(connection, slide.site, code, hold=True)
    if order is None:
        raise PermanentError(
            "barcode-unknown",
            f"No order of {slide.site} has this code. Scan it again, or type the order in.",
        )
    return _link(connection, who, slide, order, another_smear=another_smear)


def link_again(
    connection: Connection,
    who: Principal,
    slide: SlideRow,
    order_id: UUID,
    *,
    another_smear: bool = False,
) -> OrderRow:
    """Link a slide to an order that is known by its id: what was unlinked is linked anew.

    Raises:
        PermanentError: `barcode-unknown`, or as `link_scanned`.
    """
    order = get_order(connection, order_id, hold=True)
    if order is None or order.site != slide.site:
        raise PermanentError("barcode-unknown", f"{slide.site} has no such order.")
    return _link(connection, who, slide, order, another_smear=another_smear)


def unlink(connection: Connection, who: Principal, slide: SlideRow) -> UUID:
    """Take back the link of a slide that nobody has signed; return the order that it had.

    Raises:
        PermanentError: `not-linked`, or `second-person-needed` once it is signed.
    """
    order_id = _linked(slide)
    if _is_signed(connection, slide.slide_id):
        raise PermanentError(
            "second-person-needed",
            "This slide is signed. Say why its order is the wrong one; a second person confirms.",
        )
    _add(connection, who, slide, order_id, "unlink")
    _set_order(connection, slide.slide_id, None)
    return order_id


def ask_to_unlink(connection: Connection, who: Principal, slide: SlideRow, reason: str) -> LinkRow:
    """Ask a second person to unlink a slide that is signed.

    Raises:
        PermanentError: `not-linked`; `not-signed`, then one person unlinks it; `asked-already`.
    """
    order_id = _linked(slide)
    if not _is_signed(connection, slide.slide_id):
        raise PermanentError("not-signed", "Nobody has signed this slide: unlink it at once.")
    asked = _asked(connection, slide)
    if asked is not None:
        raise PermanentError(
            "asked-already", f"{asked.by_name} has asked for it: a second person answers."
        )
    count_change(connection, slide.slide_id)
    return _add(connection, who, slide, order_id, "ask-to-unlink", reason=reason)


def answer_unlinking(
    connection: Connection, who: Principal, slide: SlideRow, *, agrees: bool
) -> LinkRow:
    """Answer what somebody asked: unlink a signed slide, or leave it linked.

    Whoever asked may take it back, and not agree with themselves.

    Raises:
        PermanentError: `not-asked`, `second-person-needed`.
    """
    asked = _asked(connection, slide)
    if asked is None:
        raise PermanentError("not-asked", "Nobody has asked to unlink this slide.")
    if agrees and asked.by == who.id:
        raise PermanentError(
            "second-person-needed", "You asked for it yourself: another person must confirm."
        )
    act = "unlink" if agrees else "refuse-to-unlink"
    row = _add(connection, who, slide, asked.order_id, act, answers=asked.act_id)
    if agrees:
        _set_order(connection, slide.slide_id, None)
    else:
        count_change(connection, slide.slide_id)
    return row


def slides_of_orders(
    connection: Connection, order_ids: Sequence[UUID], *, limit: int
) -> list[UUID]:
    """Return the slides that were made for some orders, the newest first."""
    query = select(Slide.slide_id).where(Slide.order_id.in_(order_ids))
    query = query.order_by(Slide.opened_at.desc(), Slide.slide_id.desc()).limit(limit)
    return list(connection.scalars(query)) if order_ids else []


def _link(
    connection: Connection, who: Principal, slide: SlideRow, order: OrderRow, *, another_smear: bool
) -> OrderRow:
    """Link a slide to an order that the transaction holds: nobody else uses it meanwhile."""
    if slide.order_id == order.order_id:
        raise PermanentError("already-linked", "This slide is linked to this order already.")
    if slide.order_id is not None:
        raise PermanentError(
            "already-linked", "This slide is linked to another order. Unlink it first."
        )
    other = connection.scalar(
        select(Slide.slide_id)
        .where(Slide.order_id == order.order_id, Slide.specimen_id != slide.specimen_id)
        .limit(1)
    )
    if other is not None and not another_smear:
        raise PermanentError(
            "barcode-used",
            f"This code is used: slide {accession(other)} is linked to it. Take the right tube; "
            "or, if both are smears of this one, say so.",
        )
    _add(connection, who, slide, order.order_id, "link")
    _set_order(connection, slide.slide_id, order.order_id)
    return order


def _linked(slide: SlideRow) -> UUID:
    if slide.order_id is None:
        raise PermanentError("not-linked", "This slide is linked to no order.")
    return slide.order_id


def _is_signed(connection: Connection, slide_id: UUID) -> bool:
    signed = select(exists().where(Signature.slide_id == slide_id))
    return bool(connection.scalar(signed))


def _asked(connection: Connection, slide: SlideRow) -> LinkRow | None:
    answer = aliased(OrderLink)
    query = select(*_COLUMNS).where(
        OrderLink.slide_id == slide.slide_id,
        OrderLink.act == "ask-to-unlink",
        ~exists().where(answer.answers == OrderLink.act_id),
    )
    row = connection.execute(query.limit(1)).first()
    return LinkRow(*row) if row else None


def _add(
    connection: Connection,
    who: Principal,
    slide: SlideRow,
    order_id: UUID,
    act: str,
    *,
    reason: str | None = None,
    answers: UUID | None = None,
) -> LinkRow:
    values = {
        "act_id": new_id(),
        "slide_id": slide.slide_id,
        "order_id": order_id,
        "site": slide.site,
        "act": act,
        "reason": reason,
        "answers": answers,
        "by": who.id,
        "by_name": who.name,
    }
    added = connection.execute(insert(OrderLink).values(values).returning(*_COLUMNS)).one()
    return LinkRow(*added)


def _set_order(connection: Connection, slide_id: UUID, order_id: UUID | None) -> None:
    connection.execute(update(Slide).where(Slide.slide_id == slide_id).values(order_id=order_id))
    count_reported_change(connection, slide_id)
