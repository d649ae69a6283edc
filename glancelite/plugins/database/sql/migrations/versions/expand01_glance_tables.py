"""Creates the tables of Glance 33, unless they exist.

In an empty database the result is that of Glance's own migrations, including the
version in ``alembic_version``: the tools of Glance accept it, and either service can
use the tables.  On MariaDB and MySQL new tables differ in two ways: times have
microseconds, and text may have characters of four bytes and is compared exactly.  The
text of old tables is converted afterwards (see ``collation.py``).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from glancelite.contract import Misconfigured

revision = 'expand01'
down_revision = None
branch_labels = None
depends_on = None

#: version of Glance 33 in ``alembic_version``
GLANCE_VERSION = '2024_1_contract01'
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')
COUNTER = sa.BigInteger().with_variant(sa.Integer, 'sqlite')


def upgrade():
    connection = op.get_bind()
    present = set(sa.inspect(connection).get_table_names())
    if 'images' in present:
        _check(connection, present)
        return
    for name, columns, indexes in (*_images(), *_tasks(), *_cache(), *_definitions()):
        op.create_table(name, *columns, **_table_options(connection))
        for index, columns in indexes.items():
            op.create_index(index, name, columns)
    if 'alembic_version' not in present:
        op.create_table(
            'alembic_version', sa.Column('version_num', sa.String(32), nullable=False),
            sa.PrimaryKeyConstraint('version_num', name='alembic_version_pkc'),
            **_table_options(connection))
        op.execute(f"INSERT INTO alembic_version (version_num) VALUES ('{GLANCE_VERSION}')")  # noqa: S608


def _check(connection, present):
    """Raise ``Misconfigured`` if the tables are those of an older Glance."""
    expected = {name: columns for name, columns, _ in (
        *_images(), *_tasks(), *_cache(), *_definitions())}
    missing = sorted(expected.keys() - present)
    inspector = sa.inspect(connection)
    for name in expected.keys() & present:
        columns = {column['name'] for column in inspector.get_columns(name)}
        missing += sorted(f'{name}.{column.name}' for column in expected[name]
                          if isinstance(column, sa.Column) and column.name not in columns)
    if missing:
        raise Misconfigured(
            f'the tables are those of an older Glance ({", ".join(missing[:3])} missing): '
            "upgrade them first, with 'glance-manage db sync' of Glance 33")


def _table_options(connection):
    """Return options for characters of four bytes that are compared exactly."""
    is_mariadb = getattr(connection.dialect, 'is_mariadb', False)
    return {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
            'mysql_collate': 'utf8mb4_nopad_bin' if is_mariadb else 'utf8mb4_0900_bin',
            'mariadb_engine': 'InnoDB', 'mariadb_charset': 'utf8mb4',
            'mariadb_collate': 'utf8mb4_nopad_bin'}


def _id():
    return sa.Column('id', sa.Integer, primary_key=True)


def _image_id():
    return sa.Column('image_id', sa.String(36), sa.ForeignKey('images.id'), nullable=False)


def _times():
    return [sa.Column('created_at', TIME, nullable=False), sa.Column('updated_at', TIME)]


def _lifecycle_columns():
    return [*_times(), sa.Column('deleted_at', TIME),
            sa.Column('deleted', sa.Boolean, nullable=False)]


def _images():
    return (
        ('images', [
            sa.Column('id', sa.String(36), primary_key=True),
            sa.Column('name', sa.String(255)),
            sa.Column('size', sa.BigInteger),
            sa.Column('status', sa.String(30), nullable=False),
            *_lifecycle_columns(),
            sa.Column('disk_format', sa.String(20)),
            sa.Column('container_format', sa.String(20)),
            sa.Column('checksum', sa.String(32)),
            sa.Column('owner', sa.String(255)),
            sa.Column('min_disk', sa.Integer, nullable=False),
            sa.Column('min_ram', sa.Integer, nullable=False),
            sa.Column('protected', sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column('virtual_size', sa.BigInteger),
            sa.Column('visibility', sa.Enum('private', 'public', 'shared', 'community',
                                            name='image_visibility'),
                      nullable=False, server_default='shared'),
            sa.Column('os_hidden', sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column('os_hash_algo', sa.String(64)),
            sa.Column('os_hash_value', sa.String(128)),
        ], {
            'checksum_image_idx': ['checksum'], 'visibility_image_idx': ['visibility'],
            'ix_images_deleted': ['deleted'], 'owner_image_idx': ['owner'],
            'created_at_image_idx': ['created_at'], 'updated_at_image_idx': ['updated_at'],
            'os_hidden_image_idx': ['os_hidden'], 'os_hash_value_image_idx': ['os_hash_value'],
        }),
        ('image_properties', [
            _id(), _image_id(), sa.Column('name', sa.String(255), nullable=False),
            sa.Column('value', sa.Text), *_lifecycle_columns(),
            sa.UniqueConstraint('image_id', 'name', name='ix_image_properties_image_id_name'),
        ], {'ix_image_properties_image_id': ['image_id'],
            'ix_image_properties_deleted': ['deleted']}),
        ('image_tags', [
            _id(), _image_id(), sa.Column('value', sa.String(255), nullable=False),
            *_lifecycle_columns(),
        ], {'ix_image_tags_image_id': ['image_id'],
            'ix_image_tags_image_id_tag_value': ['image_id', 'value']}),
        ('image_locations', [
            _id(), _image_id(), sa.Column('value', sa.Text, nullable=False), *_lifecycle_columns(),
            sa.Column('meta_data', sa.Text),
            sa.Column('status', sa.String(30), nullable=False, server_default='active'),
        ], {'ix_image_locations_image_id': ['image_id'],
            'ix_image_locations_deleted': ['deleted']}),
        ('image_members', [
            _id(), _image_id(), sa.Column('member', sa.String(255), nullable=False),
            sa.Column('can_share', sa.Boolean, nullable=False), *_lifecycle_columns(),
            sa.Column('status', sa.String(20), nullable=False, server_default='pending'),
            sa.UniqueConstraint('image_id', 'member', 'deleted_at',
                                name='image_members_image_id_member_deleted_at_key'),
        ], {'ix_image_members_image_id': ['image_id'], 'ix_image_members_deleted': ['deleted'],
            'ix_image_members_image_id_member': ['image_id', 'member']}),
    )


def _tasks():
    return (
        ('tasks', [
            sa.Column('id', sa.String(36), primary_key=True),
            sa.Column('type', sa.String(30), nullable=False),
            sa.Column('status', sa.String(30), nullable=False),
            sa.Column('owner', sa.String(255), nullable=False),
            sa.Column('expires_at', TIME),
            *_lifecycle_columns(),
            sa.Column('image_id', sa.String(36)),
            sa.Column('request_id', sa.String(64)),
            sa.Column('user_id', sa.String(64)),
        ], {f'ix_tasks_{name}': [name] for name in (
            'type', 'status', 'owner', 'deleted', 'image_id', 'updated_at')}),
        ('task_info', [
            sa.Column('task_id', sa.String(36), sa.ForeignKey('tasks.id'), primary_key=True),
            sa.Column('input', sa.Text), sa.Column('result', sa.Text),
            sa.Column('message', sa.Text),
        ], {}),
    )


def _cache():
    return (
        ('node_reference', [
            sa.Column('node_reference_id', COUNTER, primary_key=True),
            sa.Column('node_reference_url', sa.String(255), nullable=False),
            sa.UniqueConstraint('node_reference_url',
                                name='uq_node_reference_node_reference_url'),
        ], {}),
        ('cached_images', [
            sa.Column('id', COUNTER, primary_key=True),
            sa.Column('image_id', sa.String(36), nullable=False),
            sa.Column('last_accessed', TIME, nullable=False),
            sa.Column('last_modified', TIME, nullable=False),
            sa.Column('size', sa.BigInteger, nullable=False),
            sa.Column('hits', sa.Integer, nullable=False),
            sa.Column('checksum', sa.String(32)),
            sa.Column('node_reference_id', sa.BigInteger,
                      sa.ForeignKey('node_reference.node_reference_id'), nullable=False),
            sa.UniqueConstraint('image_id', 'node_reference_id',
                                name='ix_cached_images_image_id_node_reference_id'),
        ], {}),
    )


def _definitions():
    def namespace():
        return sa.Column('namespace_id', sa.Integer, sa.ForeignKey('metadef_namespaces.id'),
                         nullable=False)

    def named_objects(table, *more):
        return (f'metadef_{table}', [
            _id(), namespace(), sa.Column('name', sa.String(80), nullable=False), *more,
            *_times(),
            sa.UniqueConstraint('namespace_id', 'name',
                                name=f'uq_metadef_{table}_namespace_id_name'),
        ], {f'ix_metadef_{table}_name': ['name']})

    def schema():
        return sa.Column('json_schema', sa.Text, nullable=False)

    return (
        ('metadef_namespaces', [
            _id(), sa.Column('namespace', sa.String(80), nullable=False),
            sa.Column('display_name', sa.String(80)), sa.Column('description', sa.Text),
            sa.Column('visibility', sa.String(32)), sa.Column('protected', sa.Boolean),
            sa.Column('owner', sa.String(255), nullable=False), *_times(),
            sa.UniqueConstraint('namespace', name='uq_metadef_namespaces_namespace'),
        ], {'ix_metadef_namespaces_owner': ['owner']}),
        ('metadef_resource_types', [
            _id(), sa.Column('name', sa.String(80), nullable=False),
            sa.Column('protected', sa.Boolean, nullable=False), *_times(),
            sa.UniqueConstraint('name', name='uq_metadef_resource_types_name'),
        ], {}),
        ('metadef_namespace_resource_types', [
            sa.Column('resource_type_id', sa.Integer,
                      sa.ForeignKey('metadef_resource_types.id'), primary_key=True),
            sa.Column('namespace_id', sa.Integer,
                      sa.ForeignKey('metadef_namespaces.id'), primary_key=True),
            sa.Column('properties_target', sa.String(80)), sa.Column('prefix', sa.String(80)),
            *_times(),
        ], {'ix_metadef_ns_res_types_namespace_id': ['namespace_id']}),
        named_objects('objects', sa.Column('description', sa.Text), sa.Column('required', sa.Text),
              schema()),
        named_objects('properties', schema()),
        named_objects('tags'),
    )
