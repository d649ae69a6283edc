"""Adds a column for the status that an image had before its deletion; Glance ignores it."""

import sqlalchemy as sa
from alembic import op

revision = 'expand05'
down_revision = 'expand04'
branch_labels = None
depends_on = None

COLUMN = 'status_before'


def upgrade():
    # MariaDB and MySQL commit every statement, so after a crash it may exist
    existing = {column['name'] for column in sa.inspect(op.get_bind()).get_columns('images')}
    if COLUMN not in existing:
        op.add_column('images', sa.Column(COLUMN, sa.String(30)))
