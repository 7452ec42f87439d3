"""Move the looks of slides that are open, and forget the others."""

from hemaline_cloud.database.migrations.steps import rewrite_in_batches

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    rewrite_in_batches("fields", "frame_id", "move_looks")
