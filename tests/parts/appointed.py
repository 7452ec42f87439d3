"""Bundles whose answers count, as an operator appoints them."""

from pathlib import Path

from pydantic import SecretStr

from hemaline_cloud.bundle_verbs import appoint_bundle
from hemaline_cloud.database.purposes import Purpose
from hemaline_cloud.settings import MigrateSettings


def appointed(
    database_url: str, bundle: Path | str, purpose: Purpose = "active", site: str | None = None
) -> None:
    """Let a bundle, by its directory or hash, hold a purpose for a site or for all."""
    settings = MigrateSettings(database_url=SecretStr(database_url))
    appoint_bundle(settings, str(bundle), purpose, site, lambda _: None)
