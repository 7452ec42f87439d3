"""Keep state, counts and urgency on the slide, by triggers in the transactions that change them."""

from alembic import op

revision = "0006"
down_revision = "0005"

_COLUMNS = """
alter table slides
    add column state varchar not null default 'receiving',
    add column captured bigint not null default 0,
    add column pending bigint not null default 0,
    add column with_result bigint not null default 0,
    add column rejected bigint not null default 0,
    add column quarantined bigint not null default 0,
    add column cells bigint not null default 0,
    add column urgency smallint not null default 0,
    add column simulated boolean not null default false
"""

# The counts change often, the indexed columns seldom: where the page has room, the new row stands
# beside the old one and no index is written.
_ROOM = "alter table slides set (fillfactor = 80)"

_DERIVE_STATE = """
create function derive_slide_state() returns trigger language plpgsql as $$
begin
    new.state = case
        when new.captured >= new.frames_expected and new.pending = 0 then 'complete'
        when new.captured >= new.frames_expected then 'processing'
        else 'receiving'
    end;
    return new;
end
$$
"""
_DERIVE_STATE_TRIGGER = """
create trigger derive_state before insert or update of frames_expected, captured, pending
    on slides for each row execute function derive_slide_state()
"""

# Rows are locked in one order, or two writers of the same slides would wait for each other.
_COUNT_FRAMES = """
create function count_{event}ed_frames() returns trigger language plpgsql as $$
begin
    perform 1 from slides where slide_id in (select slide_id from {rows})
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
        from ({signed}) signed
        group by slide_id
    ) changed
    where slides.slide_id = changed.slide_id;
    return null;
end
$$
"""
_NEW = "select slide_id, state, source, 1 as sign from new_rows"
_OLD = "select slide_id, state, source, -1 as sign from old_rows"
_EVENTS = {
    "insert": ("new_rows", _NEW, "new table as new_rows"),
    "delet": ("old_rows", _OLD, "old table as old_rows"),
    "updat": (
        "new_rows",
        f"{_NEW} union all {_OLD}",
        "old table as old_rows new table as new_rows",
    ),
}

# Urgency rises by itself; only a person lowers it.
_SHOW_RESULT = """
create function show_result_on_slide() returns trigger language plpgsql as $$
begin
    update slides
    set urgency = greatest(slides.urgency, (new.content ->> 'urgency')::smallint),
        cells = coalesce((new.content ->> 'cells')::bigint, 0)
    where slide_id = new.slide_id;
    return null;
end
$$
"""
_SHOW_RESULT_TRIGGER = """
create trigger show_on_slide after insert or update on slide_results
    for each row execute function show_result_on_slide()
"""

# Counts anew what the triggers keep. Locking first, so that the count sees all that was committed.
_RECOUNT = """
create function recount_slides(chosen uuid[]) returns void language plpgsql as $$
begin
    perform 1 from slides where slide_id = any(chosen) order by slide_id for no key update;
    update slides
    set captured = counted.captured,
        pending = counted.pending,
        with_result = counted.with_result,
        rejected = counted.rejected,
        quarantined = counted.quarantined,
        simulated = counted.simulated,
        cells = coalesce((slide_results.content ->> 'cells')::bigint, 0),
        urgency = greatest(slides.urgency, (slide_results.content ->> 'urgency')::smallint)
    from unnest(chosen) as one (slide_id)
    cross join lateral (
        select count(*) as captured,
            count(*) filter (where state = 'pending') as pending,
            count(*) filter (where state = 'result') as with_result,
            count(*) filter (where state = 'rejected') as rejected,
            count(*) filter (where state = 'quarantined') as quarantined,
            coalesce(bool_or(source = 'simulator'), false) as simulated
        from frames where frames.slide_id = one.slide_id
    ) counted
    left join slide_results on slide_results.slide_id = one.slide_id
    where slides.slide_id = one.slide_id;
end
$$
"""


def upgrade() -> None:
    for statement in (_COLUMNS, _ROOM, _DERIVE_STATE, _DERIVE_STATE_TRIGGER):
        op.execute(statement)
    # What changes a frame changes its slide, which tells the readers.
    op.execute("drop trigger notify_of_insert on frames")
    op.execute("drop trigger notify_of_update on frames")
    for event, (rows, signed, tables) in _EVENTS.items():
        op.execute(_COUNT_FRAMES.format(event=event, rows=rows, signed=signed))
        verb = event if event == "insert" else f"{event}e"
        op.execute(
            f"create trigger count_{event}ed after {verb} on frames referencing {tables} "
            f"for each statement execute function count_{event}ed_frames()"
        )
    for statement in (_SHOW_RESULT, _SHOW_RESULT_TRIGGER, _RECOUNT):
        op.execute(statement)
