"""Adds columns and indexes of our own; Glance can still use the tables.

The columns have server defaults for the rows that Glance inserts.  With the indexes, a
listing reads the images in its order, for every caller.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = 'expand02'
down_revision = 'expand01'
branch_labels = None
depends_on = None

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade():
    inspector = sa.inspect(op.get_bind())
    # MariaDB and MySQL commit every statement, so after a crash a part may exist
    existing = {column['name'] for column in inspector.get_columns('images')}
    for column in (
            sa.Column('revision', sa.Integer, nullable=False, server_default='0'),
            sa.Column('attempt', sa.Integer, nullable=False, server_default='0'),
            sa.Column('lease_until', TIME)):
        if column.name not in existing:
            op.add_column('images', column)
    for name, table, columns in _indexes(op.get_bind().dialect.name):
        if name not in {index['name'] for index in inspector.get_indexes(table)}:
            op.create_index(name, table, columns, mysql_length=_lengths(table, columns),
                            mariadb_length=_lengths(table, columns))


def _indexes(backend):
    is_postgresql = backend == 'postgresql'
    image_id = sa.text('id COLLATE "C" NULLS FIRST') if is_postgresql else 'id'
    time = sa.text('created_at NULLS FIRST') if is_postgresql else 'created_at'
    value = sa.text('left(value, 128)') if is_postgresql else 'value'
    return (
        ('glancelite_images_visibility', 'images',
         ['visibility', 'deleted', 'os_hidden', time, image_id]),
        ('glancelite_images_owner', 'images',
         ['owner', 'deleted', 'os_hidden', time, image_id]),
        ('glancelite_images_name', 'images', ['name']),
        # pending deletions, and uploads
        ('glancelite_images_status', 'images', ['status', 'deleted_at']),
        ('glancelite_properties_name_value', 'image_properties', ['name', value]),
        ('glancelite_tags_value', 'image_tags', ['value']),
        ('glancelite_members_member', 'image_members', ['member', 'deleted', 'status']),
    )


def _lengths(table, columns):
    """Return the indexed lengths: a whole text cannot be in an index."""
    return {'value': 100} if table == 'image_properties' and 'value' in columns else {}
