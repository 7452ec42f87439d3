"""Devices enrol with tokens, and have certificates."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0063"
down_revision = "0061"

_STATEMENTS = [
    """
create table enrolment_tokens (
    token_id uuid not null,
    token_sha256 bytea not null,
    site varchar not null,
    device varchar not null,
    created_by varchar not null,
    created_at timestamptz default now() not null,
    ends_at timestamptz not null,
    used_at timestamptz,
    constraint pk_enrolment_tokens primary key (token_id)
)
""",
    "create unique index uq_enrolment_tokens_token_sha256 on enrolment_tokens (token_sha256)",
    """
create table device_certificates (
    certificate_id uuid not null,
    serial varchar not null,
    site varchar not null,
    device varchar not null,
    issued_at timestamptz default now() not null,
    not_after timestamptz not null,
    revoked_at timestamptz,
    constraint pk_device_certificates primary key (certificate_id)
)
""",
    "create unique index uq_device_certificates_serial on device_certificates (serial)",
    "create index ix_device_certificates_site_device on device_certificates (site, device)",
]


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in ("enrolment_tokens", "device_certificates"):
        restrict_to_sites(table)
