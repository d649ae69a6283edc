"""The tables that requests use; the migrations create them, and others.

Names and meanings are those of Glance, so that both services can use one database.
``revision``, ``attempt``, ``lease_until`` and ``status_before`` of images are our own columns:
Glance ignores them, and their server defaults are right for the rows that Glance inserts.  So
are ``attempt`` and what follows it in ``tasks``, ``journal`` and ``progress`` in ``task_info``;
they are NULL in the rows of Glance, whose tasks are not ours to run.
"""

from __future__ import annotations

import sqlalchemy as sa

from glancelite.contract.values import VISIBILITIES

_meta = sa.MetaData()


def _lifecycle_columns() -> list[sa.Column]:
    return [sa.Column('created_at', sa.DateTime, nullable=False),
            sa.Column('updated_at', sa.DateTime),
            sa.Column('deleted_at', sa.DateTime),
            sa.Column('deleted', sa.Boolean, nullable=False)]


images = sa.Table(
    'images', _meta,
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('name', sa.String(255)),
    sa.Column('status', sa.String(30), nullable=False),
    sa.Column('visibility', sa.Enum(*VISIBILITIES, name='image_visibility'), nullable=False),
    sa.Column('owner', sa.String(255)),
    sa.Column('protected', sa.Boolean, nullable=False),
    sa.Column('os_hidden', sa.Boolean, nullable=False),
    sa.Column('min_disk', sa.Integer, nullable=False),
    sa.Column('min_ram', sa.Integer, nullable=False),
    sa.Column('disk_format', sa.String(20)),
    sa.Column('container_format', sa.String(20)),
    sa.Column('size', sa.BigInteger),
    sa.Column('virtual_size', sa.BigInteger),
    sa.Column('checksum', sa.String(32)),
    sa.Column('os_hash_algo', sa.String(64)),
    sa.Column('os_hash_value', sa.String(128)),
    sa.Column('revision', sa.Integer, nullable=False),
    sa.Column('attempt', sa.Integer, nullable=False),
    sa.Column('lease_until', sa.DateTime),
    sa.Column('status_before', sa.String(30)),      # its deletion; NULL if it is not deleted
    *_lifecycle_columns())

properties = sa.Table(
    'image_properties', _meta,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('image_id', sa.String(36), nullable=False),
    sa.Column('name', sa.String(255), nullable=False),
    sa.Column('value', sa.Text),
    *_lifecycle_columns())

tags = sa.Table(
    'image_tags', _meta,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('image_id', sa.String(36), nullable=False),
    sa.Column('value', sa.String(255), nullable=False),
    *_lifecycle_columns())

locations = sa.Table(
    'image_locations', _meta,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('image_id', sa.String(36), nullable=False),
    sa.Column('value', sa.Text, nullable=False),
    sa.Column('meta_data', sa.Text),
    sa.Column('status', sa.String(30), nullable=False),
    *_lifecycle_columns())

members = sa.Table(
    'image_members', _meta,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('image_id', sa.String(36), nullable=False),
    sa.Column('member', sa.String(255), nullable=False),
    sa.Column('can_share', sa.Boolean, nullable=False),
    sa.Column('status', sa.String(20), nullable=False),
    *_lifecycle_columns())

tasks = sa.Table(
    'tasks', _meta,
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('type', sa.String(30), nullable=False),
    sa.Column('status', sa.String(30), nullable=False),
    sa.Column('owner', sa.String(255), nullable=False),     # '' for none
    sa.Column('expires_at', sa.DateTime),
    sa.Column('image_id', sa.String(36)),
    sa.Column('request_id', sa.String(64)),
    sa.Column('user_id', sa.String(64)),
    sa.Column('attempt', sa.Integer),                       # NULL: a task of Glance
    sa.Column('holder', sa.String(255)),
    sa.Column('lease_until', sa.DateTime),
    sa.Column('not_before', sa.DateTime),
    sa.Column('node', sa.String(255)),
    sa.Column('cancelled', sa.Boolean),
    *_lifecycle_columns())

task_info = sa.Table(
    'task_info', _meta,
    sa.Column('task_id', sa.String(36), primary_key=True),
    sa.Column('input', sa.Text),
    sa.Column('result', sa.Text),
    sa.Column('message', sa.Text),
    sa.Column('journal', sa.Text),
    sa.Column('progress', sa.Text))


def _times() -> list[sa.Column]:
    return [sa.Column('created_at', sa.DateTime, nullable=False),
            sa.Column('updated_at', sa.DateTime)]


def _items(name: str, *columns: sa.Column) -> sa.Table:
    return sa.Table(
        f'metadef_{name}', _meta, sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('namespace_id', sa.Integer, nullable=False),
        sa.Column('name', sa.String(80), nullable=False), *columns, *_times())


namespaces = sa.Table(
    'metadef_namespaces', _meta,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('namespace', sa.String(80), nullable=False),
    sa.Column('display_name', sa.String(80)),
    sa.Column('description', sa.Text),
    sa.Column('visibility', sa.String(32)),                 # NULL: private
    sa.Column('protected', sa.Boolean),                     # NULL: false
    sa.Column('owner', sa.String(255), nullable=False),     # '' for none
    *_times())

resource_types = sa.Table(
    'metadef_resource_types', _meta,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('name', sa.String(80), nullable=False),
    sa.Column('protected', sa.Boolean, nullable=False),
    *_times())

associations = sa.Table(
    'metadef_namespace_resource_types', _meta,
    sa.Column('resource_type_id', sa.Integer, primary_key=True),
    sa.Column('namespace_id', sa.Integer, primary_key=True),
    sa.Column('properties_target', sa.String(80)),
    sa.Column('prefix', sa.String(80)),
    *_times())

defined_objects = _items(
    'objects', sa.Column('description', sa.Text), sa.Column('required', sa.Text),
    sa.Column('json_schema', sa.Text, nullable=False))
defined_properties = _items('properties', sa.Column('json_schema', sa.Text, nullable=False))
defined_tags = _items('tags')
