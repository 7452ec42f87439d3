"""Which bundle answers for which site: appointed by a person, never by a first prediction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import distinct_on

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.bundles import bundle_number
from hemaline_cloud.database.purposes import EVERYWHERE, Purpose, Sites
from hemaline_cloud.database.schema import Bundle, BundleAppointment, Frame, Work
from hemaline_cloud.database.work import CHANNEL
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id


class AppointmentRow(NamedTuple):
    """One appointment: `site` is None for all sites, `bundle_sha256` where a trial ended."""

    appointment_id: UUID
    site: str | None
    purpose: str
    bundle_sha256: str | None
    bundle_id: str | None
    since: datetime
    appointed_by: str


def holders(connection: Connection, purpose: Purpose) -> list[AppointmentRow]:
    """Return who holds a purpose now: for all sites, and for each that was appointed for since.

    The newest appointment that covers a site holds for it.
    """
    newest = (
        _appointments()
        .where(BundleAppointment.purpose == purpose)
        .ext(distinct_on(BundleAppointment.for_site))
        .order_by(BundleAppointment.for_site, *(key.desc() for key in _AGE))
    )
    rows = [AppointmentRow(*row) for row in connection.execute(newest)]
    general = next((row for row in rows if row.site is None), None)
    return [row for row in rows if row is general or general is None or _age(row) > _age(general)]


def appointed_sites(connection: Connection, bundle_sha256: str, purpose: Purpose) -> Sites:
    """Return for which sites a bundle holds a purpose."""
    return sites_of(holders(connection, purpose), bundle_sha256)


def sites_of(rows: Sequence[AppointmentRow], bundle_sha256: str) -> Sites:
    """Return for which sites a bundle holds what these are the holders of."""
    named = {row.site: row.bundle_sha256 == bundle_sha256 for row in rows if row.site is not None}
    others = any(row.site is None and row.bundle_sha256 == bundle_sha256 for row in rows)
    return Sites(frozenset(site for site, ours in named.items() if ours != others), others)


def appoint(
    connection: Connection,
    who: Principal,
    bundle_sha256: str,
    purpose: Purpose,
    site: str | None = None,
) -> bool:
    """Let a known bundle hold a purpose from now on, for a site or for all.

    Args:
        connection: In a transaction.
        who: Appoints it.
        bundle_sha256: Which bundle.
        purpose: Active or trial; there is one of each for a site.
        site: None: all sites, whatever was appointed for one of them before.

    Returns:
        Whether anything changed.

    Raises:
        PermanentError: `bundle-is-active`, where a trial would be of what already counts.
    """
    _only_appointer(connection)
    held = appointed_sites(connection, bundle_sha256, purpose)
    if held == EVERYWHERE or (site is not None and _covers(held, site)):
        return False
    if purpose == "trial":
        active = appointed_sites(connection, bundle_sha256, "active")
        if active == EVERYWHERE or (site is not None and _covers(active, site)):
            raise PermanentError(
                "bundle-is-active", f"The bundle is active for {active}: it needs no trial there."
            )
    _record(connection, who, purpose, site, bundle_sha256)
    return True


def end_trial(connection: Connection, who: Principal, site: str | None = None) -> bool:
    """Let no bundle be on trial from now on, for a site or for all; its answers stay.

    Returns:
        Whether there was one.
    """
    _only_appointer(connection)
    on_trial = [row for row in holders(connection, "trial") if row.bundle_sha256 is not None]
    covered = [row for row in on_trial if site is None or row.site in {None, site}]
    if not covered:
        return False
    _record(connection, who, "trial", site, None)
    waiting = select(Work.frame_id).join(Frame, Frame.frame_id == Work.frame_id)
    if site is not None:
        waiting = waiting.where(Frame.site == site)
    connection.execute(delete(Work).where(Work.purpose == "trial", Work.frame_id.in_(waiting)))
    return True


def appointments_of(connection: Connection, bundle_sha256: str) -> list[AppointmentRow]:
    """Return when and for what a bundle was appointed, newest first."""
    query = _appointments().where(Bundle.sha256 == bundle_sha256)
    rows = connection.execute(query.order_by(*(key.desc() for key in _AGE)))
    return [AppointmentRow(*row) for row in rows]


_AGE = (BundleAppointment.since, BundleAppointment.appointment_id)


def _age(row: AppointmentRow) -> tuple[datetime, UUID]:
    return row.since, row.appointment_id


def _covers(sites: Sites, site: str) -> bool:
    return (site in sites.names) != sites.others


def _appointments() -> Select[*tuple[Any, ...]]:
    return select(
        BundleAppointment.appointment_id,
        BundleAppointment.for_site,
        BundleAppointment.purpose,
        Bundle.sha256,
        Bundle.bundle_id,
        BundleAppointment.since,
        BundleAppointment.appointed_by,
    ).outerjoin(Bundle, Bundle.number == BundleAppointment.bundle)


def _only_appointer(connection: Connection) -> None:
    """Let appointments be made one after another: the newest holds."""
    connection.execute(text("lock table bundle_appointments in share row exclusive mode"))


def _record(
    connection: Connection,
    who: Principal,
    purpose: Purpose,
    site: str | None,
    bundle_sha256: str | None,
) -> None:
    appointment_id = new_id()
    number = None if bundle_sha256 is None else bundle_number(connection, bundle_sha256)
    connection.execute(
        insert(BundleAppointment).values(
            appointment_id=appointment_id,
            for_site=site,
            purpose=purpose,
            bundle=number,
            since=func.clock_timestamp(),
            appointed_by=who.name,
        )
    )
    where = "all sites" if site is None else f"site {site}"
    detail = f"{purpose} for {where}: {bundle_sha256 or 'none'}"
    event = Event("appoint", "bundle-appointment", appointment_id, detail, site)
    record_event(connection, who, event)
    # A worker that holds it from now on finds what waits.
    connection.execute(select(func.pg_notify(CHANNEL, "")))
