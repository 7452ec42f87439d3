"""Keep what operators did, and which dead letters wait for a version that can read them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_REFUSE = """
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are only ever added', tg_table_name
        using errcode = 'integrity_constraint_violation';
end
$$
"""
_APPEND_ONLY = """
create trigger append_only before update or delete or truncate on operator_actions
    for each statement execute function refuse_change()
"""


def upgrade() -> None:
    op.create_table(
        "operator_actions",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column(
            "at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_operator_actions")),
    )
    op.create_index(
        op.f("ix_operator_actions_subject_subject_id"),
        "operator_actions",
        ["subject", "subject_id"],
    )
    op.execute(_REFUSE)
    op.execute(_APPEND_ONLY)
    op.add_column(
        "dead_letters", sa.Column("state", sa.String(), server_default="refused", nullable=False)
    )
    op.add_column("dead_letters", sa.Column("needs_version", sa.Integer(), nullable=True))
    op.execute(
        "alter table dead_letters add constraint ck_dead_letters_state"
        " check (state in ('refused', 'parked', 'retried', 'discarded')) not valid"
    )
