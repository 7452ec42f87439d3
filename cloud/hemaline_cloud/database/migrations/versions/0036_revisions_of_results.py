"""Make room for results that are only ever added, and say of each frame whose answers count."""

from alembic import op

from hemaline_cloud.database.migrations.steps import restrict_to_sites

revision = "0036"
down_revision = "0035"

_TABLE = """
create table result_revisions (
    slide_id uuid not null constraint fk_result_revisions_slide_id_slides references slides,
    revision integer not null,
    site varchar not null,
    bundle integer not null
        constraint fk_result_revisions_bundle_bundles references bundles (number),
    computed_at timestamptz not null,
    reason varchar not null constraint ck_result_revisions_reason
        check (reason in ('new-frames', 'new-bundle', 'recount')),
    inputs bytea,
    content jsonb not null,
    constraint pk_result_revisions primary key (slide_id, revision)
)
"""
_POINTERS = (
    "alter table slides add column revision integer",
    """
    alter table slides add constraint fk_slides_revision_result_revisions
        foreign key (slide_id, revision) references result_revisions (slide_id, revision) not valid
    """,
    "alter table frames add column judged_by integer",
    """
    alter table frames add constraint fk_frames_judged_by_bundles
        foreign key (judged_by) references bundles (number) not valid
    """,
)

# A revision that was deleted is one that nothing refers to: foreign keys hold the others.
_REFUSE = """
create trigger append_only before update or truncate on result_revisions
    for each statement execute function refuse_change()
"""

_SITE = (
    """
    create function site_of_slide() returns trigger language plpgsql as $$
    begin
        new.site = (select site from slides where slide_id = new.slide_id);
        return new;
    end
    $$
    """,
    """
    create trigger site_follows before insert on result_revisions for each row
        when (new.site is null) execute function site_of_slide()
    """,
)

# Urgency rises by itself; only a person lowers it.
_SHOW = """
create function show_revision_on_slide() returns trigger language plpgsql as $$
begin
    update slides
    set revision = new.revision,
        urgency = greatest(slides.urgency, (new.content ->> 'urgency')::smallint),
        cells = coalesce((new.content ->> 'cells')::bigint, 0)
    where slide_id = new.slide_id;
    return null;
end
$$
"""
_SHOW_TRIGGER = """
create trigger show_on_slide after insert on result_revisions
    for each row execute function show_revision_on_slide()
"""

# A change of a frame that changes no count leaves its slide alone.
_COUNT_UPDATED = """
create or replace function count_updated_frames() returns trigger language plpgsql as $$
begin
    perform 1 from slides where slide_id in (select slide_id from new_rows)
        order by slide_id for no key update;
    update slides
    set captured = slides.captured + changed.captured,
        pending = slides.pending + changed.pending,
        with_result = slides.with_result + changed.with_result,
        rejected = slides.rejected + changed.rejected,
        quarantined = slides.quarantined + changed.quarantined,
        simulated = slides.simulated or changed.simulated
    from (
        select slide_id,
            sum(sign) as captured,
            coalesce(sum(sign) filter (where state = 'pending'), 0) as pending,
            coalesce(sum(sign) filter (where state = 'result'), 0) as with_result,
            coalesce(sum(sign) filter (where state = 'rejected'), 0) as rejected,
            coalesce(sum(sign) filter (where state = 'quarantined'), 0) as quarantined,
            bool_or(source = 'simulator') as simulated
        from (
            select slide_id, state, source, 1 as sign from new_rows
            union all select slide_id, state, source, -1 as sign from old_rows
        ) signed
        group by slide_id
    ) changed
    where slides.slide_id = changed.slide_id and (
        (changed.captured, changed.pending, changed.with_result) <> (0, 0, 0)
        or (changed.rejected, changed.quarantined) <> (0, 0)
        or changed.simulated > slides.simulated
    );
    return null;
end
$$
"""

# The newest bundle was the one that counted.
_COPY = """
create function copy_results(chosen uuid[]) returns void language plpgsql as $$
begin
    perform 1 from slides where slide_id = any(chosen) order by slide_id for no key update;
    insert into result_revisions (slide_id, revision, site, bundle, computed_at, reason, content)
    select slide_id, revision, site, bundles.number, computed_at, 'new-frames', content
    from slide_results join bundles on bundles.sha256 = slide_results.bundle_sha256
    where slide_id = any(chosen)
    order by slide_id
    on conflict do nothing;
    delete from result_revisions old using slide_results
    where old.slide_id = any(chosen) and slide_results.slide_id = old.slide_id
        and old.revision < slide_results.revision;
end
$$
"""
_JUDGE = """
create function name_judges(chosen uuid[]) returns void language sql as $$
    update frames set judged_by = coalesce(
        (
            select bundles.number from cells
            join cell_predictions on cell_predictions.cell_id = cells.cell_id
            join bundles on bundles.number = cell_predictions.bundle
            where cells.frame_id = frames.frame_id
            order by bundles.first_used_at desc, bundles.sha256 limit 1
        ),
        (
            select bundles.number from field_predictions
            join bundles on bundles.number = field_predictions.bundle
            where field_predictions.frame_id = frames.frame_id
            order by bundles.first_used_at desc, bundles.sha256 limit 1
        ),
        (
            select bundles.number from slide_results
            join bundles on bundles.sha256 = slide_results.bundle_sha256
            where slide_results.slide_id = frames.slide_id
        )
    )
    where frame_id = any(chosen) and state = 'result' and judged_by is null
$$
"""

# What workers of the version before write from now on.
_COPY_NEW = """
create function copy_new_result() returns trigger language plpgsql as $$
begin
    perform name_judges(array(
        select frame_id from frames
        where slide_id = new.slide_id and state = 'result' and judged_by is null
    ));
    perform copy_results(array[new.slide_id]);
    return null;
end
$$
"""
_COPY_NEW_TRIGGER = """
create trigger copy_revision after insert or update on slide_results
    for each row execute function copy_new_result()
"""


def upgrade() -> None:
    for statement in (_TABLE, *_SITE, *_POINTERS, _REFUSE, _SHOW, _SHOW_TRIGGER):
        op.execute(statement)
    restrict_to_sites("result_revisions")
    for statement in (_COUNT_UPDATED, _COPY, _JUDGE, _COPY_NEW, _COPY_NEW_TRIGGER):
        op.execute(statement)
