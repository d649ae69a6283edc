"""Metadata definitions: namespaces of the properties that resources of a cloud may have.

A namespace has items of four kinds.  Each item has a name, which is unique within its namespace
and kind.  Values never change.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from glancelite.contract.errors import Conflict, Invalid
from glancelite.contract.query import Viewer
from glancelite.contract.values import EMPTY

#: most characters of the name of a namespace or an item
NAME_LENGTH = 80
NAMESPACE_VISIBILITIES = ('public', 'private')
NAMESPACE_SORT_KEYS = ('namespace', 'display_name', 'description', 'visibility', 'protected',
                       'owner', 'created_at', 'updated_at', 'id')
TAG_SORT_KEYS = ('name', 'created_at', 'updated_at', 'id')


@dataclasses.dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace without its items.

    ``id`` is the number under which the database knows it; 0 before it is recorded.  It stays
    when the namespace gets another name, and is used only for the order of listings.  An
    ``owner`` of '' is none, and is recorded as None.
    """

    namespace: str
    display_name: str | None = None
    description: str | None = None
    visibility: str = 'private'
    protected: bool = False
    owner: str | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    id: int = 0

    def is_visible_to(self, viewer: Viewer) -> bool:
        """Return whether the viewer may see the namespace and its items."""
        return (viewer.is_admin or not self.owner or self.visibility == 'public'
                or (viewer.project is not None and self.owner == viewer.project))


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """An item of a namespace; ``id`` is as that of ``Namespace``.

    The ``id`` of an association is that of its type of resources.
    """

    #: the kind of the item, also the word in the API
    KIND: ClassVar[str]

    name: str
    created_at: datetime.datetime | None = dataclasses.field(default=None, kw_only=True)
    updated_at: datetime.datetime | None = dataclasses.field(default=None, kw_only=True)
    id: int = dataclasses.field(default=0, kw_only=True)


@dataclasses.dataclass(frozen=True, slots=True)
class DefinedObject(Item):
    """A group of properties.

    ``properties`` maps the name of a property to its schema, which is JSON-ready.
    """

    KIND: ClassVar[str] = 'objects'

    description: str | None = None
    required: tuple[str, ...] = ()
    properties: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=lambda: EMPTY)


@dataclasses.dataclass(frozen=True, slots=True)
class DefinedProperty(Item):
    """A property; ``schema`` is JSON-ready, and has ``name`` only if it was given there."""

    KIND: ClassVar[str] = 'properties'

    schema: Mapping[str, Any] = dataclasses.field(default_factory=lambda: EMPTY)


@dataclasses.dataclass(frozen=True, slots=True)
class DefinedTag(Item):
    """A tag."""

    KIND: ClassVar[str] = 'tags'


@dataclasses.dataclass(frozen=True, slots=True)
class Association(Item):
    """Resources of the type ``name`` may have what the namespace defines.

    Properties have ``prefix`` before their names then.
    """

    KIND: ClassVar[str] = 'resource_types'

    prefix: str | None = None
    properties_target: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceType:
    """A type of resources that a namespace was associated with, now or before."""

    name: str
    protected: bool = False
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None


#: kind -> class of its items, in the order in which a new namespace gets them
ITEM_KINDS: Mapping[str, type[Item]] = {
    kind.KIND: kind for kind in (Association, DefinedObject, DefinedTag, DefinedProperty)}


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """A namespace with items, in the order of their ``id``."""

    namespace: Namespace
    resource_types: Sequence[Association] = ()
    objects: Sequence[DefinedObject] = ()
    properties: Sequence[DefinedProperty] = ()
    tags: Sequence[DefinedTag] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NamespaceQuery:
    """A page of namespaces.

    :param viewer: the project that lists them.
    :param visibility: the one that they must have; None for any.
    :param resource_types: they must be associated with one of these types; None for any.
    :param sort: ``(key, 'asc' | 'desc')`` pairs, keys of ``NAMESPACE_SORT_KEYS``, complete with
        the tie-breaker ``id``.  Order is as in ``ImageQuery``.
    :param after: the last namespace of the previous page.
    :param limit: most namespaces on the page; None for all.
    """

    viewer: Viewer
    visibility: str | None = None
    resource_types: frozenset[str] | None = None
    sort: tuple[tuple[str, str], ...] = (('created_at', 'desc'), ('id', 'desc'))
    after: Namespace | None = None
    limit: int | None = None


def namespace_matches(query: NamespaceQuery, definition: Definition) -> bool:
    """Return whether a namespace is in the listing, on any page.

    An administrator sees all; others see public ones and those of their project.
    """
    namespace, viewer = definition.namespace, query.viewer
    return ((viewer.is_admin or namespace.visibility == 'public'
             or (viewer.project is not None and namespace.owner == viewer.project))
            and query.visibility in (None, namespace.visibility)
            and (query.resource_types is None or any(
                each.name in query.resource_types for each in definition.resource_types)))


def items_of(definition: Definition) -> dict[str, Sequence[Item]]:
    """Return kind -> items of a definition, in the order of ``ITEM_KINDS``."""
    return {kind: getattr(definition, kind) for kind in ITEM_KINDS}


def check_definition(definition: Definition) -> None:
    """Check the names of a new definition; see ``check_items``."""
    check_name(definition.namespace.namespace)
    for items in items_of(definition).values():
        check_items(items)


def check_items(items: Iterable[Item]) -> None:
    """Check the names of new items, which are of one kind.

    :raises Conflict: two have the same name.
    :raises Invalid: a name is too long.
    """
    names = set[str]()
    for item in items:
        check_name(item.name)
        if item.name in names:
            raise Conflict(f'{item.KIND}: {item.name} is there twice')
        names.add(item.name)


def check_name(name: str) -> None:
    """Raise ``Invalid`` if the name of a namespace or an item is too long."""
    if len(name) > NAME_LENGTH:
        raise Invalid(f'the name {name[:NAME_LENGTH]}… has {len(name)} characters; '
                      f'{NAME_LENGTH} are allowed')
