"""Make room for one row with what a bundle said of all cells of a field, not one for each cell."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0046"
down_revision = "0045"

_TABLE = """
create table new_cell_predictions (
    frame_id uuid not null constraint fk_new_cell_predictions_frame_id_fields references fields,
    bundle integer not null
        constraint fk_new_cell_predictions_bundle_bundles references bundles (number),
    heat_map_width smallint,
    site varchar not null,
    labels varchar not null,
    probabilities real[],
    disagreements real[],
    answers bytea,
    heats bytea,
    constraint pk_new_cell_predictions primary key (frame_id, bundle),
    constraint ck_new_cell_predictions_answers
        check ((probabilities is null) = (answers is null)),
    constraint ck_new_cell_predictions_heats
        check ((heat_map_width is null) = (heats is null))
)
"""

# As `hemaline_cloud.database.predictions` reads it. What was not said of a cell is nothing: a mask
# of no task, a map of zeros. All heat maps of a bundle are of one size.
_JOIN = """
create function join_cell_predictions(chosen uuid[]) returns void language sql as $$
    insert into new_cell_predictions
    select judged.frame_id, judged.bundle, judged.width, min(judged.site),
        string_agg(coalesce(said.label, 'unclassified'), ',' order by cells.index),
        case when judged.answered then array_agg(said.probability order by cells.index) end,
        case when judged.compared then array_agg(said.disagreement order by cells.index) end,
        case when judged.answered then
            string_agg(coalesce(said.probabilities, '\\x0000'), '' order by cells.index)
        end,
        string_agg(
            case when said.heat_map_width = judged.width and length(said.heat) = judged.size
                then said.heat else decode(repeat('00', judged.size), 'hex') end,
            '' order by cells.index
        )
    from (
        select cells.frame_id, bundle, min(cells.site) as site,
            bool_or(probabilities is not null) as answered,
            bool_or(disagreement is not null) as compared,
            max(heat_map_width) filter (where heat is not null) as width,
            max(length(heat)) as size
        from cells join cell_predictions on cell_predictions.cell_id = cells.cell_id
        where cells.frame_id = any(chosen)
        group by cells.frame_id, bundle
    ) judged
    join cells on cells.frame_id = judged.frame_id
    left join cell_predictions said
        on said.cell_id = cells.cell_id and said.bundle = judged.bundle
    group by judged.frame_id, judged.bundle, judged.width, judged.size, judged.answered,
        judged.compared
    on conflict do nothing
$$
"""

# What workers of the version before write from now on: all cells of a field in one statement.
_JOIN_NEW = """
create function join_new_cell_predictions() returns trigger language plpgsql as $$
begin
    perform join_cell_predictions(array(
        select distinct cells.frame_id
        from new_rows join cells on cells.cell_id = new_rows.cell_id
    ));
    return null;
end
$$
"""
_JOIN_NEW_TRIGGER = """
create trigger join_predictions after insert on cell_predictions referencing new table as new_rows
    for each statement execute function join_new_cell_predictions()
"""


def upgrade() -> None:
    op.execute(_TABLE)
    restrict_to_sites("new_cell_predictions")
    for statement in (_JOIN, _JOIN_NEW, _JOIN_NEW_TRIGGER):
        op.execute(statement)
