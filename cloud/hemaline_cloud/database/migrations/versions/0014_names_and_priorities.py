"""Keep what the laboratory calls a slide, and whether it asks for haste."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        "alter table slides add column if not exists slide_name varchar, "
        "add column if not exists priority varchar not null default 'routine'"
    )
