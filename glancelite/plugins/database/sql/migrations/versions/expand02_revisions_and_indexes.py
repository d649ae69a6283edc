"""What we need besides the tables of Glance; Glance works on beside it.

Columns have server defaults that suit rows which Glance writes.  The indexes
let a listing walk from one image to the next in its order, whoever asks.
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
    # MariaDB and MySQL commit every statement: after a crash some of it is there
    there = {column['name'] for column in inspector.get_columns('images')}
    for column in (
            sa.Column('revision', sa.Integer, nullable=False, server_default='0'),
            sa.Column('attempt', sa.Integer, nullable=False, server_default='0'),
            sa.Column('lease_until', TIME)):
        if column.name not in there:
            op.add_column('images', column)
    for name, table, columns in _indexes(op.get_bind().dialect.name):
        if name not in {index['name'] for index in inspector.get_indexes(table)}:
            op.create_index(name, table, columns, mysql_length=_lengths(table, columns),
                            mariadb_length=_lengths(table, columns))


def _indexes(backend):
    by_bytes = backend == 'postgresql'
    image_id = sa.text('id COLLATE "C" NULLS FIRST') if by_bytes else 'id'
    time = sa.text('created_at NULLS FIRST') if by_bytes else 'created_at'
    value = sa.text('left(value, 128)') if by_bytes else 'value'
    return (
        ('glancelite_images_visibility', 'images',
         ['visibility', 'deleted', 'os_hidden', time, image_id]),
        ('glancelite_images_owner', 'images',
         ['owner', 'deleted', 'os_hidden', time, image_id]),
        ('glancelite_images_name', 'images', ['name']),
        # what awaits its removal, and what is being uploaded
        ('glancelite_images_status', 'images', ['status', 'deleted_at']),
        ('glancelite_properties_name_value', 'image_properties', ['name', value]),
        ('glancelite_tags_value', 'image_tags', ['value']),
        ('glancelite_members_member', 'image_members', ['member', 'deleted', 'status']),
    )


def _lengths(table, columns):
    """A text cannot be in an index as a whole."""
    return {'value': 100} if table == 'image_properties' and 'value' in columns else {}
