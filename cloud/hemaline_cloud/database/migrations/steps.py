"""What a migration does beside running processes: indices and rewritten rows without long locks."""

from alembic import op


def build_index(name: str, on: str) -> None:
    """Build an index while others read and write; one left half-built by a failure is replaced.

    It takes no lock that anybody waits for, but waits itself until older transactions have ended,
    so no time limit holds for it.

    Args:
        name: Of the index.
        on: What follows `on`: the table, the columns, perhaps a `where`.
    """
    _build("index", name, on)


def build_unique_index(name: str, on: str) -> None:
    """Build an index that lets no two rows be alike; see `build_index`."""
    _build("unique index", name, on)


def rewrite_in_batches(table: str, key: str, function: str) -> None:
    """Give all rows of a table to a function, a thousand at a time, each time in a transaction.

    Args:
        table: Which.
        key: Its primary key, a uuid.
        function: Takes an array of keys; called again after a failure, it changes nothing twice.
    """
    with op.get_context().autocommit_block():
        op.execute(f"""
do $$
declare
    keys uuid[];
    last uuid = '00000000-0000-0000-0000-000000000000';
begin
    loop
        select array_agg({key} order by {key}) into keys from (
            select {key} from {table} where {key} > last order by {key} limit 1000
        ) few;
        exit when keys is null;
        perform {function}(keys);
        commit;
        last = keys[array_upper(keys, 1)];
    end loop;
end
$$""")


def _build(kind: str, name: str, on: str) -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")
        op.execute(f"drop index concurrently if exists {name}")
        op.execute(f"create {kind} concurrently if not exists {name} on {on}")
        op.execute("set lock_timeout = '2s'")
