"""Make the first revision of each result that is there, and name whose answers count."""

from alembic import op

from hemaline_cloud.database.migrations.steps import rewrite_in_batches

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    rewrite_in_batches("frames", "frame_id", "name_judges")
    rewrite_in_batches("slides", "slide_id", "copy_results")
    op.execute("alter table slides validate constraint fk_slides_revision_result_revisions")
    op.execute("alter table frames validate constraint fk_frames_judged_by_bundles")
