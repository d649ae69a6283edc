"""Adds columns for the claims of tasks; Glance can still use the tables.

All of them may be NULL, as they are in the rows that Glance inserts.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = 'expand04'
down_revision = 'expand03'
branch_labels = None
depends_on = None

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')
#: TEXT of MariaDB and MySQL ends at 64 KiB
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb')
CLAIM = 'glancelite_tasks_claim'
EXPIRY = 'glancelite_tasks_expiry'
UNFINISHED = sa.text("status IN ('pending', 'processing')")


def upgrade():
    inspector = sa.inspect(op.get_bind())
    # MariaDB and MySQL commit every statement, so after a crash a part may exist
    for table, columns in _columns().items():
        existing = {column['name'] for column in inspector.get_columns(table)}
        for column in columns:
            if column.name not in existing:
                op.add_column(table, column)
    indexes = {index['name'] for index in inspector.get_indexes('tasks')}
    if CLAIM not in indexes:
        # where an index cannot be partial, it begins with the status
        is_partial = op.get_bind().dialect.name in ('postgresql', 'sqlite')
        op.create_index(
            CLAIM, 'tasks', ['created_at'] if is_partial else ['status', 'created_at'],
            postgresql_where=UNFINISHED, sqlite_where=UNFINISHED)
    if EXPIRY not in indexes:
        op.create_index(EXPIRY, 'tasks', ['expires_at'])


def _columns():
    return {
        'tasks': [
            sa.Column('attempt', sa.Integer), sa.Column('holder', sa.String(255)),
            sa.Column('lease_until', TIME), sa.Column('not_before', TIME),
            sa.Column('node', sa.String(255)), sa.Column('cancelled', sa.Boolean)],
        'task_info': [sa.Column('journal', LONG_TEXT), sa.Column('progress', LONG_TEXT)],
    }
