"""Count the versions of a cell's label within each reading: a blind reader begins anew."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_unique_index

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    build_unique_index("uq_cell_labels_reading", "cell_labels (cell_id, reading, version)")
    with op.get_context().autocommit_block():
        op.execute("drop index concurrently if exists uq_cell_labels_version")
