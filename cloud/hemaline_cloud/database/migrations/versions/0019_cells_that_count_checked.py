"""Check that no old row says anything else."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("alter table cells validate constraint ck_cells_excluded")
