"""Use cases of the items of namespaces, and those of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar, cast

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.metadef import DefinedObject, Item, Namespace
from glancelite.services.layers import Layers
from glancelite.services.metadefs import payloads
from glancelite.services.metadefs.access import (
    WORDS,
    Access,
    check_unprotected,
    existing,
    no_item,
    writing,
)

ItemT = TypeVar('ItemT', bound=Item)


class Items(Generic[ItemT]):
    """What the items of all kinds have in common.

    Every method raises ``NotFound`` if the caller sees no such namespace, and ``Forbidden`` if
    the policy refuses the action.
    """

    KIND: ClassVar[str]
    #: first part of the types of events
    EVENTS: ClassVar[str]
    #: the rules for adding, and for removing, an item
    ADD: ClassVar[str]
    REMOVE: ClassVar[str]

    def __init__(self, layers: Layers):
        self._layers = layers
        self._access = Access(layers)

    def add(self, ctx: Context, namespace: str, item: ItemT) -> ItemT:
        """Add an item.

        :raises Conflict: the name is taken.
        """
        self._access.namespace(ctx, namespace, self.ADD)
        with writing(namespace, item):
            added, = self._access.records.add_items(namespace, [item])
        self._emit(ctx, 'create', namespace, added)
        return cast(ItemT, added)

    def remove(self, ctx: Context, namespace: str, name: str) -> None:
        """Remove an item.

        :raises NotFound: there is no such item, too.
        :raises Forbidden: the namespace is protected, too.
        """
        found = self._access.namespace(ctx, namespace, self.REMOVE)
        if found.protected:
            self._find(namespace, name)     # what does not exist is not protected
            check_unprotected(found, f'{WORDS[self.KIND]}={name}')
        try:
            removed = self._access.records.remove_item(namespace, self.KIND, name)
        except contract.NotFound:
            raise self._not_found(namespace, name) from None
        self._emit(ctx, 'delete', namespace, removed, **payloads.deletion(self._layers.host.now()))

    def _find(self, namespace: str, name: str) -> ItemT:
        try:
            return cast(ItemT, self._access.records.item(namespace, self.KIND, name))
        except contract.NotFound:
            raise self._not_found(namespace, name) from None

    def _not_found(self, namespace: str, name: str) -> contract.NotFound:
        return no_item(namespace, self.KIND, name)

    def _emit(self, ctx: Context, event: str, namespace: str, item: Item,
              **more: object) -> None:
        self._layers.events.metadef(ctx, f'{self.EVENTS}.{event}', lambda: {
            **payloads.item(namespace, item), **more})


class NamedItems(Items[ItemT]):
    """Items that have URLs of their own: objects, properties, tags."""

    REPLACE: ClassVar[str]
    #: the rules for removing all
    CLEAR: ClassVar[tuple[str, ...]] = ('delete_metadef_namespace',)

    def replace(self, ctx: Context, namespace: str, name: str, item: ItemT) -> ItemT:
        """Put another item in the place of that with the name ``name``.

        :raises NotFound: there is no such item, too.
        :raises Conflict: the new name is taken.
        """
        self._access.namespace(ctx, namespace, self.REPLACE)
        with writing(namespace, item, name):
            changed = self._access.records.update_item(namespace, name, item)
        self._emit(ctx, 'update', namespace, changed, name_old=name)
        return cast(ItemT, changed)

    def clear(self, ctx: Context, namespace: str) -> None:
        """Remove all items.

        :raises Forbidden: the namespace is protected, too.
        """
        found = self._access.namespace(ctx, namespace, *self.CLEAR)
        check_unprotected(found, f'namespace={namespace}')
        with existing(namespace):
            self._access.records.remove_items(namespace, self.KIND)
        self._emit_cleared(ctx, found)

    def _emit_cleared(self, ctx: Context, namespace: Namespace) -> None:
        self._layers.events.metadef(ctx, f'metadef_namespace.delete_{self.KIND}',
                                    lambda: payloads.namespace(namespace))


class Objects(NamedItems[DefinedObject]):

    KIND = 'objects'
    EVENTS = 'metadef_object'
    ADD = 'add_metadef_object'
    REPLACE = 'modify_metadef_object'
    REMOVE = 'delete_metadef_object'

    def list(self, ctx: Context, namespace: str) -> Sequence[DefinedObject]:
        """Return the objects of a namespace, in the order of their creation."""
        definition = self._access.definition(ctx, namespace, ['objects'], 'get_metadef_objects')
        if self._layers.policy.allows(ctx, 'get_metadef_object', definition.namespace):
            return definition.objects
        return ()

    def get(self, ctx: Context, namespace: str, name: str) -> DefinedObject:
        """Return one object.

        :raises NotFound: there is no such object, too.
        """
        self._access.namespace(ctx, namespace, 'get_metadef_object')
        return self._find(namespace, name)
