"""`/devices/{site}/{device}/configuration`: what a device is set to, and what it says to that."""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.configuration_models import (
    ConfigurationBody,
    ConfigurationView,
    configuration_view,
)
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_device
from hemaline_cloud.api.problems import ProblemError, documented
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import VERSIONED_PROBLEMS, Done, Write, etag
from hemaline_cloud.database.audit import Event
from hemaline_cloud.database.configuration import (
    ConfiguredMeanwhileError,
    add_document,
    desired_of,
    newest_document,
    report_of,
)
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal
from hemaline_shared.topics import DeviceName

router = APIRouter(prefix=API, tags=["fleet"])


@router.get(
    "/devices/{site}/{device}/configuration",
    summary="Read what a device is set to, and what it reported of that",
    response_model=ConfigurationView,
    responses=examples.answers(examples.CONFIGURATION) | documented(HTTPStatus.NOT_FOUND),
)
def configuration(context: Context, site: str, device: str) -> Response:
    """Its ETag is what a change names in If-Match."""
    with context.reading() as connection:
        view = read_view(connection, existing_device(connection, site, device))
    return JSONResponse(
        view.model_dump(mode="json"),
        headers={"ETag": etag(view.own_version), "Cache-Control": "no-store"},
    )


@router.put(
    "/devices/{site}/{device}/configuration",
    summary="Set a device",
    response_model=ConfigurationView,
    responses=examples.answers(examples.CONFIGURATION) | documented(*VERSIONED_PROBLEMS),
)
def configure(
    context: Context, writing: Write, site: str, device: str, body: ConfigurationBody
) -> Response:
    """What it leaves out is as the site's document has it, or else the device's own file.

    The device proves it and keeps it, or goes back within 120 seconds: read `state` again.
    """
    context.require_review(Right.OPERATE)
    version = writing.expected_version()

    def act(connection: Connection, who: Principal) -> Done:
        name = existing_device(connection, site, device)
        context.require(Right.OPERATE, site)
        try:
            row = add_document(connection, who, site, device, body.configuration, body.why, version)
        except ConfiguredMeanwhileError as error:
            raise ProblemError(
                HTTPStatus.PRECONDITION_FAILED, error.reason, "It was set meanwhile. Look again."
            ) from error
        said = body.configuration.model_dump_json(exclude_none=True)
        detail = f"{name}, version {row.version}, {body.why}: {said}"
        event = Event("configure", "device-configuration", row.document_id, detail, site)
        return Done(read_view(connection, name), event, row.version)

    return writing.write(act, Right.OPERATE)


def read_view(connection: Connection, name: DeviceName) -> ConfigurationView:
    """Return how a device's configuration stands."""
    return configuration_view(
        newest_document(connection, name.site, name.device),
        desired_of(connection, name),
        report_of(connection, name),
    )
