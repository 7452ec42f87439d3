"""Devices as their status and telemetry last told of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, not_, or_, update
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.schema import Device
from hemaline_shared.topics import DeviceName


def record_status(
    connection: Connection,
    name: DeviceName,
    *,
    online: bool,
    session: int,
    edge_version: str,
    at: datetime,
) -> None:
    """Record a birth, a stop or a Last Will, unless something newer of the device was heard.

    A session is one connection, and over when its end was told: a broker that comes back with an
    older retained birth does not begin it again.
    """
    told = {"online": online, "session": session, "edge_version": edge_version, "status_at": at}
    new = insert(Device).values(site=name.site, device=name.device, **told)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[Device.site, Device.device],
            set_=told,
            where=or_(
                Device.session < new.excluded.session,
                and_(Device.session == new.excluded.session, not_(new.excluded.online)),
            ),
        )
    )


def record_telemetry(
    connection: Connection, name: DeviceName, at: datetime, telemetry: dict[str, Any]
) -> None:
    """Record telemetry that is newer than what is known, of a device whose birth was heard."""
    connection.execute(
        update(Device)
        .where(
            Device.site == name.site,
            Device.device == name.device,
            or_(Device.telemetry_at.is_(None), Device.telemetry_at < at),
        )
        .values(telemetry=telemetry, telemetry_at=at)
    )
