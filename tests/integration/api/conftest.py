"""The API's fixtures."""

from parts.api import api_address, api_process, api_settings, client, factory

__all__ = ["api_address", "api_process", "api_settings", "client", "factory"]
