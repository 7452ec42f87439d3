"""The API's fixtures."""

from parts.api import (
    anybody,
    api_address,
    api_process,
    api_settings,
    client,
    factory,
    person,
)

__all__ = [
    "anybody",
    "api_address",
    "api_process",
    "api_settings",
    "client",
    "factory",
    "person",
]
