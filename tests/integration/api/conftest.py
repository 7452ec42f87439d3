"""The API's fixtures."""

from parts.api import api_settings, client, factory, running_api

__all__ = ["api_settings", "client", "factory", "running_api"]
