"""Replaces an index, so that a project finds its images of one visibility.

An administrator's listing contains the project's own community images.  With the former index
it read all images of the project if few of them, or none, are community images.
"""

import sqlalchemy as sa
from alembic import op

revision = 'expand06'
down_revision = 'expand05'
branch_labels = None
depends_on = None

FORMER = 'glancelite_images_owner'
NAME = 'glancelite_images_owner_visibility'


def upgrade():
    bind = op.get_bind()
    # MariaDB and MySQL commit every statement, so after a crash a part may be done
    existing = {index['name'] for index in sa.inspect(bind).get_indexes('images')}
    if NAME not in existing:
        is_postgresql = bind.dialect.name == 'postgresql'
        op.create_index(NAME, 'images', [
            'owner', 'deleted', 'os_hidden', 'visibility',
            sa.text('created_at NULLS FIRST') if is_postgresql else 'created_at',
            sa.text('id COLLATE "C" NULLS FIRST') if is_postgresql else 'id'])
    if FORMER in existing:
        op.drop_index(FORMER, 'images')
