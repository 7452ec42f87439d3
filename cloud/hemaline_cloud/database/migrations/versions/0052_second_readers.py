"""A slide can be read by a second person, who sees nothing of what the first one said.

While a slide awaits its second reader, PostgreSQL itself shows labels, comments and readings to
their author alone: whatever reads them, page or list or export, needs no rule of its own.
"""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0052"
down_revision = "0051"

_STATEMENTS = (
    """
    alter table slides add column second_reader varchar,
        add column second_reader_name varchar,
        add column readings_begun integer not null default 1
    """,
    "alter table cell_labels add column reading integer not null default 1",
    """
    create table readings (
        reading_id uuid not null constraint pk_readings primary key,
        slide_id uuid not null
            constraint fk_readings_slide_id_slides references slides (slide_id),
        site varchar not null,
        number integer not null,
        revision integer not null,
        reader varchar not null,
        reader_name varchar not null,
        finished_at timestamptz not null default now(),
        report varchar not null,
        looked_before boolean not null
    )
    """,
    "create unique index uq_readings_number on readings (slide_id, number)",
    """
    create function may_know(of_slide uuid, author varchar) returns boolean
    language sql stable as $$
        select author = current_setting('hemaline.principal', true) or not exists (
            select from slides
            where slides.slide_id = of_slide and slides.review = 'awaiting-second-reader'
        )
    $$
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    op.execute(
        "create trigger append_only before update or delete or truncate on readings"
        " for each statement execute function refuse_change()"
    )
    op.execute("revoke update, delete on readings from hemaline_application")
    restrict_to_sites("readings")
    for table, author in (("cell_labels", "by"), ("comments", "by"), ("readings", "reader")):
        op.execute(
            f"create policy not_before_the_second_reading on {table} as restrictive for select"
            f" using (may_know(slide_id, {author}))"
        )
