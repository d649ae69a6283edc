"""Events that notifiers receive, and the use cases that emit them."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

from glancelite.contract.context import Context

#: use case -> the event types it emits when it succeeds, in order
EVENTS: Mapping[str, tuple[str, ...]] = {
    'images.create': ('image.create',),
    'images.update': ('image.update',),
    'images.delete': ('image.delete',),
    'images.deactivate': ('image.update',),
    'images.reactivate': ('image.update',),
    'tags.add': ('image.update',),
    'tags.remove': ('image.update',),
    'members.add': ('image.member.create',),
    'members.set_status': ('image.member.update',),
    'members.remove': ('image.member.delete',),
    'uploads.receive': ('image.update', 'image.prepare', 'image.upload', 'image.activate',
                        'image.update'),
    'downloads.open': ('image.send',),
    'stages.receive': ('image.update', 'image.update'),
    'imports.begin': ('image.update', 'task.create'),
    'tasks.create': ('task.create',),
    'locations.add': ('image.update',),
    'locations.remove_copy': ('image.update',),
    # one more for each item that is created with a namespace, and for each further tag
    'metadef_namespaces.create': ('metadef_namespace.create',),
    'metadef_namespaces.update': ('metadef_namespace.update',),
    'metadef_namespaces.delete': ('metadef_namespace.delete',),
    'metadef_objects.add': ('metadef_object.create',),
    'metadef_objects.replace': ('metadef_object.update',),
    'metadef_objects.remove': ('metadef_object.delete',),
    'metadef_objects.clear': ('metadef_namespace.delete_objects',),
    'metadef_properties.add': ('metadef_property.create',),
    'metadef_properties.replace': ('metadef_property.update',),
    'metadef_properties.remove': ('metadef_property.delete',),
    'metadef_properties.clear': ('metadef_namespace.delete_properties',),
    'metadef_tags.add': ('metadef_tag.create',),
    'metadef_tags.add_all': ('metadef_tag.create',),
    'metadef_tags.replace': ('metadef_tag.update',),
    'metadef_tags.remove': ('metadef_tag.delete',),
    'metadef_tags.clear': ('metadef_namespace.delete_tags',),
    'metadef_resource_types.add': ('metadef_resource_type.create',),
    'metadef_resource_types.remove': ('metadef_resource_type.delete',),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    Tasks emit ``task.run`` and ``task.processing`` when they are claimed first, then
    ``task.success`` or ``task.failure``.

    ``payload`` is JSON-ready and has the form of OpenStack's image notifications; for
    errors it is a text that names the image.  ``priority`` is ``INFO`` or ``ERROR``.
    ``publisher`` names the service that emitted the event.
    """

    type: str
    payload: Mapping[str, object] | str
    context: Context
    timestamp: datetime.datetime
    priority: str = 'INFO'
    publisher: str = 'image.localhost'
