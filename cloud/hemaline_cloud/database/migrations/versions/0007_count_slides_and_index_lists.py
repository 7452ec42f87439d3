"""Count the slides that are there, and index every order and filter of the lists."""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index, rewrite_in_batches

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    rewrite_in_batches("slides", "slide_id", "recount_slides")
    build_index("ix_slides_urgency_opened_at_slide_id", "slides (urgency, opened_at, slide_id)")
    build_index(
        "ix_slides_complete",
        "slides (urgency, opened_at, slide_id) where state = 'complete'",
    )
    build_index(
        "ix_slides_complete_newest", "slides (opened_at, slide_id) where state = 'complete'"
    )
    build_index(
        "ix_slides_open",
        "slides (state, urgency, opened_at, slide_id) where state <> 'complete'",
    )
    build_index(
        "ix_slides_open_newest",
        "slides (state, opened_at, slide_id) where state <> 'complete'",
    )
    build_index("ix_frames_slide_id_sequence_frame_id", "frames (slide_id, sequence, frame_id)")
    build_index("ix_frames_unfinished", "frames (state, frame_id) where state <> 'result'")
    build_index("ix_dead_letters_parked", "dead_letters (needs_version) where state = 'parked'")
    # The new one serves what these did.
    with op.get_context().autocommit_block():
        op.execute("drop index concurrently if exists ix_frames_problem")
        op.execute("drop index concurrently if exists ix_frames_slide_id_state")
