"""Check the states of the dead letters that were there."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("alter table dead_letters validate constraint ck_dead_letters_state")
