"""The API's fixtures, and the browser."""

from parts.api import api_address, api_settings, factory, person
from parts.browser import browser

__all__ = ["api_address", "api_settings", "browser", "factory", "person"]
