"""Make room for answers of two bytes a probability, and the function that packs the old ones."""

from alembic import op

revision = "0010"
down_revision = "0009"

# Columns of fixed width first: no room between them is lost to alignment.
_CELLS = """
create table new_cell_predictions (
    cell_id uuid not null constraint fk_new_cell_predictions_cell_id_cells references cells,
    bundle integer not null
        constraint fk_new_cell_predictions_bundle_bundles references bundles (number),
    probability real,
    disagreement real,
    heat_map_width smallint,
    label varchar not null,
    heat_map bytea,
    probabilities bytea,
    constraint pk_new_cell_predictions primary key (cell_id, bundle),
    constraint ck_new_cell_predictions_probability
        check ((probability is null) = (probabilities is null)),
    constraint ck_new_cell_predictions_heat_map
        check ((heat_map is null) = (heat_map_width is null))
)
"""
_FIELDS = """
create table new_field_predictions (
    frame_id uuid not null constraint fk_new_field_predictions_frame_id_fields references fields,
    bundle integer not null
        constraint fk_new_field_predictions_bundle_bundles references bundles (number),
    probabilities bytea not null,
    constraint pk_new_field_predictions primary key (frame_id, bundle)
)
"""

# As `hemaline_cloud.database.answers` reads it. A network that said nothing said what all did.
_PACK = """
create function pack_answers(said jsonb, manifest jsonb, looked_at text) returns bytea
language plpgsql immutable strict as $$
declare
    task record;
    network text;
    label text;
    share numeric;
    mask integer = 0;
    packed bytea = '';
begin
    for task in
        select value ->> 'name' as name, value -> 'labels' as labels,
            row_number() over (order by place) - 1 as bit
        from jsonb_array_elements(manifest -> 'tasks') with ordinality as one (value, place)
        where coalesce(value ->> 'view', 'cell') = looked_at
        order by place
    loop
        continue when not said ? task.name;
        mask = mask | (1 << task.bit::integer);
        for network in
            select value ->> 'name'
            from jsonb_array_elements(manifest -> 'networks') with ordinality as one (value, place)
            order by place
        loop
            for label in
                select value
                from jsonb_array_elements_text(task.labels) with ordinality as one (value, place)
                order by place
            loop
                share = coalesce(
                    said -> task.name -> network ->> label,
                    said -> task.name -> 'average' ->> label,
                    '0'
                )::numeric;
                packed = packed
                    || decode(lpad(to_hex(round(share * 60000)::integer), 4, '0'), 'hex');
            end loop;
        end loop;
    end loop;
    return decode(lpad(to_hex(mask), 4, '0'), 'hex') || packed;
end
$$
"""
_PACK_CELLS = """
    insert into new_cell_predictions
    select stored.cell_id, bundles.number, stored.probability, stored.disagreement,
        stored.heat_map_width, stored.label, stored.heat_map,
        pack_answers(stored.probabilities, bundles.manifest, 'cell')
    from {rows} stored
    join bundles on bundles.sha256 = stored.bundle_sha256
    {chosen}
    on conflict do nothing
"""
_PACK_FIELDS = """
    insert into new_field_predictions
    select stored.frame_id, bundles.number,
        pack_answers(stored.probabilities, bundles.manifest, 'field')
    from {rows} stored
    join bundles on bundles.sha256 = stored.bundle_sha256
    {chosen}
    on conflict do nothing
"""
_OF_CHOSEN = {
    "cell_predictions": "join cells on cells.cell_id = stored.cell_id"
    " where cells.frame_id = any(chosen)",
    "field_predictions": "where stored.frame_id = any(chosen)",
}


def upgrade() -> None:
    for statement in (_CELLS, _FIELDS, _PACK):
        op.execute(statement)
    for table, pack in (("cell_predictions", _PACK_CELLS), ("field_predictions", _PACK_FIELDS)):
        packed = pack.format(rows=table, chosen=_OF_CHOSEN[table])
        op.execute(
            f"create function pack_{table}(chosen uuid[]) returns void language sql"
            f" as $$ {packed} $$"
        )
        # What workers of the version before write from now on.
        packed = pack.format(rows="new_rows", chosen="")
        op.execute(
            f"create function pack_new_{table}() returns trigger language plpgsql"
            f" as $$ begin {packed}; return null; end $$"
        )
        op.execute(
            f"create trigger pack after insert on {table} referencing new table as new_rows"
            f" for each statement execute function pack_new_{table}()"
        )
