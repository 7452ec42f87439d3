"""Keep what fields look like apart, and only while their slide may get another field.

That a border cuts a cell is said when the cell is recorded, no more when its field is settled.

A look is two kilobytes and is compared with fields that come later. None comes once a slide is
complete and no frame of it can come back from quarantine.
"""

from alembic import op

revision = "0022"
down_revision = "0021"

_TABLE = """
create table field_looks (
    frame_id uuid not null constraint fk_field_looks_frame_id_fields references fields,
    look bytea not null,
    constraint pk_field_looks primary key (frame_id)
)
"""

# At the end of the transaction: the last field is settled first, and then compared with the others.
_DROP = """
create function drop_looks_of_complete_slide() returns trigger language plpgsql as $$
begin
    delete from field_looks using frames, slides
    where slides.slide_id = new.slide_id and slides.state = 'complete' and slides.quarantined = 0
        and frames.slide_id = slides.slide_id and field_looks.frame_id = frames.frame_id;
    return null;
end
$$
"""
_DROP_TRIGGER = """
create constraint trigger drop_looks after update on slides deferrable initially deferred
    for each row when (
        new.state = 'complete' and new.quarantined = 0
        and (old.state <> 'complete' or old.quarantined > 0)
    )
    execute function drop_looks_of_complete_slide()
"""

# What workers of the version before write from now on.
_COPY = """
create function copy_look() returns trigger language plpgsql as $$
begin
    insert into field_looks values (new.frame_id, new.look) on conflict do nothing;
    return null;
end
$$
"""
_COPY_TRIGGER = """
create trigger copy_look after update of look on fields
    for each row when (new.look is not null) execute function copy_look()
"""

_MOVE = """
create function move_looks(chosen uuid[]) returns void language sql as $$
    insert into field_looks
    select fields.frame_id, fields.look
    from fields join frames using (frame_id) join slides using (slide_id)
    where fields.frame_id = any(chosen) and fields.look is not null
        and (slides.state <> 'complete' or slides.quarantined > 0)
    on conflict do nothing;
    update fields set look = null where frame_id = any(chosen) and look is not null;
    update cells set excluded = 'cut-by-border'
    from fields join frames using (frame_id)
    where cells.frame_id = fields.frame_id and fields.frame_id = any(chosen)
        and frames.state in ('pending', 'quarantined') and cells.excluded is null
        and (cells."left" <= 1 or cells.top <= 1
            or cells."right" >= fields.width - 1 or cells.bottom >= fields.height - 1);
$$
"""


def upgrade() -> None:
    for statement in (_TABLE, _DROP, _DROP_TRIGGER, _COPY, _COPY_TRIGGER, _MOVE):
        op.execute(statement)
