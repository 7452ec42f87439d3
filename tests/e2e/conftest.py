"""The API's fixtures."""

from parts.api import api_address, api_settings, factory, person
from parts.browser import browser

__all__ = ["api_address", "api_settings", "browser", "factory", "person"]
