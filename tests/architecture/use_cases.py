"""Every use case of the service, and how to call it: a new one must be listed here."""

from __future__ import annotations

import dataclasses
import uuid

from glancelite.domain import patch
from glancelite.services.locations import Locations
from glancelite.services.recovery import Recovery

QCOW2 = {'disk_format': 'raw', 'container_format': 'bare'}


def queued(core, ctx, **body):
    return core.images.create(ctx, core.schema.create({**QCOW2, 'name': 'image', **body}))


def active(core, ctx, **body):
    image = queued(core, ctx, **body)
    return core.data.upload(ctx, image.id, iter([b'data']), size=4)


def shared(core, ctx, **body):
    image = active(core, ctx, **body)
    core.members.add(ctx, image.id, 'friend')
    return image


def _download(core, ctx, image):
    found = core.data.download(ctx, image.id)
    sent = b''.join(found.chunks)
    found.done(len(sent))


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
    Locations(
        core.layers, Recovery(core.layers), core.images, hashing=None, secure_hash=False
    ).add(service, image.id, image.name)


def _deactivated(core, ctx, **body):
    image = active(core, ctx, **body)
    core.images.deactivate(ctx, image.id)
    return image


def _query(core, ctx):
    from glancelite.contract import ImageQuery
    return ImageQuery(ctx.viewer)


#: use case -> (how to make its image, how to call it)
USE_CASES = {
    'images.create': (None, lambda core, ctx, image: queued(core, ctx, id=str(uuid.uuid4()))),
    'images.get': (queued, lambda core, ctx, image: core.images.get(ctx, image.id)),
    'images.list': (queued, lambda core, ctx, image: core.images.list(ctx, _query(core, ctx))),
    'images.update': (queued, lambda core, ctx, image: core.images.update(
        ctx, image.id, patch.parse(
            [{'op': 'add', 'path': '/new', 'value': 'x'}], patch.DRAFT_10,
            core.schema.validate_attribute))),
    'images.delete': (active, lambda core, ctx, image: core.images.delete(ctx, image.id)),
    'images.deactivate': (active, lambda core, ctx, image: core.images.deactivate(ctx, image.id)),
    'images.reactivate': (_deactivated,
                          lambda core, ctx, image: core.images.reactivate(ctx, image.id)),
    'data.upload': (queued, lambda core, ctx, image: core.data.upload(
        ctx, image.id, iter([b'data']), size=4)),
    'data.download': (active, _download),
    'members.add': (active, lambda core, ctx, image: core.members.add(ctx, image.id, 'other')),
    'members.list': (shared, lambda core, ctx, image: core.members.list(ctx, image.id)),
    'members.get': (shared, lambda core, ctx, image: core.members.get(ctx, image.id, 'friend')),
    'members.set_status': (shared, lambda core, ctx, image: core.members.set_status(
        ctx, image.id, 'friend', 'accepted')),
    'members.remove': (shared, lambda core, ctx, image: core.members.remove(
        ctx, image.id, 'friend')),
    'tags.add': (queued, lambda core, ctx, image: core.tags.add(ctx, image.id, 'new')),
    'tags.remove': (lambda core, ctx: queued(core, ctx, tags=['old']),
                    lambda core, ctx, image: core.tags.remove(ctx, image.id, 'old')),
    'locations.list': (active, lambda core, ctx, image: core.locations.list(ctx, image.id)),
    'locations.add': (_beside_data, _point),
    'locations.remove_copy': (twice, lambda core, ctx, image: core.locations.remove_copy(
        ctx, 'fast', image.id)),
    'discovery.detail': (None, lambda core, ctx, image: core.discovery.detail(ctx)),
}
#: public methods that are not use cases
HELPERS = {'images.change', 'images.may_see_locations_of', 'locations.close', 'discovery.multi'}
#: use cases that are open to everybody
OPEN = {'discovery.stores'}
#: use cases that use more of something with a quota
GROWING = {'images.create': 'add_image', 'images.update': 'modify_image',
           'data.upload': 'upload_image', 'members.add': 'add_member', 'tags.add': 'modify_image',
           'locations.add': 'add_image_location'}
#: the policy rule that each use case asks first
RULES = {
    'images.create': 'add_image', 'images.get': 'get_image', 'images.list': 'get_images',
    'images.update': 'modify_image', 'images.delete': 'delete_image',
    'images.deactivate': 'deactivate', 'images.reactivate': 'reactivate',
    'data.upload': 'upload_image', 'data.download': 'download_image',
    'members.add': 'add_member', 'members.list': 'get_members', 'members.get': 'get_member',
    'members.set_status': 'modify_member', 'members.remove': 'delete_member',
    'tags.add': 'modify_image', 'tags.remove': 'modify_image',
    'locations.list': 'fetch_image_location', 'locations.add': 'add_image_location',
    'locations.remove_copy': 'get_image_location', 'discovery.detail': 'stores_info_detail',
}


def public_methods(core):
    """Return the names of all use cases of the service."""
    return {f'{service}.{name}'
            for service in ('images', 'data', 'members', 'tags', 'locations', 'discovery')
            for name in dir(getattr(core, service))
            if not name.startswith('_') and f'{service}.{name}' not in HELPERS | OPEN}
