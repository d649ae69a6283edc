"""Every use case of the service, and how to call it: a new one must be listed here."""

from __future__ import annotations

import dataclasses
import operator
import uuid

from glancelite.contract import ImageQuery, TaskQuery, metadef
from glancelite.domain import imports, patch
from glancelite.services.imports import ImportRequest
from glancelite.services.locations import Locations
from glancelite.services.recovery import Recovery

RAW = {'disk_format': 'raw', 'container_format': 'bare'}


def queued(core, ctx, **body):
    creation = core.schema.create({**RAW, 'name': 'image', **body})
    return core.use_cases.images.create(ctx, creation)


def active(core, ctx, **body):
    image = queued(core, ctx, **body)
    return core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), size=4)


def shared(core, ctx, **body):
    image = active(core, ctx, **body)
    core.use_cases.members.add(ctx, image.id, 'friend')
    return image


def _download(core, ctx, image):
    download = core.use_cases.downloads.open(ctx, image.id)
    download.done(len(b''.join(download.chunks)))


def twice(core, ctx, **body):
    """Create an image with a copy in each of two stores."""
    image = active(core, ctx, **body)
    location, _ = core.layers.stores.write('cold', image.id, iter([b'data']), size=4, ctx=ctx)
    return core.layers.database.images.update(
        image, {'locations': (*image.locations, location)})


def _beside_data(core, ctx):
    """Create an image whose name is the URL of data that is in a store already."""
    store = core.layers.stores['fast'].driver
    store.CAPABILITIES |= {'adopt'}
    store.adopt = lambda url, *, ctx=None: url
    return queued(core, ctx, name=store.write('theirs', iter([b'data'])).url)


def _point(core, ctx, image):
    """Add the location without reading the data in the background."""
    service = dataclasses.replace(ctx, service_roles=frozenset({'service'}))
    locations = Locations(core.layers, Recovery(core.layers), core.use_cases.images, hashing=None,
                          secure_hash=False)
    locations.add(service, image.id, image.name)


def _deactivated(core, ctx, **body):
    image = active(core, ctx, **body)
    core.use_cases.images.deactivate(ctx, image.id)
    return image


def _call(name, arguments=lambda core, ctx, image: (image.id,)):
    """Return a function that calls the use case ``name`` with these arguments."""
    def call(core, ctx, image):
        return operator.attrgetter(name)(core.use_cases)(ctx, *arguments(core, ctx, image))
    return call


def _create(core, ctx, image):
    return queued(core, ctx, id=str(uuid.uuid4()))


def _list(core, ctx, image):
    return core.use_cases.images.list(ctx, ImageQuery(ctx.viewer))


def _update(core, ctx, image):
    return core.use_cases.images.update(ctx, image.id, patch.parse(
        [{'op': 'add', 'path': '/new', 'value': 'x'}], patch.DRAFT_10,
        core.schema.validate_attribute))


def _upload(core, ctx, image):
    return core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), size=4)


def _staged(core, ctx, **body):
    image = queued(core, ctx, **body)
    return core.use_cases.stages.receive(ctx, image.id, iter([b'data']))


def _import(core, ctx, image):
    return core.use_cases.imports.begin(ctx, image.id, ImportRequest({'name': 'glance-direct'}))


def _importing(core, ctx, **body):
    """Create an image with an import that does not run."""
    image = _staged(core, ctx, **body)
    _import(core, ctx, image)
    return core.layers.database.images.get(image.id, viewer=None)


def _failed_import(core, ctx, **body):
    """Create an image with an import that has failed."""
    image = _importing(core, ctx, **body)
    task_id, = _task(core, ctx, image)
    records = core.layers.database.tasks
    records.update(records.get(task_id), {'status': 'failure'})
    return image


def _task(core, ctx, image):
    return (imports.lock_of(image.properties),)


def _create_task(core, ctx, image):
    return core.use_cases.tasks.create(
        ctx, {'import_from': 'http://192.0.2.1/image'}, core.schema.create({'name': 'image'}))


def _namespace(core, ctx):
    """Create a namespace with an item of each kind."""
    return core.use_cases.metadef_namespaces.create(ctx, metadef.Definition(
        metadef.Namespace('OS::Test'), resource_types=[metadef.Association('OS::Flavor')],
        objects=[metadef.DefinedObject('o')], properties=[metadef.DefinedProperty('p')],
        tags=[metadef.DefinedTag('t')])).namespace


def _metadef(name, *arguments, **named):
    """Return a function that calls a use case with the namespace and these arguments."""
    def call(core, ctx, namespace):
        return operator.attrgetter(f'metadef_{name}')(core.use_cases)(
            ctx, namespace.namespace, *arguments, **named)
    return _namespace, call


def _create_namespace(core, ctx, image):
    return core.use_cases.metadef_namespaces.create(
        ctx, metadef.Definition(metadef.Namespace('OS::Test')))


def _list_namespaces(core, ctx, namespace):
    return core.use_cases.metadef_namespaces.list(ctx, metadef.NamespaceQuery(ctx.viewer))


#: use case -> (how to make its image or namespace, how to call it)
USE_CASES = {
    'images.create': (None, _create),
    'images.get': (queued, _call('images.get')),
    'images.list': (queued, _list),
    'images.update': (queued, _update),
    'images.delete': (active, _call('images.delete')),
    'images.deactivate': (active, _call('images.deactivate')),
    'images.reactivate': (_deactivated, _call('images.reactivate')),
    'uploads.receive': (queued, _upload),
    'downloads.open': (active, _download),
    'members.add': (active, _call('members.add', lambda core, ctx, image: (image.id, 'other'))),
    'members.list': (shared, _call('members.list')),
    'members.get': (shared, _call('members.get', lambda core, ctx, image: (image.id, 'friend'))),
    'members.set_status': (shared, _call(
        'members.set_status', lambda core, ctx, image: (image.id, 'friend', 'accepted'))),
    'members.remove': (shared, _call(
        'members.remove', lambda core, ctx, image: (image.id, 'friend'))),
    'tags.add': (queued, _call('tags.add', lambda core, ctx, image: (image.id, 'new'))),
    'tags.remove': (lambda core, ctx: queued(core, ctx, tags=['old']), _call(
        'tags.remove', lambda core, ctx, image: (image.id, 'old'))),
    'locations.list': (active, _call('locations.list')),
    'locations.add': (_beside_data, _point),
    'locations.remove_copy': (twice, _call(
        'locations.remove_copy', lambda core, ctx, image: ('fast', image.id))),
    'discovery.detail': (None, _call('discovery.detail', lambda core, ctx, image: ())),
    'stages.receive': (queued, _call(
        'stages.receive', lambda core, ctx, image: (image.id, iter([b'data'])))),
    'imports.begin': (_staged, _import),
    'tasks.list': (_importing, _call('tasks.list', lambda core, ctx, image: (
        TaskQuery(core.layers.host.now()),))),
    'tasks.get': (_importing, _call('tasks.get', _task)),
    'tasks.of_image': (_importing, _call('tasks.of_image')),
    'tasks.create': (None, _create_task),
    'tasks.cancel': (_importing, _call('tasks.cancel', _task)),
    'tasks.retry': (_failed_import, _call('tasks.retry', _task)),
    'metadef_namespaces.list': (_namespace, _list_namespaces),
    'metadef_namespaces.get': _metadef('namespaces.get'),
    'metadef_namespaces.create': (None, _create_namespace),
    'metadef_namespaces.update': _metadef('namespaces.update', metadef.Namespace('OS::New')),
    'metadef_namespaces.delete': _metadef('namespaces.delete'),
    'metadef_objects.list': _metadef('objects.list'),
    'metadef_objects.get': _metadef('objects.get', 'o'),
    'metadef_objects.add': _metadef('objects.add', metadef.DefinedObject('new')),
    'metadef_objects.replace': _metadef('objects.replace', 'o', metadef.DefinedObject('new')),
    'metadef_objects.remove': _metadef('objects.remove', 'o'),
    'metadef_objects.clear': _metadef('objects.clear'),
    'metadef_properties.list': _metadef('properties.list'),
    'metadef_properties.get': _metadef('properties.get', 'p'),
    'metadef_properties.add': _metadef('properties.add', metadef.DefinedProperty('new')),
    'metadef_properties.replace': _metadef('properties.replace', 'p',
                                           metadef.DefinedProperty('new')),
    'metadef_properties.remove': _metadef('properties.remove', 'p'),
    'metadef_properties.clear': _metadef('properties.clear'),
    'metadef_tags.list': _metadef('tags.list'),
    'metadef_tags.get': _metadef('tags.get', 't'),
    'metadef_tags.add': _metadef('tags.add', metadef.DefinedTag('new')),
    'metadef_tags.add_all': _metadef('tags.add_all', [metadef.DefinedTag('new')], append=False),
    'metadef_tags.replace': _metadef('tags.replace', 't', metadef.DefinedTag('new')),
    'metadef_tags.remove': _metadef('tags.remove', 't'),
    'metadef_tags.clear': _metadef('tags.clear'),
    'metadef_resource_types.all': (_namespace, lambda core, ctx, namespace: (
        core.use_cases.metadef_resource_types.all(ctx))),
    'metadef_resource_types.list': _metadef('resource_types.list'),
    'metadef_resource_types.add': _metadef('resource_types.add', metadef.Association('new')),
    'metadef_resource_types.remove': _metadef('resource_types.remove', 'OS::Flavor'),
}
#: public methods that are not use cases
HELPERS = {'stages.discard', 'stages.is_abandoned', 'stages.reaches', 'imports.methods',
           'imports.check_method', 'imports.check_staging', 'imports.check_work_dir',
           'tasks.check_caller',
           'images.change', 'images.check_caller', 'images.may_see_locations_of',
           'locations.close', 'discovery.multi', 'metadef_namespaces.check_caller'}
#: use cases that are open to everybody
OPEN = {'discovery.stores'}
#: use cases that use more of something with a quota
GROWING = {'images.create': 'add_image', 'images.update': 'modify_image',
           'uploads.receive': 'upload_image', 'members.add': 'add_member',
           'stages.receive': 'stage_image', 'imports.begin': 'import_image',
           'tags.add': 'modify_image', 'locations.add': 'add_image_location'}
#: the policy rule that each use case asks first
RULES = {
    'images.create': 'add_image', 'images.get': 'get_image', 'images.list': 'get_images',
    'images.update': 'modify_image', 'images.delete': 'delete_image',
    'images.deactivate': 'deactivate', 'images.reactivate': 'reactivate',
    'uploads.receive': 'upload_image', 'downloads.open': 'download_image',
    'members.add': 'add_member', 'members.list': 'get_members', 'members.get': 'get_member',
    'members.set_status': 'modify_member', 'members.remove': 'delete_member',
    'tags.add': 'modify_image', 'tags.remove': 'modify_image',
    'locations.list': 'fetch_image_location', 'locations.add': 'add_image_location',
    'locations.remove_copy': 'get_image_location', 'discovery.detail': 'stores_info_detail',
    'stages.receive': 'modify_image', 'imports.begin': 'modify_image',
    'tasks.list': 'tasks_api_access', 'tasks.get': 'tasks_api_access',
    'tasks.of_image': 'get_image', 'tasks.create': 'tasks_api_access',
    'tasks.cancel': 'modify_image', 'tasks.retry': 'modify_image',
    'metadef_namespaces.list': 'get_metadef_namespaces',
    'metadef_namespaces.get': 'get_metadef_namespace',
    'metadef_namespaces.create': 'add_metadef_namespace',
    'metadef_namespaces.update': 'modify_metadef_namespace',
    'metadef_namespaces.delete': 'delete_metadef_namespace',
    'metadef_objects.list': 'get_metadef_objects', 'metadef_objects.get': 'get_metadef_object',
    'metadef_objects.add': 'add_metadef_object',
    'metadef_objects.replace': 'modify_metadef_object',
    'metadef_objects.remove': 'delete_metadef_object',
    'metadef_objects.clear': 'delete_metadef_namespace',
    'metadef_properties.list': 'get_metadef_properties',
    'metadef_properties.get': 'get_metadef_property',
    'metadef_properties.add': 'add_metadef_property',
    'metadef_properties.replace': 'modify_metadef_property',
    'metadef_properties.remove': 'remove_metadef_property',
    'metadef_properties.clear': 'delete_metadef_namespace',
    'metadef_tags.list': 'get_metadef_tags', 'metadef_tags.get': 'get_metadef_tag',
    'metadef_tags.add': 'add_metadef_tag', 'metadef_tags.add_all': 'add_metadef_tags',
    'metadef_tags.replace': 'modify_metadef_tag', 'metadef_tags.remove': 'delete_metadef_tag',
    'metadef_tags.clear': 'delete_metadef_namespace',
    'metadef_resource_types.all': 'list_metadef_resource_types',
    'metadef_resource_types.list': 'list_metadef_resource_types',
    'metadef_resource_types.add': 'add_metadef_resource_type_association',
    'metadef_resource_types.remove': 'remove_metadef_resource_type_association',
}


def public_methods(core):
    """Return the names of all use cases of the service."""
    return {f'{service}.{name}'
            for service in (field.name for field in dataclasses.fields(core.use_cases))
            if service not in ('importing', 'recovery', 'work')
            for name in dir(getattr(core.use_cases, service))
            if not name.startswith('_') and not name.isupper()
            and f'{service}.{name}' not in HELPERS | OPEN}
