"""The default rules, and what each of them allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oslo_policy import policy

ADMIN = 'rule:context_is_admin'
SERVICE = 'rule:service_api'
OWN = 'project_id:%(project_id)s'
MEMBER = f'{ADMIN} or (role:member and {OWN})'
READER = f'{ADMIN} or (role:reader and {OWN})'
_SEEN = (f'({OWN} or project_id:%(member_id)s or "community":%(visibility)s or '
         '"public":%(visibility)s or "shared":%(visibility)s)')
_SHOW = f'{ADMIN} or (role:reader and {_SEEN})'
_FETCH = f'{ADMIN} or (role:member and {_SEEN})'
_CREATE = f'role:member and {OWN} and project_id:%(owner)s'
_MEMBERS = f'{ADMIN} or role:reader and ({OWN} or project_id:%(member_id)s)'

_METADEFS = 'rule:metadef_admin'
_NAMESPACE = f"{ADMIN} or (role:reader and ({OWN} or 'public':%(visibility)s))"
#: the default of the rules for reading metadata definitions before the release Xena
_FORMER = 'rule:metadef_default'
_NS = '/v2/metadefs/namespaces/{namespace_name}'

#: name of a rule, its check, what it allows, and the operations that check it.  Operations
#: that are not implemented yet have their rules, since policy files of Glance name them.
_RULES = (
    ('add_image', f'{ADMIN} or ({_CREATE})', 'Create an image.', 'POST /v2/images'),
    ('get_image', _SHOW, 'Show an image; otherwise it does not exist for the caller.',
     'GET /v2/images/{image_id}'),
    ('get_images', READER, 'List images.', 'GET /v2/images'),
    ('modify_image', MEMBER, 'Change the attributes or tags of an image, or import its data.',
     'PATCH /v2/images/{image_id}', 'PUT /v2/images/{image_id}/tags/{tag}',
     'DELETE /v2/images/{image_id}/tags/{tag}', 'PUT /v2/images/{image_id}/stage',
     'POST /v2/images/{image_id}/import'),
    ('delete_image', MEMBER, 'Delete an image.', 'DELETE /v2/images/{image_id}'),
    ('publicize_image', ADMIN, 'Make an image public.', 'PATCH /v2/images/{image_id}'),
    ('communitize_image', MEMBER, 'Make an image a community image.',
     'PATCH /v2/images/{image_id}'),
    ('upload_image', MEMBER, 'Upload the data of an image.', 'PUT /v2/images/{image_id}/file'),
    ('download_image', _FETCH, 'Download the data of an image.',
     'GET /v2/images/{image_id}/file'),
    ('download_from_store', _FETCH, 'Download the data of an image from a chosen store.',
     'GET /v2/images/{image_id}/file'),
    ('deactivate', MEMBER, 'Deactivate an image.',
     'POST /v2/images/{image_id}/actions/deactivate'),
    ('reactivate', MEMBER, 'Reactivate an image.',
     'POST /v2/images/{image_id}/actions/reactivate'),
    ('copy_image', ADMIN, 'Copy the data of an image to other stores.',
     'POST /v2/images/{image_id}/import'),
    ('get_image_location', 'rule:get_image', 'See direct_url and locations in an image, if '
     'show_image_direct_url or show_multiple_locations is set.',
     'GET /v2/images', 'GET /v2/images/{image_id}', 'DELETE /v2/stores/{store_id}/{image_id}'),
    ('set_image_location', MEMBER, 'Change the locations of an image.',
     'PATCH /v2/images/{image_id}'),
    ('delete_image_location', ADMIN, 'Remove a location of an image.',
     'PATCH /v2/images/{image_id}', 'DELETE /v2/stores/{store_id}/{image_id}'),
    ('add_image_location', f'{SERVICE} or ({_CREATE})',
     'Add a location of data that is in a store already.', 'POST /v2/images/{image_id}/locations'),
    ('fetch_image_location', SERVICE, 'List the locations of an image.',
     'GET /v2/images/{image_id}/locations'),
    ('add_member', MEMBER, 'Share an image with a project.',
     'POST /v2/images/{image_id}/members'),
    ('delete_member', MEMBER, 'Stop sharing an image with a project.',
     'DELETE /v2/images/{image_id}/members/{member_id}'),
    ('modify_member', f'{ADMIN} or (role:member and project_id:%(member_id)s)',
     'Accept or reject an image that is shared with the project of the caller.',
     'PUT /v2/images/{image_id}/members/{member_id}'),
    ('get_member', _MEMBERS, 'Show a project that an image is shared with.',
     'GET /v2/images/{image_id}/members/{member_id}'),
    ('get_members', _MEMBERS, 'List the projects that an image is shared with.',
     'GET /v2/images/{image_id}/members'),
    ('manage_image_cache', ADMIN, 'Manage the image cache through its first API.',
     'GET /v2/cached_images', 'DELETE /v2/cached_images', 'GET /v2/queued_images',
     'DELETE /v2/queued_images'),
    ('cache_image', ADMIN, 'Queue an image for caching.', 'PUT /v2/cache/{image_id}'),
    ('cache_list', ADMIN, 'List cached and queued images.', 'GET /v2/cache'),
    ('cache_delete', ADMIN, 'Delete images from the cache.', 'DELETE /v2/cache',
     'DELETE /v2/cache/{image_id}'),
    ('cache_clean', ADMIN, 'Delete invalid and stalled entries of the cache.',
     'POST /v2/cache/clean'),
    ('cache_prune', ADMIN, 'Reduce the cache to its maximum size.', 'POST /v2/cache/prune'),
    ('list_cached_nodes', ADMIN, 'List the nodes that have cached an image.',
     'GET /v2/cache/nodes/{image_id}'),
    ('stores_info_detail', f'{ADMIN} or {SERVICE}', 'Show the stores with their properties.',
     'GET /v2/info/stores/detail'),
    ('tasks_api_access', ADMIN, 'Use the tasks API.', 'GET /v2/tasks', 'POST /v2/tasks',
     'GET /v2/tasks/{task_id}', 'DELETE /v2/tasks/{task_id}'),
    ('get_task', 'rule:default', 'Show a task, after tasks_api_access.',
     'GET /v2/tasks/{task_id}'),
    ('get_tasks', 'rule:default', 'List tasks, after tasks_api_access.', 'GET /v2/tasks'),
    ('add_task', 'rule:default', 'Create a task, after tasks_api_access.', 'POST /v2/tasks'),
    ('modify_task', 'rule:default', 'Change a task, after tasks_api_access.',
     'DELETE /v2/tasks/{task_id}'),
)


#: the rules of metadata definitions, in the same form.  Their target is the namespace.
_METADEF_RULES = (
    ('get_metadef_namespace', _NAMESPACE, 'Show a namespace; otherwise it does not exist for '
     'the caller.', f'GET {_NS}'),
    ('get_metadef_namespaces', READER, 'List namespaces.', 'GET /v2/metadefs/namespaces'),
    ('add_metadef_namespace', _METADEFS, 'Create a namespace.', 'POST /v2/metadefs/namespaces'),
    ('modify_metadef_namespace', _METADEFS, 'Change a namespace.', f'PUT {_NS}'),
    ('delete_metadef_namespace', _METADEFS, 'Delete a namespace, or all its objects, properties '
     'or tags.', f'DELETE {_NS}', f'DELETE {_NS}/objects', f'DELETE {_NS}/properties',
     f'DELETE {_NS}/tags'),
    ('get_metadef_object', _NAMESPACE, 'Show an object of a namespace.',
     f'GET {_NS}/objects/{{object_name}}'),
    ('get_metadef_objects', _NAMESPACE, 'List the objects of a namespace.',
     f'GET {_NS}/objects', f'GET {_NS}'),
    ('add_metadef_object', _METADEFS, 'Create an object in a namespace.', f'POST {_NS}/objects'),
    ('modify_metadef_object', _METADEFS, 'Change an object of a namespace.',
     f'PUT {_NS}/objects/{{object_name}}'),
    ('delete_metadef_object', _METADEFS, 'Delete an object of a namespace.',
     f'DELETE {_NS}/objects/{{object_name}}'),
    ('list_metadef_resource_types', _NAMESPACE, 'List types of resources.',
     'GET /v2/metadefs/resource_types', f'GET {_NS}/resource_types', f'GET {_NS}',
     'GET /v2/metadefs/namespaces'),
    ('get_metadef_resource_type', _NAMESPACE, 'See a type of resources that a namespace is '
     'associated with.', f'GET {_NS}/resource_types', f'GET {_NS}/properties/{{property_name}}'),
    ('add_metadef_resource_type_association', _METADEFS, 'Associate a namespace with a type of '
     'resources.', f'POST {_NS}/resource_types'),
    ('remove_metadef_resource_type_association', _METADEFS, 'Remove the association of a '
     'namespace with a type of resources.', f'DELETE {_NS}/resource_types/{{name}}'),
    ('get_metadef_property', _NAMESPACE, 'Show a property of a namespace.',
     f'GET {_NS}/properties/{{property_name}}'),
    ('get_metadef_properties', _NAMESPACE, 'List the properties of a namespace.',
     f'GET {_NS}/properties', f'GET {_NS}'),
    ('add_metadef_property', _METADEFS, 'Create a property in a namespace.',
     f'POST {_NS}/properties'),
    ('modify_metadef_property', _METADEFS, 'Change a property of a namespace.',
     f'PUT {_NS}/properties/{{property_name}}'),
    ('remove_metadef_property', _METADEFS, 'Delete a property of a namespace.',
     f'DELETE {_NS}/properties/{{property_name}}'),
    ('get_metadef_tag', _NAMESPACE, 'Show a tag of a namespace.',
     f'GET {_NS}/tags/{{tag_name}}'),
    ('get_metadef_tags', _NAMESPACE, 'List the tags of a namespace.', f'GET {_NS}/tags',
     f'GET {_NS}'),
    ('add_metadef_tag', _METADEFS, 'Create a tag in a namespace.',
     f'POST {_NS}/tags/{{tag_name}}'),
    ('add_metadef_tags', _METADEFS, 'Create tags in a namespace, or replace them.',
     f'POST {_NS}/tags'),
    ('modify_metadef_tag', _METADEFS, 'Change the name of a tag of a namespace.',
     f'PUT {_NS}/tags/{{tag_name}}'),
    ('delete_metadef_tag', _METADEFS, 'Delete a tag of a namespace.',
     f'DELETE {_NS}/tags/{{tag_name}}'),
    ('delete_metadef_tags', _METADEFS, 'Delete all tags of a namespace, after '
     'delete_metadef_namespace.', f'DELETE {_NS}/tags'),
)


def list_rules() -> Iterator[policy.RuleDefault]:
    """Yield all defaults, for the engine and for ``oslopolicy-sample-generator``.

    All require a token for a project: one for the system or a domain has no project
    that could own an image.
    """
    yield policy.RuleDefault('default', '', scope_types=None,
                             description='Used for actions without a rule of their own.')
    yield policy.RuleDefault('context_is_admin', 'role:admin', scope_types=['project'],
                             description='Administer all images.')
    yield policy.RuleDefault('service_api', 'role:service or role:admin', scope_types=['project'],
                             description='Use the operations for other services.')
    for name, check, description, *operations in _RULES:
        yield policy.DocumentedRuleDefault(
            name, check, description, [_operation(text) for text in operations],
            scope_types=['project'])
    yield policy.RuleDefault('metadef_default', '', scope_types=['project'], description=(
        'The default of the rules for reading metadata definitions before the release Xena.'))
    yield policy.RuleDefault('metadef_admin', ADMIN, scope_types=['project'], description=(
        'Administer metadata definitions; the other rules for changing them refer to it.'))
    for name, check, description, *operations in _METADEF_RULES:
        yield policy.DocumentedRuleDefault(
            name, check, description, [_operation(text) for text in operations],
            scope_types=['project'],
            deprecated_rule=None if check == _METADEFS else _former(name))


def _former(name: str) -> policy.DeprecatedRule:
    return policy.DeprecatedRule(
        name, _FORMER, deprecated_since='Xena', deprecated_reason=(
            'The rule considers the project of the caller, and the owner and the visibility of '
            'the namespace.'))


def _operation(text: str) -> Any:
    method, path = text.split(' ')
    return {'method': method, 'path': path}
