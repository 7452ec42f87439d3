"""`python -m hemaline_shared.asyncapi`: the MQTT contract as AsyncAPI 3, from the models."""

import json
import sys
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from hemaline_shared.device_commands import Command, CommandResult
from hemaline_shared.device_configuration import DesiredConfiguration, ReportedConfiguration
from hemaline_shared.messages import (
    CONTENT_TYPE,
    SCHEMA_VERSION,
    FieldMessage,
    QuarantinedMessage,
    Receipts,
    RejectedMessage,
    SlideClosedMessage,
    Status,
    Telemetry,
    UploadGrant,
    UploadRequest,
    WireModel,
)
from hemaline_shared.topics import Channel

_ASYNCAPI = "3.0.0"
_SCHEMAS = "#/components/schemas"

CHANNELS: dict[Channel, tuple[str, Literal["send", "receive"], tuple[type[WireModel], ...]]] = {
    Channel.FIELD: (
        "Captured frames and closed slides. Each is sent again until its receipt comes.",
        "send",
        (FieldMessage, RejectedMessage, QuarantinedMessage, SlideClosedMessage),
    ),
    Channel.RECEIPT: (
        "The cloud's word on messages, after their objects and rows are stored for good.",
        "receive",
        (Receipts,),
    ),
    Channel.STATUS: ("Retained birth and Last Will.", "send", (Status,)),
    Channel.TELEMETRY: ("How the device is doing.", "send", (Telemetry,)),
    Channel.UPLOAD_REQUEST: (
        "A claim check: where may these images go?",
        "send",
        (UploadRequest,),
    ),
    Channel.UPLOAD_GRANT: ("The answer: a short-lived address.", "receive", (UploadGrant,)),
    Channel.CONFIG_DESIRED: (
        "Retained: what the device is to be set to.",
        "receive",
        (DesiredConfiguration,),
    ),
    Channel.CONFIG_REPORTED: (
        "Retained: what became of it.",
        "send",
        (ReportedConfiguration,),
    ),
    Channel.COMMAND: (
        "What the device is to do once. Each is sent again until its result is heard.",
        "receive",
        (Command,),
    ),
    Channel.COMMAND_RESULT: (
        "What became of it; told again whenever the command comes again.",
        "send",
        (CommandResult,),
    ),
}
"""Every channel: what it is for, the device's direction, what travels on it."""


def document() -> dict[str, Any]:
    """Return the whole AsyncAPI document."""
    models = [model for _, _, kinds in CHANNELS.values() for model in kinds]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS + "/{model}"
    )
    return {
        "asyncapi": _ASYNCAPI,
        "info": {
            "title": "Hemaline's MQTT contract",
            "version": str(SCHEMA_VERSION),
            "description": (
                "MQTT 5, QoS 1. A payload is a CBOR map: the fields below and `v`, the schema "
                f"version ({SCHEMA_VERSION}). Bytes, UUIDs (tag 37) and times (tag 0) are CBOR's "
                "own. Unknown fields are ignored; an unknown version is parked. Correlation "
                "Data holds message_id as text, so that even an unreadable message gets a receipt."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {_name(channel): _channel(channel) for channel in CHANNELS},
        "operations": {_name(channel): _operation(channel) for channel in CHANNELS},
        "components": {
            "messages": {
                model.__name__: {
                    "summary": (model.__doc__ or "").split("\n")[0],
                    "payload": {"$ref": f"{_SCHEMAS}/{model.__name__}"},
                }
                for model in models
            },
            "schemas": schemas["$defs"],
        },
    }


def render() -> str:
    """Return the document as docs/asyncapi.json holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _name(channel: Channel) -> str:
    return channel.value.replace("/", "-")


def _channel(channel: Channel) -> dict[str, Any]:
    description, _, models = CHANNELS[channel]
    return {
        "address": f"hemaline/v1/{{site}}/{{device}}/{channel}",
        "description": description,
        "parameters": {
            "site": {"description": "The laboratory: a-z, 0-9 and hyphens."},
            "device": {"description": "The device, as its certificate names it."},
        },
        "messages": {
            model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in models
        },
    }


def _operation(channel: Channel) -> dict[str, Any]:
    description, action, _ = CHANNELS[channel]
    return {
        "action": action,
        "summary": f"The device's side. {description}",
        "channel": {"$ref": f"#/channels/{_name(channel)}"},
    }


if __name__ == "__main__":
    sys.stdout.write(render())
