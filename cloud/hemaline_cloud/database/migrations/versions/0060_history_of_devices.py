"""Keep of each device what changed, what each hour brought, and how its pictures usually are."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0060"
down_revision = "0059"

_TABLES = {
    "device_changes": """
        create table device_changes (
            change_id bigint generated always as identity constraint pk_device_changes primary key,
            site varchar not null,
            device varchar not null,
            at timestamptz not null default clock_timestamp(),
            kind varchar not null,
            detail varchar not null
        )
    """,
    "device_hours": """
        create table device_hours (
            site varchar not null,
            device varchar not null,
            hour timestamptz not null,
            captured bigint not null default 0,
            spool_frames bigint not null default 0,
            spool_bytes bigint not null default 0,
            judged bigint not null default 0,
            blur_sum double precision not null default 0,
            density_sum double precision not null default 0,
            constraint pk_device_hours primary key (site, device, hour)
        )
    """,
    "device_frames": """
        create table device_frames (
            site varchar not null,
            device varchar not null,
            hour timestamptz not null,
            outcome varchar not null,
            reason varchar not null,
            frames bigint not null,
            constraint pk_device_frames primary key (site, device, hour, outcome, reason)
        )
    """,
    "device_baselines": """
        create table device_baselines (
            site varchar not null,
            device varchar not null,
            measure varchar not null,
            frames bigint not null,
            mean double precision not null,
            variance double precision not null,
            recent double precision not null,
            constraint pk_device_baselines primary key (site, device, measure)
        )
    """,
}


def upgrade() -> None:
    for table, statement in _TABLES.items():
        op.execute(statement)
        restrict_to_sites(table)
    op.execute("create index ix_device_changes_site on device_changes (site, device, change_id)")
    op.execute("create index ix_device_hours_hour on device_hours (hour)")
    op.execute("create index ix_device_frames_hour on device_frames (hour)")
