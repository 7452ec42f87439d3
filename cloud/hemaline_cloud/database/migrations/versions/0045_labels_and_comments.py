"""Labels and comments of people, and the answers to changes that may be sent twice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from hemaline_cloud.database.migrations.steps import restrict_to_principals, restrict_to_sites

revision = "0045"
down_revision = "0044"

_NOW = sa.text("now()")
_TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "cell_labels",
        sa.Column("label_id", sa.Uuid(), nullable=False),
        sa.Column("cell_id", sa.Uuid(), nullable=False),
        sa.Column("slide_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("act_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("replaces", sa.Uuid(), nullable=True),
        sa.Column("undoes", sa.Uuid(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("by_name", sa.String(), nullable=False),
        sa.Column("at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("label_id", name=op.f("pk_cell_labels")),
        _refers("cell_labels", "cell_id", "cells"),
        _refers("cell_labels", "slide_id", "slides"),
        _refers("cell_labels", "replaces", "cell_labels", "label_id"),
    )
    op.create_table(
        "comments",
        sa.Column("comment_id", sa.Uuid(), nullable=False),
        sa.Column("slide_id", sa.Uuid(), nullable=False),
        sa.Column("frame_id", sa.Uuid(), nullable=True),
        sa.Column("cell_id", sa.Uuid(), nullable=True),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("by_name", sa.String(), nullable=False),
        sa.Column("at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("comment_id", name=op.f("pk_comments")),
        _refers("comments", "slide_id", "slides"),
        _refers("comments", "frame_id", "fields"),
        _refers("comments", "cell_id", "cells"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("answer", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("uq_cell_labels_version", "cell_labels", ["cell_id", "version"], unique=True)
    for table, columns in (
        ("cell_labels", ["slide_id", "cell_id", "version"]),
        ("cell_labels", ["act_id"]),
        ("comments", ["slide_id", "comment_id"]),
        ("idempotency_keys", ["at"]),
    ):
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    for table in ("cell_labels", "comments"):
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table}"
            " for each statement execute function refuse_change()"
        )
        op.execute(f"revoke update, delete on {table} from hemaline_application")
        restrict_to_sites(table)
    restrict_to_principals("idempotency_keys")


def _refers(table: str, column: str, to: str, key: str | None = None) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{to}")
    return sa.ForeignKeyConstraint([column], [f"{to}.{key or column}"], name=name)
