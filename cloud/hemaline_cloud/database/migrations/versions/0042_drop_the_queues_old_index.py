"""Drop the queue's index without a purpose: the new one serves what it did."""

from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("drop index concurrently if exists ix_work_priority_enqueued_at")
