"""Say of each cell whether it counts, and keep what its field looks like."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("alter table fields add column look bytea")
    op.execute("alter table cells add column excluded varchar, add column same_as uuid")
    op.execute(
        "alter table cells add constraint ck_cells_excluded"
        " check (excluded in ('cut-by-border', 'seen-before')) not valid"
    )
