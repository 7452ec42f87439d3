"""Keep of a device when it last captured and heard a receipt, how it ended, and its spools."""

from alembic import op

revision = "0059"
down_revision = "0056"


def upgrade() -> None:
    op.execute(
        """
        alter table devices
            add column stopped boolean not null default false,
            add column spool_id bigint not null default 0,
            add column earlier_spools bigint[] not null default '{}',
            add column capture_at timestamptz,
            add column receipt_at timestamptz
        """
    )
