"""A database as Glance 33 creates and fills it, written independently of the plugin."""

import datetime

import sqlalchemy as sa

meta = sa.MetaData()
CREATED = datetime.datetime(2025, 5, 5, 5, 5, 5)
IMAGE = '11111111-0000-4000-8000-000000000001'
REMOVED = '11111111-0000-4000-8000-000000000002'
PENDING = '11111111-0000-4000-8000-000000000003'


def _table(name, *columns, life=True, **options):
    times = [sa.Column('created_at', sa.DateTime, nullable=False),
             sa.Column('updated_at', sa.DateTime),
             sa.Column('deleted_at', sa.DateTime),
             sa.Column('deleted', sa.Boolean, nullable=False)]
    keys = [key for key in columns if not isinstance(key, sa.Column)]
    columns = [column for column in columns if isinstance(column, sa.Column)]
    return sa.Table(name, meta, *columns, *(times if life is True else times[:life or 0]), *keys,
                    mysql_engine='InnoDB', mysql_charset='utf8mb3',
                    mysql_collate='utf8mb3_general_ci', **options)


def _id():
    return sa.Column('id', sa.Integer, primary_key=True)


def _of(table='images', column='image_id'):
    kind = sa.String(36) if table == 'images' else sa.Integer
    return sa.Column(column, kind, sa.ForeignKey(f'{table}.id'), nullable=False)


images = _table(
    'images', sa.Column('id', sa.String(36), primary_key=True), sa.Column('name', sa.String(255)),
    sa.Column('size', sa.BigInteger), sa.Column('status', sa.String(30), nullable=False),
    sa.Column('disk_format', sa.String(20)), sa.Column('container_format', sa.String(20)),
    sa.Column('checksum', sa.String(32)), sa.Column('owner', sa.String(255)),
    sa.Column('min_disk', sa.Integer, nullable=False),
    sa.Column('min_ram', sa.Integer, nullable=False),
    sa.Column('protected', sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column('virtual_size', sa.BigInteger),
    sa.Column('visibility', sa.Enum('private', 'public', 'shared', 'community',
                                    name='image_visibility'),
              nullable=False, server_default='shared'),
    sa.Column('os_hidden', sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column('os_hash_algo', sa.String(64)), sa.Column('os_hash_value', sa.String(128)))
for _name, _column in (
        ('checksum_image_idx', 'checksum'), ('visibility_image_idx', 'visibility'),
        ('ix_images_deleted', 'deleted'), ('owner_image_idx', 'owner'),
        ('created_at_image_idx', 'created_at'), ('updated_at_image_idx', 'updated_at'),
        ('os_hidden_image_idx', 'os_hidden'), ('os_hash_value_image_idx', 'os_hash_value')):
    sa.Index(_name, images.c[_column])

properties = _table(
    'image_properties', _id(), _of(), sa.Column('name', sa.String(255), nullable=False),
    sa.Column('value', sa.Text),
    sa.UniqueConstraint('image_id', 'name', name='ix_image_properties_image_id_name'))
sa.Index('ix_image_properties_image_id', properties.c.image_id)
sa.Index('ix_image_properties_deleted', properties.c.deleted)

tags = _table('image_tags', _id(), _of(), sa.Column('value', sa.String(255), nullable=False))
sa.Index('ix_image_tags_image_id', tags.c.image_id)
sa.Index('ix_image_tags_image_id_tag_value', tags.c.image_id, tags.c.value)

locations = _table(
    'image_locations', _id(), _of(), sa.Column('value', sa.Text, nullable=False),
    sa.Column('meta_data', sa.Text),
    sa.Column('status', sa.String(30), nullable=False, server_default='active'))
sa.Index('ix_image_locations_image_id', locations.c.image_id)
sa.Index('ix_image_locations_deleted', locations.c.deleted)

members = _table(
    'image_members', _id(), _of(), sa.Column('member', sa.String(255), nullable=False),
    sa.Column('can_share', sa.Boolean, nullable=False),
    sa.Column('status', sa.String(20), nullable=False, server_default='pending'),
    sa.UniqueConstraint('image_id', 'member', 'deleted_at',
                        name='image_members_image_id_member_deleted_at_key'))
sa.Index('ix_image_members_deleted', members.c.deleted)
sa.Index('ix_image_members_image_id', members.c.image_id)
sa.Index('ix_image_members_image_id_member', members.c.image_id, members.c.member)

tasks = _table(
    'tasks', sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('type', sa.String(30), nullable=False),
    sa.Column('status', sa.String(30), nullable=False),
    sa.Column('owner', sa.String(255), nullable=False), sa.Column('expires_at', sa.DateTime),
    sa.Column('image_id', sa.String(36)), sa.Column('request_id', sa.String(64)),
    sa.Column('user_id', sa.String(64)))
for _column in ('type', 'status', 'owner', 'deleted', 'image_id', 'updated_at'):
    sa.Index(f'ix_tasks_{_column}', tasks.c[_column])
task_info = _table(
    'task_info', sa.Column('task_id', sa.String(36), sa.ForeignKey('tasks.id'),
                           primary_key=True),
    sa.Column('input', sa.Text), sa.Column('result', sa.Text), sa.Column('message', sa.Text),
    life=False)

_number = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
_table('node_reference', sa.Column('node_reference_id', _number, primary_key=True),
       sa.Column('node_reference_url', sa.String(255), nullable=False), life=False)
_table('cached_images', sa.Column('id', _number, primary_key=True),
       sa.Column('image_id', sa.String(36), nullable=False),
       sa.Column('last_accessed', sa.DateTime, nullable=False),
       sa.Column('last_modified', sa.DateTime, nullable=False),
       sa.Column('size', sa.BigInteger, nullable=False),
       sa.Column('hits', sa.Integer, nullable=False), sa.Column('checksum', sa.String(32)),
       sa.Column('node_reference_id', sa.BigInteger,
                 sa.ForeignKey('node_reference.node_reference_id'), nullable=False), life=False)

_table('metadef_namespaces', _id(), sa.Column('namespace', sa.String(80), nullable=False),
       sa.Column('display_name', sa.String(80)), sa.Column('description', sa.Text),
       sa.Column('visibility', sa.String(32)), sa.Column('protected', sa.Boolean),
       sa.Column('owner', sa.String(255), nullable=False),
       sa.UniqueConstraint('namespace', name='uq_metadef_namespaces_namespace'),
       sa.Index('ix_metadef_namespaces_owner', 'owner'), life=2)
_table('metadef_resource_types', _id(), sa.Column('name', sa.String(80), nullable=False),
       sa.Column('protected', sa.Boolean, nullable=False),
       sa.UniqueConstraint('name', name='uq_metadef_resource_types_name'), life=2)
_table('metadef_namespace_resource_types',
       sa.Column('resource_type_id', sa.Integer, sa.ForeignKey('metadef_resource_types.id'),
                 primary_key=True),
       sa.Column('namespace_id', sa.Integer, sa.ForeignKey('metadef_namespaces.id'),
                 primary_key=True),
       sa.Column('properties_target', sa.String(80)), sa.Column('prefix', sa.String(80)),
       sa.Index('ix_metadef_ns_res_types_namespace_id', 'namespace_id'), life=2)
for _name, _columns in (
        ('objects', ('description', 'required', 'json_schema')),
        ('properties', ('json_schema',)), ('tags', ())):
    _table(f'metadef_{_name}', _id(), _of('metadef_namespaces', 'namespace_id'),
           sa.Column('name', sa.String(80), nullable=False),
           *(sa.Column(column, sa.Text) for column in _columns),
           sa.UniqueConstraint('namespace_id', 'name',
                               name=f'uq_metadef_{_name}_namespace_id_name'),
           sa.Index(f'ix_metadef_{_name}_name', 'name'), life=2)
version = sa.Table('alembic_version', meta,
                   sa.Column('version_num', sa.String(32), primary_key=True))


def fill(engine, rows=True):
    """Create the tables with a few rows; return the rows by table."""
    with engine.begin() as connection:
        meta.create_all(connection)
        connection.execute(sa.insert(version).values(version_num='2024_1_contract01'))
    if rows:
        insert(engine)
    with engine.connect() as connection:
        return {table.name: connection.execute(sa.select(table)).fetchall()
                for table in meta.sorted_tables}


def insert(engine):
    """An image, a deleted image, an image that is pending deletion, and a task."""
    live = {'created_at': CREATED, 'updated_at': CREATED, 'deleted_at': None, 'deleted': False}
    gone = {**live, 'deleted_at': CREATED + datetime.timedelta(1), 'deleted': True}
    # Glance deletes the locations before the image
    earlier = {**gone, 'deleted_at': gone['deleted_at'] - datetime.timedelta(seconds=1)}
    image = {'status': 'active', 'owner': 'p', 'min_disk': 0, 'min_ram': 0, 'size': 5}
    with engine.begin() as connection:
        for table, *given in (
                (images, {'id': IMAGE, 'name': 'of Glance', **image, **live},
                 {'id': REMOVED, 'name': 'removed', **image, **gone, 'status': 'deleted'},
                 {'id': PENDING, 'name': 'pending', **image, **gone,
                  'status': 'pending_delete'}),
                (properties, {'image_id': IMAGE, 'name': 'k', 'value': 'v', **live},
                 {'image_id': IMAGE, 'name': 'never set', 'value': None, **live},
                 {'image_id': IMAGE, 'name': 'gone', 'value': 'x', **gone},
                 {'image_id': PENDING, 'name': 'k', 'value': 'v', **gone},
                 {'image_id': PENDING, 'name': 'before', 'value': 'x', **earlier}),
                (tags, {'image_id': IMAGE, 'value': 'b', **live},
                 {'image_id': IMAGE, 'value': 'a', **live},
                 {'image_id': IMAGE, 'value': 'gone', **gone}),
                (locations, {'image_id': IMAGE, 'value': 'file:///g', 'status': 'active',
                             'meta_data': '{"store": "fast"}', **live},
                 {'image_id': PENDING, 'value': 'file:///pending', 'status': 'pending_delete',
                  'meta_data': '{"store": "fast"}', **earlier}),
                (members, {'image_id': IMAGE, 'member': 'm', 'can_share': False,
                           'status': 'accepted', **live}),
                (tasks, {'id': IMAGE, 'type': 'import', 'status': 'success', 'owner': 'p',
                         **live}),
                (task_info, {'task_id': IMAGE, 'input': '{}', 'message': ''})):
            connection.execute(sa.insert(table), given)
