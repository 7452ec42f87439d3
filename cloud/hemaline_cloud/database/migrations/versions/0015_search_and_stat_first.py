"""Search slides by accession and name; in the worklist, STAT before routine."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index

revision = "0015"
down_revision = "0014"

_OLD = (
    "ix_slides_urgency_opened_at_slide_id",
    "ix_slides_complete",
    "ix_slides_open",
    "ix_slides_accession",
)


def upgrade() -> None:
    order = "urgency, priority, opened_at, slide_id"
    build_index("ix_slides_worklist", f"slides ({order})")
    build_index("ix_slides_worklist_complete", f"slides ({order}) where state = 'complete'")
    build_index("ix_slides_worklist_open", f"slides (state, {order}) where state <> 'complete'")
    # Of one operator class with `like`: the beginning of a word is a range of the index.
    build_index("ix_slides_called", "slides (right(slide_id::text, 8) text_pattern_ops)")
    build_index("ix_slides_named", "slides (lower(slide_name) text_pattern_ops)")
    build_index("ix_slides_name_ends", "slides (reverse(lower(slide_name)) text_pattern_ops)")
    with op.get_context().autocommit_block():
        for name in _OLD:
            op.execute(f"drop index concurrently if exists {name}")
