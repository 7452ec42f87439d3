"""Keep what readers have seen, who reads a slide, and what a site asks of its readers."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0051"
down_revision = "0050"

_STATEMENTS = (
    """
    alter table slides add column review_version integer not null default 0,
        add column reader varchar,
        add column reader_name varchar
    """,
    """
    create table seen_cells (
        cell_id uuid not null constraint fk_seen_cells_cell_id_cells references cells (cell_id),
        slide_id uuid not null
            constraint fk_seen_cells_slide_id_slides references slides (slide_id),
        site varchar not null,
        revision integer not null,
        reader varchar not null,
        at timestamptz not null default now(),
        constraint pk_seen_cells primary key (slide_id, reader, revision, cell_id)
    )
    """,
    """
    create table seen_fields (
        frame_id uuid not null
            constraint fk_seen_fields_frame_id_fields references fields (frame_id),
        slide_id uuid not null
            constraint fk_seen_fields_slide_id_slides references slides (slide_id),
        site varchar not null,
        revision integer not null,
        reader varchar not null,
        at timestamptz not null default now(),
        constraint pk_seen_fields primary key (slide_id, reader, revision, frame_id)
    )
    """,
    """
    create table review_policies (
        policy_id uuid not null constraint pk_review_policies primary key,
        site varchar not null,
        version integer not null,
        content jsonb not null,
        made_by varchar not null,
        made_at timestamptz not null default now()
    )
    """,
    "create unique index uq_review_policies_version on review_policies (site, version)",
)
_ADDED_ONLY = ("seen_cells", "seen_fields", "review_policies")


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in _ADDED_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table}"
            " for each statement execute function refuse_change()"
        )
        op.execute(f"revoke update, delete on {table} from hemaline_application")
        restrict_to_sites(table)
