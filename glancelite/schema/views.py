"""Images, members and locations as JSON, with the attributes in the order that clients know."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from glancelite.contract.context import Context
from glancelite.contract.values import Image, Location, Member
from glancelite.domain.properties import HIDDEN
from glancelite.schema.image import FIELDS

#: image, caller -> its locations as they are shown
LocationsOf = Callable[[Image, Context | None], Sequence[Location]]

#: times as ``2026-01-02T03:04:05Z``
_TIMES = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_OMIT_MICROSECONDS
_compact = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode

# A custom property with the name of an attribute can only come from an old
# database; the attribute takes precedence.
_NOT_CUSTOM = HIDDEN | {field.name for field in FIELDS}


class ImageView:
    """Images as this service shows them."""

    def __init__(self, *, show_direct_url: bool = False, show_locations: bool = False,
                 show_stores: bool = False, locations_of: LocationsOf | None = None):
        """
        :param show_stores: list the stores that hold the image; only if the service has
            several.
        :param locations_of: the locations of an image as they are shown, in the order in
            which a client should try them; by default the active ones, as recorded.
        """
        self._show_direct_url = show_direct_url
        self._show_locations = show_locations
        self._show_stores = show_stores
        self._locations_of = locations_of or (lambda image, ctx: image.active_locations)

    @property
    def shows_locations(self) -> bool:
        """Whether the JSON depends on the caller's right to see locations."""
        return self._show_direct_url or self._show_locations

    def dumps(self, image: Image, *, may_see_locations: bool = True,
              ctx: Context | None = None) -> bytes:
        """Return one image.

        :param ctx: the caller.
        """
        return orjson.dumps(self._shown(image, may_see_locations, ctx), option=_TIMES)

    def page(self, images: Iterable[Image], *, first: str, following: str | None = None,
             may_see_locations_of: Collection[str] | None = None,
             ctx: Context | None = None) -> bytes:
        """Return a page of a listing.

        :param first: path and query of the first page.
        :param following: path and query of the next page; None if there is none.
        :param may_see_locations_of: ids of the images whose locations the caller may see;
            None for all.
        """
        shown = self._shown
        if may_see_locations_of is None or not self.shows_locations:
            items = [shown(image, True, ctx) for image in images]
        else:
            items = [shown(image, image.id in may_see_locations_of, ctx)
                     for image in images]
        page = {'images': items, 'first': first, 'schema': '/v2/schemas/images'}
        if following:
            page['next'] = following
        return orjson.dumps(page, option=_TIMES)

    def _shown(self, image: Image, may_see_locations: bool,
               ctx: Context | None) -> dict[str, Any]:
        where: dict[str, Any] = {}
        stores: dict[str, str] = {}
        if image.status == 'deactivated' and not (ctx is not None and ctx.is_admin):
            # otherwise clients with access to the backend could still read the data
            if self._show_locations:
                where['locations'] = []
        elif image.locations or self._show_locations:
            where, stores = self._shown_locations(image, may_see_locations, ctx)
        path = f'/v2/images/{image.id}'
        return {
            **(_custom(image.properties) if image.properties else {}),
            'name': image.name,
            'disk_format': image.disk_format,
            'container_format': image.container_format,
            'visibility': image.visibility,
            'size': image.size,
            'virtual_size': image.virtual_size,
            'status': image.status,
            'checksum': image.checksum,
            'protected': image.protected,
            'min_ram': image.min_ram,
            'min_disk': image.min_disk,
            'owner': image.owner,
            'os_hidden': image.os_hidden,
            'os_hash_algo': image.os_hash_algo,
            'os_hash_value': image.os_hash_value,
            'id': image.id,
            'created_at': image.created_at,
            'updated_at': image.updated_at,
            **where,
            'tags': image.tags,
            'self': path,
            'file': f'{path}/file',
            'schema': '/v2/schemas/image',
            **stores,
        }

    def _shown_locations(self, image: Image, may_see_locations: bool, ctx: Context | None,
                         ) -> tuple[dict[str, Any], dict[str, str]]:
        """The attributes that come from the locations, in their two positions."""
        locations = self._locations_of(image, ctx)
        where: dict[str, Any] = {}
        if may_see_locations and self._show_locations:
            where['locations'] = orjson.Fragment(_locations(locations))
        if may_see_locations and self._show_direct_url and locations:
            where['direct_url'] = locations[0].url
        names = [location.store for location in locations if location.store]
        return where, {'stores': ','.join(names)} if self._show_stores and names else {}


def member(record: Member) -> bytes:
    """Return one member of an image."""
    return orjson.dumps(_member(record), option=_TIMES)


def members(records: Iterable[Member]) -> bytes:
    """Return the members of an image."""
    return orjson.dumps({'members': [_member(record) for record in records],
                         'schema': '/v2/schemas/members'}, option=_TIMES)


def locations(records: Iterable[Location]) -> bytes:
    """Return the locations of an image: a list without an object around it."""
    return _locations(records).encode()


def _locations(records: Iterable[Location]) -> str:
    # by the json module: orjson rejects integers beyond 64 bits and deep nesting, and
    # users may have put both into metadata
    return _compact([{'url': record.url, 'metadata': dict(record.metadata)}
                     for record in records])


def _member(record: Member) -> dict[str, Any]:
    return {'member_id': record.member, 'image_id': record.image_id, 'status': record.status,
            'created_at': record.created_at, 'updated_at': record.updated_at,
            'schema': '/v2/schemas/member'}


def _custom(properties: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value or '' for name, value in properties.items() if name not in _NOT_CUSTOM}
