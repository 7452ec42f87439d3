"""What devices are set to, in versions that are only added, and what they report of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from hemaline_cloud.database.schema import ConfigurationDocument, ConfigurationReport, Device
from hemaline_cloud.principal import Principal
from hemaline_shared.device_configuration import (
    DesiredConfiguration,
    DeviceConfiguration,
    ReportedConfiguration,
    desired,
    merged,
)
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id
from hemaline_shared.topics import DeviceName

ConfigurationState: TypeAlias = Literal["none", "pending", "applied", "refused", "reverted"]
_WHOLE_SITE = ""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A version of one document."""

    document_id: UUID
    version: int
    configuration: DeviceConfiguration
    why: str
    made_by_name: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What a device last reported, and when that was heard."""

    version: int
    sha256: str
    outcome: Literal["applied", "refused", "reverted"]
    in_force: int
    detail: str | None
    reported_at: datetime


class ConfiguredMeanwhileError(PermanentError):
    """Somebody else was faster; `now` is what holds."""

    def __init__(self, now: DocumentRow | None) -> None:
        version = now.version if now else 0
        super().__init__("configured-meanwhile", f"version {version} holds meanwhile: look again")
        self.now = now


def newest_document(connection: Connection, site: str, device: str | None) -> DocumentRow | None:
    """Return what a device's own document says, or a site's; None: there is none."""
    query = (
        select(
            ConfigurationDocument.document_id,
            ConfigurationDocument.version,
            ConfigurationDocument.content,
            ConfigurationDocument.why,
            ConfigurationDocument.made_by_name,
            ConfigurationDocument.made_at,
        )
        .where(
            ConfigurationDocument.site == site,
            ConfigurationDocument.device == (device or _WHOLE_SITE),
        )
        .order_by(ConfigurationDocument.version.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    document_id, version, content, *rest = row
    return DocumentRow(document_id, version, DeviceConfiguration.model_validate(content), *rest)


def add_document(
    connection: Connection,
    who: Principal,
    site: str,
    device: str | None,
    configuration: DeviceConfiguration,
    why: str,
    expected: int | None = None,
) -> DocumentRow:
    """Set a device, or all of a site, from now on. The caller audits it.

    Args:
        connection: A transaction.
        who: Sets it.
        site: Which.
        device: Which; None: all of the site.
        configuration: The whole document; it takes the place of the one before.
        why: In a few words.
        expected: The version that the change is based on; 0: of no document; None: of any.

    Raises:
        ConfiguredMeanwhileError: It was based on another; nothing has changed.
    """
    lock = text("select pg_advisory_xact_lock(hashtext('configuration of ' || :site))")
    connection.execute(lock, {"site": site})
    before = newest_document(connection, site, device)
    if expected is not None and expected != (before.version if before else 0):
        raise ConfiguredMeanwhileError(before)
    connection.execute(
        insert(ConfigurationDocument).values(
            document_id=new_id(),
            site=site,
            device=device or _WHOLE_SITE,
            version=_next_version(connection, site),
            content=configuration.model_dump(mode="json", exclude_none=True),
            why=why,
            made_by=who.id,
            made_by_name=who.name,
        )
    )
    added = newest_document(connection, site, device)
    assert added
    return added


def desired_of(connection: Connection, name: DeviceName) -> DesiredConfiguration | None:
    """Return what a device is to be set to; its own document wins over the site's."""
    documents = [newest_document(connection, name.site, device) for device in (None, name.device)]
    return _whole([(each.version, each.configuration) for each in documents if each])


def desired_of_all(connection: Connection) -> dict[DeviceName, DesiredConfiguration]:
    """Return what each device is to be set to that is known or has a document."""
    query = (
        select(
            ConfigurationDocument.site,
            ConfigurationDocument.device,
            ConfigurationDocument.version,
            ConfigurationDocument.content,
        )
        .ext(distinct_on(ConfigurationDocument.site, ConfigurationDocument.device))
        .order_by(
            ConfigurationDocument.site,
            ConfigurationDocument.device,
            ConfigurationDocument.version.desc(),
        )
    )
    newest = {(row.site, row.device): row for row in connection.execute(query)}
    known = connection.execute(select(Device.site, Device.device)).all()
    names = {(site, device) for site, device in known} | set(newest)
    found = {}
    for site, device in sorted(names):
        rows = [newest[key] for key in ((site, _WHOLE_SITE), (site, device)) if key in newest]
        documents = [(row.version, DeviceConfiguration.model_validate(row.content)) for row in rows]
        if device != _WHOLE_SITE and (whole := _whole(documents)):
            found[DeviceName(site, device)] = whole
    return found


def count_of_causes(connection: Connection) -> tuple[int, int]:
    """Return what grows when `desired_of_all` may have changed: documents and devices."""
    documents = connection.scalar(select(func.count()).select_from(ConfigurationDocument))
    devices = connection.scalar(select(func.count()).select_from(Device))
    return documents or 0, devices or 0


def record_report(connection: Connection, name: DeviceName, told: ReportedConfiguration) -> None:
    """Keep what a device says of its configuration."""
    values = told.model_dump() | {"reported_at": func.clock_timestamp()}
    new = upsert(ConfigurationReport).values(site=name.site, device=name.device, **values)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[ConfigurationReport.site, ConfigurationReport.device], set_=values
        )
    )


def report_of(connection: Connection, name: DeviceName) -> ReportRow | None:
    """Return what a device last reported."""
    query = select(
        ConfigurationReport.version,
        ConfigurationReport.sha256,
        ConfigurationReport.outcome,
        ConfigurationReport.in_force,
        ConfigurationReport.detail,
        ConfigurationReport.reported_at,
    ).where(ConfigurationReport.site == name.site, ConfigurationReport.device == name.device)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    said = row.version, row.sha256, row.outcome, row.in_force, row.detail, row.reported_at
    return ReportRow(*said)


def state_of(wanted: DesiredConfiguration | None, report: ReportRow | None) -> ConfigurationState:
    """Return how it stands: what a device reported of another version says nothing of this one."""
    if wanted is None:
        return "none"
    if report is None or (report.version, report.sha256) != (wanted.version, wanted.sha256):
        return "pending"
    return report.outcome


def _whole(documents: Sequence[tuple[int, DeviceConfiguration]]) -> DesiredConfiguration | None:
    """Make one of documents with their versions; each wins over those before it."""
    if not documents:
        return None
    version = max(version for version, _ in documents)
    return desired(version, merged(configuration for _, configuration in documents))


def _next_version(connection: Connection, site: str) -> int:
    """Return a version above all that devices have had, even those of a database since restored."""
    made = select(func.max(ConfigurationDocument.version)).where(ConfigurationDocument.site == site)
    had = select(
        func.max(func.greatest(ConfigurationReport.version, ConfigurationReport.in_force))
    ).where(ConfigurationReport.site == site)
    return max(connection.scalar(made) or 0, connection.scalar(had) or 0) + 1
