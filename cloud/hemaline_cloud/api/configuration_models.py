"""The configuration of a device as the API takes and gives it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_serializer

from hemaline_cloud.database.configuration import (
    ConfigurationState,
    DocumentRow,
    ReportRow,
    state_of,
)
from hemaline_shared.device_configuration import (
    DesiredConfiguration,
    DeviceConfiguration,
    read_configuration,
)


class ConfigurationBody(BaseModel):
    """A whole document, which takes the place of the device's own one before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration: DeviceConfiguration
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ConfigurationReportView(BaseModel):
    """What the device last reported."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    version: int
    sha256: str
    outcome: str = Field(description="`applied`, `refused` or `reverted`.")
    in_force: int = Field(description="The version that holds now; 0: the device's own file.")
    detail: str | None = Field(description="Why it was refused or reverted.")
    reported_at: datetime


class ConfigurationView(BaseModel):
    """What a device is set to, from its own document and its site's, and what it reported."""

    model_config = ConfigDict(frozen=True)

    state: ConfigurationState = Field(
        description="`none`: nothing is set here. `pending`: the device has not answered yet."
    )
    own_version: int = Field(description="Of the device's own document; 0: it has none.")
    own: DeviceConfiguration
    why: str | None
    made_by_name: str | None
    made_at: datetime | None
    version: int = Field(description="Of the whole document, its site's included; 0: none.")
    sha256: str | None
    whole: DeviceConfiguration
    report: ConfigurationReportView | None

    @field_serializer("own", "whole")
    def _what_is_set(self, configuration: DeviceConfiguration) -> dict[str, Any]:
        return configuration.model_dump(exclude_none=True)


def configuration_view(
    own: DocumentRow | None, wanted: DesiredConfiguration | None, report: ReportRow | None
) -> ConfigurationView:
    """Show how a device's configuration stands."""
    return ConfigurationView(
        state=state_of(wanted, report),
        own_version=own.version if own else 0,
        own=own.configuration if own else DeviceConfiguration(),
        why=own.why if own else None,
        made_by_name=own.made_by_name if own else None,
        made_at=own.made_at if own else None,
        version=wanted.version if wanted else 0,
        sha256=wanted.sha256 if wanted else None,
        whole=read_configuration(wanted.content) if wanted else DeviceConfiguration(),
        report=ConfigurationReportView.model_validate(report) if report else None,
    )
