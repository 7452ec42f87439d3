"""Say it of the rows that are there."""

from hemaline_cloud.database.migrations.steps import rewrite_in_batches

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    rewrite_in_batches("fields", "frame_id", "fill_sites_of_fields")
    rewrite_in_batches("slide_results", "slide_id", "fill_sites_of_results")
    rewrite_in_batches("dead_letters", "dead_letter_id", "fill_sites_of_letters")
