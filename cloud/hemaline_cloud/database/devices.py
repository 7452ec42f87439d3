"""Devices as their status and telemetry last told of them.

When something was heard goes by this server's clock: a device's own orders nothing, for it may be
set forward, back, or not at all.
"""

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    and_,
    cast,
    func,
    literal,
    not_,
    or_,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.schema import Device
from hemaline_shared.messages import Telemetry
from hemaline_shared.topics import DeviceName


def record_status(
    connection: Connection, name: DeviceName, *, online: bool, session: int, edge_version: str
) -> None:
    """Record a birth, a stop or a Last Will, unless something newer of the device was heard.

    A session is one connection, and over when its end was told: a broker that comes back with an
    older retained birth does not begin it again, nor does a retained end happen a second time.
    """
    told = {"online": online, "session": session, "edge_version": edge_version}
    new = insert(Device).values(
        site=name.site, device=name.device, status_at=func.clock_timestamp(), **told
    )
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[Device.site, Device.device],
            set_={**told, "status_at": new.excluded.status_at},
            where=or_(
                Device.session < new.excluded.session,
                and_(
                    Device.session == new.excluded.session,
                    Device.online,
                    not_(new.excluded.online),
                ),
            ),
        )
    )


def record_telemetry(connection: Connection, name: DeviceName, told: Telemetry) -> None:
    """Record telemetry that is newer than what is known, of a device whose birth was heard.

    Newer is a later number in a later session; the device's time decides between those of agents
    that do not number theirs.
    """
    known = tuple_(
        cast(func.coalesce(Device.telemetry["session"].astext, "0"), BigInteger),
        cast(func.coalesce(Device.telemetry["number"].astext, "0"), BigInteger),
        cast(Device.telemetry["at"].astext, DateTime(timezone=True)),
    )
    new = tuple_(
        literal(told.session, BigInteger),
        literal(told.number, BigInteger),
        literal(told.at, DateTime(timezone=True)),
    )
    connection.execute(
        update(Device)
        .where(
            Device.site == name.site,
            Device.device == name.device,
            or_(Device.telemetry_at.is_(None), known < new),
        )
        .values(telemetry=told.model_dump(mode="json"), telemetry_at=func.clock_timestamp())
    )
