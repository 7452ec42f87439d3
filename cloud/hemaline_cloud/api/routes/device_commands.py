"""`/devices/{site}/{device}/commands`, and what readers ask of whoever is at the microscope."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import Connection

from hemaline_cloud.api import examples
from hemaline_cloud.api.command_models import CommandBody, CommandsView, CommandView, RequestBody
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.existing import existing_device, existing_slide
from hemaline_cloud.api.problems import ProblemError, documented, not_found
from hemaline_cloud.api.views import API
from hemaline_cloud.api.writing import WRITING_PROBLEMS, Done, Write
from hemaline_cloud.database.device_commands import (
    CommandRow,
    NewCommand,
    add_command,
    approve_command,
    commands_of,
    event_of,
    find_command,
    requests_of,
    withdraw_command,
)
from hemaline_cloud.people.rights import Right
from hemaline_cloud.principal import Principal
from hemaline_shared.device_commands import VERBS, Arguments, read_arguments
from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import DeviceName

router = APIRouter(prefix=API, tags=["fleet"])

_COMMANDS = 100
_ANSWERS = examples.answers(examples.COMMAND) | documented(*WRITING_PROBLEMS)
_LISTS = examples.answers(examples.COMMANDS) | documented(HTTPStatus.NOT_FOUND)


@router.get(
    "/devices/{site}/{device}/commands",
    summary="Read what a device was told to do, and what became of it",
    responses=_LISTS,
)
def commands(context: Context, site: str, device: str) -> CommandsView:
    """The newest hundred. What readers ask stands with their slides."""
    with context.reading() as connection:
        name = existing_device(connection, site, device)
        context.require(Right.OPERATE, site)
        rows = commands_of(connection, name, _COMMANDS)
    return _list(rows)


@router.post(
    "/devices/{site}/{device}/commands",
    summary="Let a device do something",
    response_model=CommandView,
    responses=_ANSWERS,
)
def command(
    context: Context, writing: Write, site: str, device: str, body: CommandBody
) -> Response:
    """It is sent until the device tells its end, or until it expires; the device does it once.

    `discard-kept` and `decommission` wait for a second operator's approval.
    """
    context.require_review(Right.OPERATE)

    def act(connection: Connection, who: Principal) -> Done:
        name = existing_device(connection, site, device)
        context.require(Right.OPERATE, site)
        if VERBS[body.verb].is_request:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "of-a-slide",
                "Ask for this at the slide that it is of.",
            )
        lasts = timedelta(seconds=body.lasts_s) if body.lasts_s else None
        arguments = _arguments(body.verb, body.arguments)
        return _add(connection, who, NewCommand(name, body.verb, arguments, body.why, lasts))

    return writing.write(act, Right.OPERATE)


@router.post(
    "/devices/{site}/{device}/commands/{command_id}/approval",
    summary="Approve what another operator asks of a device",
    response_model=CommandView,
    responses=_ANSWERS,
)
def approve(context: Context, writing: Write, site: str, device: str, command_id: UUID) -> Response:
    """Whoever asked for it cannot approve it."""
    return _decide(context, writing, (site, device, command_id), "approve", approve_command)


@router.post(
    "/devices/{site}/{device}/commands/{command_id}/withdrawal",
    summary="Take back what awaits approval",
    response_model=CommandView,
    responses=_ANSWERS,
)
def withdraw(
    context: Context, writing: Write, site: str, device: str, command_id: UUID
) -> Response:
    """What was sent already may be done by now, so that it cannot be taken back."""
    return _decide(
        context,
        writing,
        (site, device, command_id),
        "withdraw",
        lambda connection, _who, row: withdraw_command(connection, row),
    )


@router.get(
    "/slides/{slide_id}/requests",
    summary="Read what was asked of the microscope for a slide",
    responses=_LISTS,
    tags=["review"],
)
def requests(context: Context, slide_id: UUID) -> CommandsView:
    """The newest first. A second reader learns of the first one's after the second reading."""
    with context.reading() as connection:
        existing_slide(connection, slide_id)
        rows = requests_of(connection, slide_id)
        context.audit_read("requests", slide_id, slide_id=slide_id)
    return _list(rows)


@router.post(
    "/slides/{slide_id}/requests",
    summary="Ask whoever is at the microscope for more of a slide",
    response_model=CommandView,
    responses=_ANSWERS,
    tags=["review"],
)
def request(context: Context, writing: Write, slide_id: UUID, body: RequestBody) -> Response:
    """It stands on the page at the microscope until somebody there answers it."""
    context.require_review()

    def act(connection: Connection, who: Principal) -> Done:
        slide = existing_slide(connection, slide_id)
        name = DeviceName(slide.site, slide.device)
        said = {"slide_id": str(slide_id)} | body.model_dump(exclude={"verb"}, exclude_none=True)
        arguments = _arguments(body.verb, said)
        new = NewCommand(name, body.verb, arguments, body.reason, slide_id=slide_id)
        return _add(connection, who, new, "request")

    return writing.write(act)


def _add(connection: Connection, who: Principal, new: NewCommand, action: str = "command") -> Done:
    try:
        row = add_command(connection, who, new)
    except PermanentError as error:
        raise _refusal(error.reason, str(error)) from error
    said = "" if action == "request" else new.why
    return Done(CommandView.model_validate(row), event_of(action, row, said))


def _decide(
    context: Context,
    writing: Write,
    which: tuple[str, str, UUID],
    action: str,
    decide: Callable[[Connection, Principal, CommandRow], CommandRow],
) -> Response:
    context.require_review(Right.OPERATE)
    site, device, command_id = which

    def act(connection: Connection, who: Principal) -> Done:
        name = existing_device(connection, site, device)
        context.require(Right.OPERATE, site)
        try:
            row = find_command(connection, command_id)
        except PermanentError:
            raise not_found("command", command_id) from None
        if row.name != name or row.slide_id:
            raise not_found("command", command_id)
        try:
            row = decide(connection, who, row)
        except PermanentError as error:
            raise _refusal(error.reason, str(error)) from error
        return Done(CommandView.model_validate(row), event_of(action, row))

    return writing.write(act, Right.OPERATE)


def _arguments(verb: str, said: dict[str, object]) -> Arguments:
    try:
        return read_arguments(verb, said)
    except PermanentError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason, str(error)) from error


def _refusal(reason: str, sentence: str) -> ProblemError:
    return ProblemError(HTTPStatus.CONFLICT, reason, sentence)


def _list(rows: list[CommandRow]) -> CommandsView:
    return CommandsView(commands=[CommandView.model_validate(row) for row in rows])
