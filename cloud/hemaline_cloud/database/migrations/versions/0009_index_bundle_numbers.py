"""Let rows name a bundle by its number."""

from hemaline_cloud.database.migrations.steps import build_unique_index

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    build_unique_index("uq_bundles_number", "bundles (number)")
