"""Keep in the queue which fields are suspects, and which pixel pipeline each was cut by."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("work", sa.Column("leased_at", sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column(
        "work",
        sa.Column("suspected", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("work", sa.Column("pixel_pipeline", sa.String(), nullable=True))
    # Attempts counted every lease until now; from here on only those that were begun alone.
    op.execute("update work set attempts = 0")
