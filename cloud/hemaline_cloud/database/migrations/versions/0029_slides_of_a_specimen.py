"""Find the slides of a specimen by an index."""

from hemaline_cloud.database.migrations.steps import build_index

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    build_index("ix_slides_specimen_id", "slides (specimen_id)")
