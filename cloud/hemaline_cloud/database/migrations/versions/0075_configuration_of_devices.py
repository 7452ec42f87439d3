"""Operators set devices from one place, and devices report what became of it."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0075"
down_revision = "0072"

_STATEMENTS = (
    """
    create table configuration_documents (
        document_id uuid not null constraint pk_configuration_documents primary key,
        site varchar not null,
        device varchar not null,
        version integer not null,
        content jsonb not null,
        why varchar not null,
        made_by varchar not null,
        made_by_name varchar not null,
        made_at timestamptz not null default now()
    )
    """,
    """
    create unique index uq_configuration_documents_version
        on configuration_documents (site, version)
    """,
    """
    create index ix_configuration_documents_device
        on configuration_documents (site, device, version)
    """,
    """
    create trigger append_only before update or delete or truncate on configuration_documents
        for each statement execute function refuse_change()
    """,
    "revoke update, delete on configuration_documents from hemaline_application",
    """
    create table configuration_reports (
        site varchar not null,
        device varchar not null,
        version integer not null,
        sha256 varchar not null,
        outcome varchar not null,
        in_force integer not null,
        detail varchar,
        reported_at timestamptz not null,
        constraint pk_configuration_reports primary key (site, device)
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in ("configuration_documents", "configuration_reports"):
        restrict_to_sites(table)
