"""Tell the readers what changed, and index what they look things up by."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Triggers of statements, so that a transaction of many rows tells of each slide once.
_NOTIFY_SLIDES = """
create function notify_of_slides() returns trigger language plpgsql as $$
declare
    changed uuid;
begin
    for changed in select distinct slide_id from changed_rows loop
        perform pg_notify('hemaline', 'slide:' || changed);
    end loop;
    return null;
end
$$
"""
_NOTIFY_TABLE = """
create function notify_of_table() returns trigger language plpgsql as $$
begin
    perform pg_notify('hemaline', tg_table_name);
    return null;
end
$$
"""


def upgrade() -> None:
    op.execute(_NOTIFY_SLIDES)
    op.execute(_NOTIFY_TABLE)
    for table in ("slides", "frames", "slide_results"):
        for event in ("insert", "update"):
            op.execute(
                f"create trigger notify_of_{event} after {event} on {table} "
                "referencing new table as changed_rows "
                "for each statement execute function notify_of_slides()"
            )
    for table in ("devices", "dead_letters"):
        op.execute(
            f"create trigger notify_of_change after insert or update on {table} "
            "for each statement execute function notify_of_table()"
        )
    # The eight digits of an accession.
    op.execute("create index ix_slides_accession on slides (right(slide_id::text, 8))")
    op.execute(
        "create index ix_frames_problem on frames (frame_id) "
        "where state in ('rejected', 'quarantined')"
    )
