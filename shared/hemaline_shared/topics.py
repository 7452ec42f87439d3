"""The one place that spells MQTT topics: `hemaline/v1/{site}/{device}/...`."""

import re
from dataclasses import dataclass
from enum import StrEnum

from hemaline_shared.errors import PermanentError

_ROOT = "hemaline/v1"
SITE_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
_NAME = re.compile(SITE_NAME)


class Channel(StrEnum):
    """What a device says and what it hears; `hemaline_shared.asyncapi` tells which is which."""

    FIELD = "field"
    RECEIPT = "receipt"
    STATUS = "status"
    TELEMETRY = "telemetry"
    UPLOAD_REQUEST = "upload/request"
    UPLOAD_GRANT = "upload/grant"
    CONFIG_DESIRED = "config/desired"
    CONFIG_REPORTED = "config/reported"
    COMMAND = "command"
    COMMAND_RESULT = "command/result"


def is_site_name(name: str) -> bool:
    """Whether a site may be called so; the names of devices keep the same rule."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class DeviceName:
    """Who speaks: a site and a device of it, each lower-case letters, digits and hyphens."""

    site: str
    device: str

    def __post_init__(self) -> None:
        for name in (self.site, self.device):
            if not is_site_name(name):
                raise PermanentError(
                    "invalid-device-name",
                    f"{name!r} cannot name a site or device: use a-z, 0-9 and hyphens, "
                    "at most 63 of them, the first no hyphen",
                )

    def __str__(self) -> str:
        return f"{self.site}/{self.device}"

    def topic(self, channel: Channel) -> str:
        """Return the device's topic for a channel."""
        return f"{_ROOT}/{self.site}/{self.device}/{channel}"


def every_device(channel: Channel, share: str | None = None) -> str:
    """Return the filter for one channel of all devices, shared among a group if one is named."""
    topic_filter = f"{_ROOT}/+/+/{channel}"
    return f"$share/{share}/{topic_filter}" if share else topic_filter


def parse_topic(topic: str) -> tuple[DeviceName, Channel]:
    """Return who a topic belongs to and its channel.

    Raises:
        PermanentError: `unknown-topic` or `invalid-device-name`.
    """
    prefix = f"{_ROOT}/"
    parts = topic.removeprefix(prefix).split("/", 2)
    if not topic.startswith(prefix) or len(parts) != 3 or parts[2] not in set(Channel):
        raise PermanentError("unknown-topic", f"{topic!r} is not one of Hemaline's topics")
    return DeviceName(parts[0], parts[1]), Channel(parts[2])
