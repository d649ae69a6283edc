"""Adds an index with which a project finds its images of one visibility.

An administrator's listing contains the project's own community images.  Without this index
it reads all images of the project if few of them, or none, are community images.
"""

import sqlalchemy as sa
from alembic import op

revision = 'expand06'
down_revision = 'expand05'
branch_labels = None
depends_on = None

NAME = 'glancelite_images_owner_visibility'


def upgrade():
    bind = op.get_bind()
    if NAME not in {index['name'] for index in sa.inspect(bind).get_indexes('images')}:
        is_postgresql = bind.dialect.name == 'postgresql'
        op.create_index(NAME, 'images', [
            'owner', 'visibility', 'deleted', 'os_hidden',
            sa.text('created_at NULLS FIRST') if is_postgresql else 'created_at',
            sa.text('id COLLATE "C" NULLS FIRST') if is_postgresql else 'id'])
