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
