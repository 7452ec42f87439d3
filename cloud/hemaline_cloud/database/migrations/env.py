"""Alembic's entry: runs on the connection that `hemaline_cloud.database.migrate` opened."""

from alembic import context

from hemaline_cloud.database.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_server_default=True,
)
context.run_migrations()
