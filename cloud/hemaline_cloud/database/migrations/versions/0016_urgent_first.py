"""Let the queue follow what is known of a slide: its priority and its urgency, as they rise."""

from alembic import op

revision = "0016"
down_revision = "0015"

# The lower, the sooner: a technologist's haste, then what the model suspects, then the rest.
_PRIORITY = """
create function work_priority(urgency smallint, slide_priority varchar) returns integer
language sql immutable return
    case when slide_priority = 'stat' then 0 else 100 - 30 * least(greatest(urgency, 0), 3) end
"""
# Rows that are locked are being leased or ended just now: waiting for them could never be needed,
# and might close a ring, for who ends a field holds its row and then wants the slide.
_HURRY = """
create function hurry_queued_fields() returns trigger language plpgsql as $$
begin
    update work set priority = work_priority(new.urgency, new.priority)
    where frame_id in (
        select work.frame_id from work join frames on frames.frame_id = work.frame_id
        where frames.slide_id = new.slide_id and frames.state = 'pending'
            and work.priority > work_priority(new.urgency, new.priority)
        for update of work skip locked
    );
    return null;
end
$$
"""
_TRIGGER = """
create trigger hurry_queued after update of urgency, priority on slides for each row
    when (work_priority(new.urgency, new.priority) < work_priority(old.urgency, old.priority))
    execute function hurry_queued_fields()
"""


def upgrade() -> None:
    for statement in (_PRIORITY, _HURRY, _TRIGGER):
        op.execute(statement)
