"""What a migration does beside running processes: indices, rewritten rows, policies."""

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


def restrict_to_sites(table: str) -> None:
    """Let principals see and write the rows of their sites alone; for tables with a `site`.

    The owner of the table is bound as well. A row without a site may be written by everybody, and
    is seen by those who see every site.
    """
    rule = "(select sees_every_site()) or site = any ((select visible_sites())::text[])"
    _restrict(table, rule, f"site is null or {rule}")


def restrict_to_principals(table: str) -> None:
    """Let every principal see and write all rows; for tables that belong to no site."""
    _restrict(table, "(select has_principal())", "(select has_principal())")


def _restrict(table: str, seen: str, written: str) -> None:
    op.execute(f"create policy principals on {table} using ({seen}) with check ({written})")
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")


def _build(kind: str, name: str, on: str) -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")
        op.execute(f"drop index concurrently if exists {name}")
        op.execute(f"create {kind} concurrently if not exists {name} on {on}")
        op.execute("set lock_timeout = '2s'")
