"""Find a field's cells by an index that holds each field once.

That no cell is there twice follows from its id, which is made of its frame and its place.
"""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    build_index("ix_cells_frame_id", "cells (frame_id)")
    with op.get_context().autocommit_block():
        # No client assumes it: whoever inserts names the id.
        op.execute(
            "-- squawk-ignore ban-drop-constraint\n"
            "alter table cells drop constraint if exists uq_cells_frame_id_index"
        )
