"""Pack the predictions that are there."""

from hemaline_cloud.database.migrations.steps import rewrite_in_batches

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    rewrite_in_batches("fields", "frame_id", "pack_cell_predictions")
    rewrite_in_batches("fields", "frame_id", "pack_field_predictions")
