"""People, what they may do, and how they show who they are."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_principals

revision = "0050"
down_revision = "0048"

_TABLES = (
    "people",
    "local_accounts",
    "identities",
    "grants",
    "log_in_failures",
    "sessions",
    "api_tokens",
    "oidc_log_ins",
)
_STATEMENTS = [
    """
create table people (
    person_id uuid not null,
    name varchar not null,
    full_name varchar not null,
    kind varchar not null,
    state varchar default 'active' not null,
    created_at timestamptz default now() not null,
    constraint pk_people primary key (person_id),
    constraint ck_people_kind check (kind in ('person', 'service')),
    constraint ck_people_state check (state in ('active', 'paused', 'discarded'))
)
""",
    "create unique index uq_people_name on people (lower(name))",
    """
create table local_accounts (
    person_id uuid not null,
    password_hash varchar not null,
    changed_at timestamptz default now() not null,
    totp_secret varchar,
    totp_step bigint,
    constraint pk_local_accounts primary key (person_id),
    constraint fk_local_accounts_person_id_people
        foreign key (person_id) references people (person_id)
)
""",
    """
create table identities (
    issuer varchar not null,
    subject varchar not null,
    person_id uuid not null,
    constraint pk_identities primary key (issuer, subject),
    constraint fk_identities_person_id_people
        foreign key (person_id) references people (person_id)
)
""",
    """
create table grants (
    grant_id uuid not null,
    person_id uuid not null,
    role varchar not null,
    at_site varchar not null,
    source varchar not null,
    until timestamptz,
    reason varchar,
    given_by varchar not null,
    given_at timestamptz default now() not null,
    constraint pk_grants primary key (grant_id),
    constraint ck_grants_role
        check (role in ('technologist', 'haematologist', 'operator', 'admin')),
    constraint ck_grants_source check (source in ('local', 'oidc', 'break-glass')),
    constraint ck_grants_break_glass
        check (source <> 'break-glass' or (until is not null and reason is not null)),
    constraint fk_grants_person_id_people
        foreign key (person_id) references people (person_id)
)
""",
    "create index ix_grants_break_glass on grants (given_at) where source = 'break-glass'",
    "create index ix_grants_person_id on grants (person_id)",
    """
create table log_in_failures (
    name_sha256 bytea not null,
    failures integer not null,
    last_at timestamptz not null,
    constraint pk_log_in_failures primary key (name_sha256)
)
""",
    """
create table sessions (
    token_sha256 bytea not null,
    person_id uuid not null,
    method varchar not null,
    created_at timestamptz default now() not null,
    authenticated_at timestamptz default now() not null,
    seen_at timestamptz default now() not null,
    ends_at timestamptz not null,
    constraint pk_sessions primary key (token_sha256),
    constraint fk_sessions_person_id_people
        foreign key (person_id) references people (person_id)
)
""",
    "create index ix_sessions_ends_at on sessions (ends_at)",
    "create index ix_sessions_person_id on sessions (person_id)",
    """
create table api_tokens (
    token_id uuid not null,
    person_id uuid not null,
    name varchar not null,
    token_sha256 bytea not null,
    scopes varchar[] not null,
    created_at timestamptz default now() not null,
    ends_at timestamptz not null,
    discarded_at timestamptz,
    used_at timestamptz,
    constraint pk_api_tokens primary key (token_id),
    constraint ck_api_tokens_scopes check (scopes <@ array['read', 'write', 'metrics']::varchar[]),
    constraint fk_api_tokens_person_id_people
        foreign key (person_id) references people (person_id)
)
""",
    "create index ix_api_tokens_person_id on api_tokens (person_id)",
    "create unique index uq_api_tokens_token_sha256 on api_tokens (token_sha256)",
    """
create table oidc_log_ins (
    state_sha256 bytea not null,
    browser_sha256 bytea not null,
    nonce varchar not null,
    code_verifier varchar not null,
    return_to varchar not null,
    created_at timestamptz default now() not null,
    constraint pk_oidc_log_ins primary key (state_sha256)
)
""",
    "create index ix_oidc_log_ins_created_at on oidc_log_ins (created_at)",
]


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in _TABLES:
        restrict_to_principals(table)
