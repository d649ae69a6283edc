"""Events and their payloads.

Source: Image API contract, notifications.  ``contract.EVENTS`` lists the events of each
use case.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

from glancelite import contract
from glancelite.contract import Context, Image, Member, Task
from glancelite.domain import properties
from glancelite.services.chains import NotifierGroup


class Events:
    """Builds events and passes them to the notifiers; builds none if there is no notifier."""

    def __init__(self, notifiers: NotifierGroup, host: contract.Host, *,
                 publisher: str = 'image.localhost'):
        self._notifiers = notifiers
        self._host = host
        self._publisher = publisher

    def image(self, ctx: Context, event_type: str, image: Image, **more: object) -> None:
        """Emit an event about an image; ``more`` is added to its payload."""
        if self._notifiers.is_enabled(event_type):
            self._emit(ctx, event_type, {**image_payload(image), **more})

    def member(self, ctx: Context, event_type: str, member: Member) -> None:
        """Emit an event about a member."""
        if self._notifiers.is_enabled(event_type):
            self._emit(ctx, event_type, {
                'image_id': member.image_id, 'member_id': member.member, 'status': member.status,
                'created_at': format_time(member.created_at),
                'updated_at': format_time(member.updated_at),
                'deleted': member.deleted_at is not None,
                'deleted_at': format_time(member.deleted_at)})

    def task(self, ctx: Context, event_type: str, task: Task) -> None:
        """Emit an event about a task."""
        if self._notifiers.is_enabled(event_type):
            self._emit(ctx, event_type, {
                'id': task.id, 'type': task.type, 'status': task.status, 'result': None,
                'owner': task.owner, 'message': None, 'expires_at': format_time(task.expires_at),
                'created_at': format_time(task.created_at),
                'updated_at': format_time(task.updated_at),
                'deleted': False, 'deleted_at': None})

    def metadef(self, ctx: Context, event_type: str,
                payload: Callable[[], dict[str, object]]) -> None:
        """Emit an event about metadata definitions."""
        if self._notifiers.is_enabled(event_type):
            self._emit(ctx, event_type, payload())

    def upload_failed(self, ctx: Context, image: Image, reason: str) -> None:
        """Emit an event about an upload that has failed; its payload is a text, as in Glance."""
        if self._notifiers.is_enabled('image.upload'):
            self._emit(ctx, 'image.upload', 'Failed to upload image data for image '
                       f'{image.id}: {reason}', priority='ERROR')

    def sent(self, ctx: Context, image: Image, *, sent: int, expected: int) -> None:
        """Emit an event about a download; with priority ERROR if it was incomplete."""
        if self._notifiers.is_enabled('image.send'):
            self._emit(ctx, 'image.send', {
                'bytes_sent': sent, 'image_id': image.id, 'owner_id': image.owner,
                'receiver_tenant_id': ctx.project, 'receiver_user_id': ctx.user,
            }, priority='INFO' if sent == expected else 'ERROR')

    def _emit(self, ctx: Context, event_type: str, payload: dict[str, object] | str,
              priority: str = 'INFO') -> None:
        self._notifiers.notify(contract.Event(event_type, payload, ctx, self._host.now(), priority,
                                      self._publisher))


def image_payload(image: Image) -> dict[str, object]:
    """Return the payload of an event about an image."""
    return {
        'id': image.id, 'name': image.name, 'status': image.status,
        'created_at': format_time(image.created_at), 'updated_at': format_time(image.updated_at),
        'min_disk': image.min_disk, 'min_ram': image.min_ram, 'protected': image.protected,
        'checksum': image.checksum, 'owner': image.owner, 'disk_format': image.disk_format,
        'container_format': image.container_format, 'size': image.size,
        'virtual_size': image.virtual_size, 'is_public': image.visibility == 'public',
        'visibility': image.visibility, 'properties': _shown(image.properties),
        'tags': list(image.tags), 'deleted': image.deleted_at is not None,
        'deleted_at': format_time(image.deleted_at),
    }


def _shown(custom: Mapping[str, str]) -> dict[str, str]:
    """Return custom properties without those that are never shown, which may have secrets."""
    return {name: value for name, value in custom.items() if name not in properties.HIDDEN}


def format_time(moment: datetime.datetime | None) -> str | None:
    """Return a time as payloads have it."""
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ') if moment else None
