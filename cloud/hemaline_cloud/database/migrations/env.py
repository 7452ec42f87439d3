"""Alembic's entry: runs on the connection that `hemaline_cloud.database.migrate` opened.

Without a connection (`alembic upgrade --sql`) it writes the statements instead.
"""

from alembic import context

from hemaline_cloud.database.migrate import LOCK_TIMEOUT_S
from hemaline_cloud.database.schema import Base

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    dialect_name=None if connection else "postgresql",
    target_metadata=Base.metadata,
    compare_server_default=True,
    transaction_per_migration=True,
)
if context.is_offline_mode():
    context.execute(f"set lock_timeout = '{LOCK_TIMEOUT_S:g}s'")
    context.execute("set statement_timeout = 0")
context.run_migrations()
