"""Operators and readers ask devices to do something, and hear what became of it."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0095"
down_revision = "0090"

_STATEMENTS = (
    """
    create table device_commands (
        command_id uuid not null constraint pk_device_commands primary key,
        site varchar not null,
        device varchar not null,
        verb varchar not null,
        arguments jsonb not null,
        slide_id uuid
            constraint fk_device_commands_slide_id_slides
            references slides (slide_id) on delete cascade,
        why varchar not null,
        asked_by varchar not null,
        asked_by_name varchar not null,
        asked_at timestamptz not null default now(),
        expires_at timestamptz not null,
        approved_by varchar,
        approved_by_name varchar,
        approved_at timestamptz,
        state varchar not null,
        sent_at timestamptz,
        changed_at timestamptz not null default now(),
        reason varchar,
        detail varchar,
        lines varchar[],
        constraint ck_device_commands_second_operator check (approved_by <> asked_by)
    )
    """,
    "create index ix_device_commands_device on device_commands (site, device, command_id)",
    "create index ix_device_commands_slide_id on device_commands (slide_id)",
    """
    create index ix_device_commands_open on device_commands (expires_at)
        where state in ('awaiting-approval', 'open', 'received', 'seen')
    """,
    "revoke delete on device_commands from hemaline_application",
)

# That more is wanted of a slide says something of it; services carry it all the same.
_MAY_KNOW = """
    slide_id is null
    or current_setting('hemaline.principal', true) ~ '^(service|operator):'
    or may_know(slide_id, asked_by)
"""


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    restrict_to_sites("device_commands")
    op.execute(
        "create policy not_before_the_second_reading on device_commands"
        f" as restrictive for select using ({_MAY_KNOW})"
    )
