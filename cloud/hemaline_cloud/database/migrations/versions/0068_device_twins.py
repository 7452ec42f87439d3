"""A second agent under a device's name is told apart by births that should not be."""

from alembic import op

revision = "0068"
down_revision = "0067"


def upgrade() -> None:
    op.execute(
        "alter table devices"
        " add column born_at timestamptz,"
        " add column address varchar not null default '',"
        " add column twins integer not null default 0,"
        " add column twin_at timestamptz"
    )
