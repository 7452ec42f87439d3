"""Let a field wait for both purposes, and find what waits for one of them."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index, build_unique_index

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    build_unique_index("uq_work_frame_id_purpose", "work (frame_id, purpose)")
    build_index("ix_work_purpose_priority_enqueued_at", "work (purpose, priority, enqueued_at)")
    op.execute("alter table work validate constraint ck_work_purpose")
