"""Adds an index with which the sweep finds expired leases, in any status."""

import sqlalchemy as sa
from alembic import op

revision = 'expand03'
down_revision = 'expand02'
branch_labels = None
depends_on = None

INDEX = 'glancelite_images_lease'


def upgrade():
    # MariaDB and MySQL commit every statement, so after a crash it may exist
    if INDEX not in {index['name'] for index in sa.inspect(op.get_bind()).get_indexes('images')}:
        op.create_index(INDEX, 'images', ['lease_until'])
