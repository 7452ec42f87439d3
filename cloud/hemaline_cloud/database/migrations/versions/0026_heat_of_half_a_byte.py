"""Make room for heat maps of half a byte a square, and the function that packs those of a byte."""

from alembic import op

revision = "0026"
down_revision = "0025"

_COLUMN = "alter table cell_predictions add column heat bytea"
_CHECK = """
alter table cell_predictions add constraint ck_cell_predictions_heat
    check (heat is null or heat_map_width is not null) not valid
"""
_OLD_CHECK = """
-- squawk-ignore ban-drop-constraint
alter table cell_predictions drop constraint ck_cell_predictions_heat_map
"""

# As `hemaline_cloud.database.heat` reads it: the first of two squares in the higher half.
_PACK = """
create function pack_heat(squares bytea) returns bytea language sql immutable strict as $$
    select string_agg(decode(lpad(to_hex(
        round(get_byte(squares, place) / 17.0)::integer * 16
        + case when place + 1 < length(squares)
            then round(get_byte(squares, place + 1) / 17.0)::integer else 0 end
    ), 2, '0'), 'hex'), '' order by place)
    from generate_series(0, length(squares) - 1, 2) place
$$
"""
_PACK_CHOSEN = """
create function pack_heat_maps(chosen uuid[]) returns void language sql as $$
    update cell_predictions set heat = pack_heat(heat_map), heat_map = null
    from cells
    where cells.frame_id = any(chosen) and cells.cell_id = cell_predictions.cell_id
        and cell_predictions.heat_map is not null
$$
"""

# What workers of the version before write from now on.
_PACK_NEW = """
create function pack_new_heat_map() returns trigger language plpgsql as $$
begin
    new.heat = pack_heat(new.heat_map);
    new.heat_map = null;
    return new;
end
$$
"""
_TRIGGER = """
create trigger pack_heat_map before insert on cell_predictions
    for each row when (new.heat_map is not null) execute function pack_new_heat_map()
"""


def upgrade() -> None:
    for statement in (_COLUMN, _CHECK, _OLD_CHECK, _PACK, _PACK_CHOSEN, _PACK_NEW, _TRIGGER):
        op.execute(statement)
