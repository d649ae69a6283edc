"""Runs the revisions on the connection of ``schema.Schema``."""

from alembic import context

from glancelite.plugins.database.sql.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes['connection'],
    version_table=VERSION_TABLE,
    # the caller has begun the transaction, which also holds the lock
    transactional_ddl=False)
context.run_migrations()
