"""Pack the heat maps that are there, and check that every row that has one says its width."""

from alembic import op

from hemaline_cloud.database.migrations.steps import rewrite_in_batches

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    rewrite_in_batches("fields", "frame_id", "pack_heat_maps")
    op.execute("alter table cell_predictions validate constraint ck_cell_predictions_heat")
