"""Search by those words, and list the slides of one site as quickly as those of all."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index, rewrite_in_batches

revision = "0027"
down_revision = "0026"

_WORKLIST = "urgency, priority, opened_at, slide_id"
_COMPLETE, _OPEN = "where state = 'complete'", "where state <> 'complete'"
_OLD = ("ix_slides_called", "ix_slides_named", "ix_slides_name_ends")


def upgrade() -> None:
    rewrite_in_batches("slides", "slide_id", "fill_words_of_slides")
    for column in ("accession_digits", "name_folded", "name_backwards"):
        build_index(f"ix_slides_{column}", f"slides ({column} text_pattern_ops)")
    build_index("ix_slides_site_newest", "slides (site, opened_at, slide_id)")
    build_index("ix_slides_site_worklist", f"slides (site, {_WORKLIST})")
    build_index("ix_slides_site_worklist_complete", f"slides (site, {_WORKLIST}) {_COMPLETE}")
    build_index("ix_slides_site_worklist_open", f"slides (site, state, {_WORKLIST}) {_OPEN}")
    build_index("ix_slides_site_complete_newest", f"slides (site, opened_at, slide_id) {_COMPLETE}")
    build_index("ix_slides_site_open_newest", f"slides (site, state, opened_at, slide_id) {_OPEN}")
    build_index(
        "ix_frames_site_unfinished", "frames (site, state, frame_id) where state <> 'result'"
    )
    with op.get_context().autocommit_block():
        for name in _OLD:
            op.execute(f"drop index concurrently if exists {name}")
    op.execute("alter table slides validate constraint ck_slides_accession_digits")
    op.execute("alter table slides alter column accession_digits set not null")
    op.execute(
        "-- squawk-ignore ban-drop-constraint\n"
        "alter table slides drop constraint ck_slides_accession_digits"
    )
    op.execute(
        "-- squawk-ignore ban-drop-function\ndrop function if exists fill_words_of_slides(uuid[])"
    )
