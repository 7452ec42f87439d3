"""Join the predictions that are there."""

from hemaline_cloud.database.migrations.steps import rewrite_in_batches

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    rewrite_in_batches("fields", "frame_id", "join_cell_predictions")
