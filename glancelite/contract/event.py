"""What notifiers are told, and which use case tells what."""

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
    'data.upload': ('image.update', 'image.prepare', 'image.upload', 'image.activate',
                    'image.update'),
    'data.download': ('image.send',),
    'locations.add': ('image.update',),
    'locations.remove_copy': ('image.update',),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    ``payload`` is JSON-ready, in the shape that consumers of OpenStack's
    notifications know (a plain text for errors); ``priority`` is ``INFO``
    or ``ERROR``; ``publisher`` is which service of a cloud tells it.
    """

    type: str
    payload: Mapping[str, object] | str
    context: Context
    at: datetime.datetime
    priority: str = 'INFO'
    publisher: str = 'image.localhost'
