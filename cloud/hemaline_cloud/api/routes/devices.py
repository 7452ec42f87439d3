"""`/devices` and `/devices/{site}/{device}`: the microscopes, for whoever runs them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from hemaline_cloud.api.command_models import CommandView
from hemaline_cloud.api.context import ApiContext, Context
from hemaline_cloud.api.device_charts import charts_of
from hemaline_cloud.api.problems import not_found
from hemaline_cloud.api.rendering import render
from hemaline_cloud.api.routes.configuration import read_view
from hemaline_cloud.api.views import device_view, frame_view
from hemaline_cloud.api.words import VERB_WORDS
from hemaline_cloud.database.device_commands import commands_of
from hemaline_cloud.database.reading.device_history import (
    changes_of_device,
    frames_by_outcome,
    hours_of,
    newest_frames,
)
from hemaline_cloud.database.reading.devices import get_device
from hemaline_cloud.database.reading.fleet import FleetDevice, fleet_of, whole_fleet
from hemaline_cloud.fleet.attention import Attention
from hemaline_cloud.fleet.state import DeviceWord
from hemaline_cloud.people.rights import Right, has_right
from hemaline_shared.topics import DeviceName

router = APIRouter(include_in_schema=False)

Shown: TypeAlias = DeviceWord | Attention

_DEVICES = 2000
_HOURS = 48
_CHANGES = 40
_PICTURES = 8
_COMMANDS = 20


@router.get("/devices")
def devices(
    context: Context,
    request: Request,
    show: Shown | None = None,
    site: Annotated[str | None, Query(max_length=63)] = None,
) -> Response:
    """All microscopes: those that want a look by the reason, all of them by what they do."""
    with context.reading() as connection:
        fleet = whole_fleet(connection, _DEVICES)
    sites = Counter(device.row.site for device in fleet)
    of_site = [device for device in fleet if site in {None, device.row.site}]
    values = {
        "devices": [device_view(device) for device in of_site if _is_shown(device, show)],
        "show": show,
        "site": site,
        "sites": sites,
        "counts": _counts(of_site),
        "words": list(DeviceWord),
        "attentions": list(Attention),
        "whole": len(of_site),
        "unheard_since": _unheard_since(fleet),
    }
    return render(request, "devices.html", values)


@router.get("/devices/{site}/{device}")
def device(context: Context, request: Request, site: str, device: str) -> Response:
    """One microscope: its facts, what changed, how its hours were, and what it last captured."""
    with context.reading() as connection:
        row = get_device(connection, site, device)
        if row is None:
            raise not_found("device", f"{site}/{device}")
        (found,) = fleet_of(connection, [row])
        values = {
            "device": device_view(found),
            "told": row.told,
            "baselines": found.baselines,
            "changes": changes_of_device(connection, site, device, limit=_CHANGES),
            "charts": charts_of(hours_of(connection, site, device, _HOURS)),
            "outcomes": frames_by_outcome(connection, site, device),
            "configuration": read_view(connection, DeviceName(site, device)),
            "commands": _commands(context, connection, site, device),
            "verbs": VERB_WORDS,
            "pictures": _pictures(context, connection, site, device),
        }
    return render(request, "device.html", values)


def _is_shown(device: FleetDevice, show: Shown | None) -> bool:
    return show is None or show is device.state.word or show in device.attention


def _counts(fleet: Sequence[FleetDevice]) -> Counter[str]:
    counts: Counter[str] = Counter(device.state.word for device in fleet)
    counts.update(attention for device in fleet for attention in device.attention)
    return counts


def _unheard_since(fleet: Sequence[FleetDevice]) -> datetime | None:
    """Return since when nothing was heard of anybody who should be there; None: something was.

    Then it is rather this side that does not hear.
    """
    there = [device for device in fleet if device.row.connection == "connected"]
    if len(there) < 2 or any(device.state.reason != "no-telemetry" for device in there):
        return None
    return max(device.row.telemetry_at or device.row.status_at for device in there)


def _commands(
    context: ApiContext, connection: Connection, site: str, device: str
) -> list[CommandView] | None:
    """Return what it was told to do lately; None for whoever does not operate it."""
    if not context.may(Right.OPERATE, site):
        return None
    rows = commands_of(connection, DeviceName(site, device), _COMMANDS)
    return [CommandView.model_validate(row) for row in rows if row.slide_id is None]


def _pictures(
    context: ApiContext, connection: Connection, site: str, device: str
) -> list[Any] | None:
    """Return what was captured last; None for whoever reviews no slides of this site.

    Pictures are of patients' blood: to run a microscope nobody needs them.
    """
    assert context.authentication
    if not has_right(context.authentication.roles_at(site), Right.REVIEW):
        return None
    rows = newest_frames(connection, site, device, limit=_PICTURES)
    slides = list({row.slide_id: None for row in rows})
    if slides:
        context.audit_read("device-pictures", shown=slides)
    return [frame_view(row) for row in rows]
