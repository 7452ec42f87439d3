"""The pages that people read: rendered here, refreshed by a little script of our own."""

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, PackageLoader, StrictUndefined

from hemaline_cloud.api import words
from hemaline_cloud.api.authentication import known_authentication
from hemaline_cloud.api.models import SlideView
from hemaline_cloud.api.views import cell_thumbnail, field_image, thumbnail
from hemaline_cloud.cell_classes import CLASS_KEYS
from hemaline_cloud.database.summary import Flag
from hemaline_cloud.review.morphology import (
    GRADED_BY,
    PLATELET_FINDINGS,
    RED_CELL_FINDINGS,
    found,
)

_STATIC = Path(__file__).parent / "static"


def install_pages(app: FastAPI) -> None:
    """Add the templates of the pages, their style and their script."""
    app.state.templates = Jinja2Templates(env=_environment())
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")


@cache
def _environment() -> Environment:
    # One for all apps of a process: it keeps the templates compiled.
    environment = Environment(
        loader=PackageLoader("hemaline_cloud.api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=words.ago,
        amount=words.amount,
        at_most=words.at_most,
        bytes=words.in_bytes,
        attention=words.attention,
        command_state=words.command_state,
        device_change=words.device_change,
        device_check=words.device_check,
        device_reason=words.device_reason,
        explain=words.explain,
        humanise=words.humanise,
        clock_off=words.clock_off,
        measured=words.measured,
        percent=words.percent,
        share=words.share,
        short_class=words.short_class,
        unit=words.unit,
        initials=words.initials,
        second_reader_words=words.second_reader_words,
        verdict_words=words.verdict_words,
        why_provisional=words.why_provisional,
    )
    environment.globals.update(
        asking=known_authentication,
        asset=_asset,
        cell_thumbnail=cell_thumbnail,
        chip=words.chip,
        class_keys_of=CLASS_KEYS,
        findings_of={"red_cells": RED_CELL_FINDINGS, "platelets": PLATELET_FINDINGS},
        found_of=found,
        graded_by=GRADED_BY,
        field_image=field_image,
        now=lambda: datetime.now(UTC),
        query=_query,
        telling=_telling,
        thumbnail=thumbnail,
    )
    return environment


def _asset(name: str) -> str:
    """Return the address of a static file; it changes with the file, so caches may keep it."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def _telling(slide: SlideView) -> list[Flag]:
    """Return the flags to read out: not those that the page says elsewhere or already."""
    held = [flag.code for flag in slide.flags if flag.code.startswith("blasts-")]
    # The first of them says more than that there are blasts.
    said = {"untrained-model", "fields-quarantined"} | ({"blasts-present"} if held[1:] else set())
    return [flag for flag in slide.flags if flag.code not in said]


def _query(request: Request, **changes: object) -> str:
    """Return the page's query with some parts changed; None leaves a part out."""
    parts = {**request.query_params, **changes}
    return "?" + urlencode({name: value for name, value in parts.items() if value is not None})
