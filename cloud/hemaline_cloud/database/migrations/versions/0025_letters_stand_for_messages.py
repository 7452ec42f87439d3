"""Let one dead letter stand for many reports of a device that are refused alike."""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute("alter table dead_letters add column messages integer not null default 1")
