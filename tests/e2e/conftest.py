"""The API's fixtures."""

from parts.api import api_address, api_settings, factory

__all__ = ["api_address", "api_settings", "factory"]
