"""Orders: added once for each barcode of a site."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, and_, insert, or_, select

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.patients import keep_patient, patients_named
from hemaline_cloud.database.policies import policy_of
from hemaline_cloud.database.schema import Order, Patient
from hemaline_cloud.orders.identity import IdentityKeys
from hemaline_cloud.orders.order import BloodCount, NewOrder
from hemaline_cloud.principal import Principal
from hemaline_shared.barcodes import folded, has_right_check_digit
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id

_LAST_LETTER = "\U0010ffff"
_MOST_FOUND = 200


class OrderRow(NamedTuple):
    """One order; see `Order`."""

    order_id: UUID
    site: str
    barcode: str
    patient_id: UUID | None
    blood_count: dict[str, Any]
    ordered_at: datetime | None
    added_at: datetime

    @property
    def counted(self) -> BloodCount:
        """The blood count that it brought."""
        return BloodCount.model_validate(self.blood_count)


class AddedOrder(NamedTuple):
    """An order that is there now; `new`: it was not before."""

    order_id: UUID
    new: bool


_COLUMNS = tuple(getattr(Order, name) for name in OrderRow._fields)


def checked_barcode(connection: Connection, site: str, typed: str) -> str:
    """Return a code as it is compared, if it ends as the site's codes do.

    Raises:
        PermanentError: `barcode-unreadable` or `wrong-check-digit`.
    """
    code = folded(typed)
    if not has_right_check_digit(code, policy_of(connection, site).policy.check_digit):
        raise PermanentError(
            "wrong-check-digit",
            "The check digit of this code is wrong: it was mistyped or misread. Scan it again.",
        )
    return code


def add_order(
    connection: Connection, who: Principal, keys: IdentityKeys, site: str, new: NewOrder
) -> AddedOrder:
    """Add an order; one that is known, and says the same, is left as it is.

    Args:
        connection: In a transaction.
        who: Adds it; the audit names them, and no patient.
        keys: That seal whose it is.
        site: Of the laboratory.
        new: What it says.

    Raises:
        PermanentError: As `checked_barcode` and `keep_patient`; `order-differs` where the code is
            known and says something else.
    """
    if not keys:
        raise PermanentError(
            "identities-off",
            "This system keeps no orders: HEMALINE_IDENTITY_KEY is not set (docs/orders.md).",
        )
    code = checked_barcode(connection, site, new.barcode)
    kept = keep_patient(connection, keys, site, new.patient) if new.patient else None
    if kept and kept.renamed:
        record_event(connection, who, Event("rename", "patient", kept.patient_id, site=site))
    says = {
        "patient_id": kept.patient_id if kept else None,
        "blood_count": new.blood_count.model_dump(mode="json", exclude_none=True),
        "ordered_at": new.ordered_at,
    }
    known = find_order(connection, site, code)
    if known is not None:
        if any(getattr(known, name) != value for name, value in says.items()):
            raise PermanentError(
                "order-differs", "This code is known already, and its order says something else."
            )
        return AddedOrder(known.order_id, new=False)
    order_id = new_id()
    row = {
        "order_id": order_id,
        "site": site,
        "barcode": new.barcode.strip(),
        "barcode_folded": code,
        "added_by": who.id,
        "added_by_name": who.name,
        **says,
    }
    connection.execute(insert(Order), row)
    return AddedOrder(order_id, new=True)


def find_order(
    connection: Connection, site: str, code: str, *, hold: bool = False
) -> OrderRow | None:
    """Return a site's order by its folded code, or None: another site's is not there.

    Args:
        connection: In a transaction.
        site: Whose.
        code: As `checked_barcode` returns it.
        hold: To the transaction's end.
    """
    query = select(*_COLUMNS).where(Order.site == site, Order.barcode_folded == code)
    row = connection.execute(query.with_for_update() if hold else query).first()
    return OrderRow(*row) if row else None


def get_order(connection: Connection, order_id: UUID, *, hold: bool = False) -> OrderRow | None:
    """Return one order, or None; `hold` it to the transaction's end."""
    query = select(*_COLUMNS).where(Order.order_id == order_id)
    row = connection.execute(query.with_for_update() if hold else query).first()
    return OrderRow(*row) if row else None


def orders_of_patient(connection: Connection, patient_id: UUID) -> list[UUID]:
    """Return the ids of a patient's orders."""
    return list(connection.scalars(select(Order.order_id).where(Order.patient_id == patient_id)))


def orders_called(
    connection: Connection, keys: IdentityKeys, words: str, *, known_at: frozenset[str] | None
) -> list[UUID]:
    """Return orders whose barcode begins so, or whose patient is called so; 200 at most.

    Args:
        connection: In a transaction.
        keys: That made the fingerprints of names.
        words: As somebody typed them.
        known_at: The sites at which the asker may know patients; None: everywhere.
    """
    try:
        code = folded(words)
    except PermanentError:
        code = ""
    ways = []
    if code:
        begun = Order.barcode_folded.op("~>=~")(code)
        ways.append(and_(begun, Order.barcode_folded.op("~<~")(code + _LAST_LETTER)))
    patients = patients_named(connection, keys, words, sites=known_at)
    if patients:
        ways.append(Order.patient_id.in_(patients))
    if not ways:
        return []
    query = select(Order.order_id).where(or_(*ways)).order_by(Order.added_at.desc())
    return list(connection.scalars(query.limit(_MOST_FOUND)))


def site_of_patient(connection: Connection, patient_id: UUID) -> str | None:
    """Return whose patient this is, or None where there is none."""
    return connection.scalar(select(Patient.site).where(Patient.patient_id == patient_id))
