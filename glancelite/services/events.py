"""What is told, and in which words: the payloads of notifications.

Source: Image API contract, notifications.  The event types of each use case
stand in ``contract.EVENTS``.
"""

from __future__ import annotations

import datetime

from glancelite import contract
from glancelite.contract import Context, Image, Member
from glancelite.services.chains import NotifierGroup


class Events:
    """Builds events and hands them on; builds nothing if nobody listens."""

    def __init__(self, fan: NotifierGroup, host: contract.Host, *,
                 publisher: str = 'image.localhost'):
        self._notifiers = fan
        self._host = host
        self._publisher = publisher

    def image(self, ctx: Context, event_type: str, image: Image, **more: object) -> None:
        """Tell of an image; ``more`` is added to its payload."""
        if self._notifiers.listens(event_type):
            self._tell(ctx, event_type, {**image_payload(image), **more})

    def member(self, ctx: Context, event_type: str, member: Member) -> None:
        """Tell of a membership."""
        if self._notifiers.listens(event_type):
            self._tell(ctx, event_type, {
                'image_id': member.image_id, 'member_id': member.member, 'status': member.status,
                'created_at': _time(member.created_at), 'updated_at': _time(member.updated_at),
                'deleted': member.deleted_at is not None, 'deleted_at': _time(member.deleted_at)})

    def failed(self, ctx: Context, event_type: str, text: str) -> None:
        """Tell that something went wrong."""
        if self._notifiers.listens(event_type):
            self._tell(ctx, event_type, text, priority='ERROR')

    def sent(self, ctx: Context, image: Image, *, sent: int, wanted: int) -> None:
        """Tell that bytes went out; with priority ERROR if they were not all."""
        if self._notifiers.listens('image.send'):
            self._tell(ctx, 'image.send', {
                'bytes_sent': sent, 'image_id': image.id, 'owner_id': image.owner,
                'receiver_tenant_id': ctx.project, 'receiver_user_id': ctx.user,
            }, priority='INFO' if sent == wanted else 'ERROR')

    def _tell(self, ctx: Context, event_type: str, payload: dict[str, object] | str,
              priority: str = 'INFO') -> None:
        self._notifiers.notify(contract.Event(event_type, payload, ctx, self._host.now(), priority,
                                      self._publisher))


def image_payload(image: Image) -> dict[str, object]:
    """An image as notifications show it."""
    return {
        'id': image.id, 'name': image.name, 'status': image.status,
        'created_at': _time(image.created_at), 'updated_at': _time(image.updated_at),
        'min_disk': image.min_disk, 'min_ram': image.min_ram, 'protected': image.protected,
        'checksum': image.checksum, 'owner': image.owner, 'disk_format': image.disk_format,
        'container_format': image.container_format, 'size': image.size,
        'virtual_size': image.virtual_size, 'is_public': image.visibility == 'public',
        'visibility': image.visibility, 'properties': dict(image.properties),
        'tags': list(image.tags), 'deleted': image.deleted_at is not None,
        'deleted_at': _time(image.deleted_at),
    }


def _time(moment: datetime.datetime | None) -> str | None:
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ') if moment else None
