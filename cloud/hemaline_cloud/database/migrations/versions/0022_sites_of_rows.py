"""Say of each row whose it is: what names no site gets that of what it belongs to."""

from alembic import op

revision = "0022"
down_revision = "0021"

# Of each table, what the site of a row without one follows from.
_FOLLOWS = {
    "fields": "select site from frames where frame_id = new.frame_id",
    "cells": "select site from frames where frame_id = new.frame_id",
    "work": "select site from frames where frame_id = new.frame_id",
    "field_predictions": "select site from frames where frame_id = new.frame_id",
    "cell_predictions": "select site from cells where cell_id = new.cell_id",
    "slide_results": "select site from slides where slide_id = new.slide_id",
    "dead_letters": "select split_part(new.topic, '/', 3)",
}

# The queue first: workers lock its rows before all others, too.
_FILL = """
create function fill_sites_of_fields(chosen uuid[]) returns void language sql as $$
    update work set site = frames.site from frames
    where frames.frame_id = any(chosen) and work.frame_id = frames.frame_id
        and work.site is null;
    update fields set site = frames.site from frames
    where frames.frame_id = any(chosen) and fields.frame_id = frames.frame_id
        and fields.site is null;
    update cells set site = frames.site from frames
    where frames.frame_id = any(chosen) and cells.frame_id = frames.frame_id
        and cells.site is null;
    update cell_predictions set site = cells.site from cells
    where cells.frame_id = any(chosen) and cell_predictions.cell_id = cells.cell_id
        and cell_predictions.site is null;
    update field_predictions set site = frames.site from frames
    where frames.frame_id = any(chosen) and field_predictions.frame_id = frames.frame_id
        and field_predictions.site is null;
$$
"""
_FILL_RESULTS = """
create function fill_sites_of_results(chosen uuid[]) returns void language sql as $$
    update slide_results set site = slides.site from slides
    where slides.slide_id = any(chosen) and slide_results.slide_id = slides.slide_id
        and slide_results.site is null
$$
"""
_FILL_LETTERS = """
create function fill_sites_of_letters(chosen uuid[]) returns void language sql as $$
    update dead_letters set site = split_part(topic, '/', 3)
    where dead_letter_id = any(chosen) and site is null
$$
"""


def upgrade() -> None:
    for table, site in _FOLLOWS.items():
        op.execute(f"alter table {table} add column site varchar")
        op.execute(
            f"alter table {table} add constraint ck_{table}_site check (site is not null) not valid"
        )
        op.execute(
            f"create function site_of_{table}() returns trigger language plpgsql as $$"
            f" begin new.site = ({site}); return new; end $$"
        )
        op.execute(
            f"create trigger site_follows before insert on {table} for each row"
            f" when (new.site is null) execute function site_of_{table}()"
        )
    for statement in (_FILL, _FILL_RESULTS, _FILL_LETTERS):
        op.execute(statement)
