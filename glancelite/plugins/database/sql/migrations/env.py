"""Runs the revisions on the connection that ``schema.Schema`` hands over."""

from alembic import context

from glancelite.plugins.database.sql.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes['connection'],
    version_table=VERSION_TABLE,
    # the caller's transaction is the one there is; it holds the lock, too
    transactional_ddl=False)
context.run_migrations()
