"""Use cases of the tags of namespaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.metadef import DefinedTag
from glancelite.services.metadefs.access import existing
from glancelite.services.metadefs.items import NamedItems


@dataclasses.dataclass(frozen=True, slots=True)
class TagQuery:
    """A page of tags.

    :param sort: a key of ``metadef.TAG_SORT_KEYS``; then come ``created_at`` and ``id``.
    :param direction: ``asc`` or ``desc``, for all keys.
    :param marker: name of the last tag of the previous page.
    """

    sort: str = 'created_at'
    direction: str = 'desc'
    marker: str | None = None
    limit: int | None = None


class Tags(NamedItems[DefinedTag]):

    KIND = 'tags'
    EVENTS = 'metadef_tag'
    ADD = 'add_metadef_tag'
    REPLACE = 'modify_metadef_tag'
    REMOVE = 'delete_metadef_tag'
    CLEAR = ('delete_metadef_namespace', 'delete_metadef_tags')

    def list(self, ctx: Context, namespace: str,
             query: TagQuery | None = None) -> Sequence[DefinedTag]:
        """Return a page of the tags of a namespace.

        :raises NotFound: there is no such marker, too.
        """
        query = query or TagQuery()
        tags = sorted(
            self._access.definition(ctx, namespace, ['tags'], 'get_metadef_tags').tags,
            key=lambda tag: (_comparable(getattr(tag, query.sort)),
                             _comparable(tag.created_at), tag.id),
            reverse=query.direction == 'desc')
        start = 0
        if query.marker is not None:
            names = [tag.name for tag in tags]
            if query.marker not in names:
                raise self._not_found(namespace, query.marker)
            start = names.index(query.marker) + 1
        return tags[start:None if query.limit is None else start + query.limit]

    def get(self, ctx: Context, namespace: str, name: str) -> DefinedTag:
        """Return one tag.

        :raises NotFound: there is no such tag, too.
        """
        self._access.namespace(ctx, namespace, 'get_metadef_tag')
        return self._find(namespace, name)

    def add_all(self, ctx: Context, namespace: str, tags: Sequence[DefinedTag], *,
                append: bool) -> None:
        """Add tags, all or none of them.

        :param tags: if there are none, nothing changes.
        :param append: otherwise, the tags replace those that exist, protected or not.
        :raises Conflict: a name is taken, or there twice.
        """
        self._access.namespace(ctx, namespace, 'add_metadef_tags')
        if not tags:
            return
        try:
            with existing(namespace):
                added = self._access.records.add_items(namespace, tags, replace=not append)
        except contract.Conflict:
            raise contract.Conflict('A metadata definition tag with one of these names already '
                                    f'exists in namespace={namespace}, or a name is given '
                                    'twice.') from None
        for tag in added:
            self._emit(ctx, 'create', namespace, tag)


def _comparable(value: Any) -> tuple[bool, Any]:
    return value is not None, value
