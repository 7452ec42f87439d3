"""Let slides be reviewed that were complete before, and find those that are not ready yet."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index, rewrite_in_batches

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    rewrite_in_batches("slides", "slide_id", "ready_slides")
    build_index("ix_slides_receiving", "slides (slide_id) where review = 'receiving'")
    op.execute("alter table slides validate constraint ck_slides_review")
    op.execute("-- squawk-ignore ban-drop-function\ndrop function if exists ready_slides(uuid[])")
