"""A site can hide the machine's answers from readers until they have said something of their own.

Whether they are hidden from whoever asks is said by one function. What bundles said of cells and
fields then has no row for them, so that every page, list and export is as before the machine had
judged; what stands on the slide itself (counts, flags, urgency) is left out by
`hemaline_cloud.database.reading.slides`, which asks the same function.
"""

from alembic import op

from hemaline_cloud.database.migrations.steps import build_index

revision = "0070"
down_revision = "0068"

_STATEMENTS = (
    # Services and commands on the server are no readers; whoever asks through the API may be one.
    """
    create or replace function machine_hiding_sites() returns varchar[] language sql stable as $$
        select case
            when current_setting('hemaline.principal', true) ~ '^(service|operator):' then '{}'
            else array(
                select newest.site from (
                    select distinct on (site) site, content -> 'machine' as machine
                    from review_policies order by site, version desc
                ) newest
                where newest.machine ->> 'order' <> 'at-once'
                    or (newest.machine ->> 'hidden_from_second')::boolean
            )
        end
    $$
    """,
    """
    create or replace function cells_named_by_principal(of_slide uuid) returns bigint
    language sql stable as $$
        select count(distinct cell_id) from cell_labels
        where slide_id = of_slide and label is not null
            and by = current_setting('hemaline.principal', true)
    $$
    """,
    """
    create or replace function counted_cells(of_slide uuid) returns bigint
    language sql stable as $$
        select count(*) from frames join cells using (frame_id)
        where frames.slide_id = of_slide and frames.state in ('pending', 'result')
            and cells.excluded is null
    $$
    """,
    # The same as `hemaline_cloud.review.policy.is_drawn`.
    """
    create or replace function is_drawn(seed text, of_slide uuid, share float8) returns boolean
    language sql immutable as $$
        select ('x' || substr(
            encode(sha256(convert_to(seed || ' ' || of_slide::text, 'UTF8')), 'hex'), 1, 8
        ))::bit(32)::bigint < share * 4294967296
    $$
    """,
    """
    create or replace function slide_of_frame(of_frame uuid) returns uuid
    language sql stable as $$
        select slide_id from frames where frame_id = of_frame
    $$
    """,
    # `hemaline.machine_shown` names a slide while a signature of it is written.
    """
    create or replace function machine_hidden(of_slide uuid) returns boolean
    language sql stable as $$
        select coalesce((
            select case
                when not slides.site = any (machine_hiding_sites())
                    or slides.review in ('signed', 'amended')
                    or current_setting('hemaline.machine_shown', true) = of_slide::text
                    or exists (
                        select from readings where readings.slide_id = of_slide and number = 2
                    )
                    then false
                when (rule.machine ->> 'hidden_from_second')::boolean
                    and slides.review = 'awaiting-second-reader'
                    and slides.reader is distinct from current_setting('hemaline.principal', true)
                    then true
                when rule.machine ->> 'order' = 'after-own'
                    then cells_named_by_principal(of_slide)
                        < least((rule.machine ->> 'after_cells')::bigint, counted_cells(of_slide))
                when rule.machine ->> 'order' = 'by-lot'
                    then is_drawn(
                        rule.machine ->> 'seed',
                        of_slide,
                        (rule.machine ->> 'hidden_share')::float8
                    )
                else false
            end
            from slides, lateral (
                select content -> 'machine' as machine from review_policies
                where review_policies.site = slides.site order by version desc limit 1
            ) rule
            where slides.slide_id = of_slide
        ), false)
    $$
    """,
)
_SHOWN = """
    site <> all ((select machine_hiding_sites())::varchar[])
    or not machine_hidden(slide_of_frame(frame_id))
"""
_PREDICTIONS = ("cell_predictions", "field_predictions")


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in _PREDICTIONS:
        op.execute(f"drop policy if exists machine_hidden on {table}")
        op.execute(
            f"create policy machine_hidden on {table} as restrictive for select using ({_SHOWN})"
        )
    # A worklist whose order says nothing of the machine's.
    order = "priority, opened_at, slide_id"
    build_index("ix_slides_site_unranked", f"slides (site, {order})")
    build_index("ix_slides_site_review_unranked", f"slides (site, review, {order})")
