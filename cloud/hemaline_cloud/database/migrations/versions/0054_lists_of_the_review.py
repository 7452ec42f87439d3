"""List slides by how far their review is, and say since when they wait for a reader."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index

revision = "0054"
down_revision = "0053"

_WORKLIST = "urgency, priority, opened_at, slide_id"


def upgrade() -> None:
    op.execute("alter table slides add column if not exists ready_at timestamptz")
    build_index("ix_slides_review", f"slides (review, {_WORKLIST})")
    build_index("ix_slides_site_review", f"slides (site, review, {_WORKLIST})")
