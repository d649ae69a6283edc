"""Records of metadata definitions."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence

from glancelite.contract.metadef import (
    Definition,
    Item,
    Namespace,
    NamespaceQuery,
    ResourceType,
)
from glancelite.contract.values import Page


class MetadefRecords(abc.ABC):
    """Namespaces, their items, and the types of resources.

    Nothing is kept of what was removed.  ``kind`` is a key of ``metadef.ITEM_KINDS``; items that
    a method gets are of that kind.  An association makes its resource type known, for ever.
    Ids grow in the order of additions.

    Methods that write raise ``Conflict`` if a name is taken, and ``NotFound`` if the namespace or
    the item does not exist; the text names it, such as ``Namespace X not found`` or ``objects: no
    X``.  They do not look at ``protected``, except where this is said.
    """

    @abc.abstractmethod
    def add(self, definition: Definition, *, seeded: bool = False) -> Definition:
        """Add a namespace with all its items, or nothing.

        :param seeded: the definition is from a file: ``updated_at`` is None, otherwise it is
            ``created_at``, and resource types that are new are ``protected``.
        :returns: the definition as recorded, with ids and times.
        :raises Conflict: the name of the namespace is taken, or of two items of a kind.
        """

    @abc.abstractmethod
    def get(self, namespace: str) -> Namespace:
        """Return a namespace."""

    @abc.abstractmethod
    def read(self, namespace: str, kinds: Collection[str]) -> Definition:
        """Return a namespace with its items of some kinds, as at one moment."""

    @abc.abstractmethod
    def list(self, query: NamespaceQuery) -> Page[Definition]:
        """Return one page of namespaces, with their ``resource_types``.

        The listing consists of those that ``metadef.namespace_matches`` accepts.
        """

    @abc.abstractmethod
    def update(self, namespace: Namespace, changes: Mapping[str, object]) -> Namespace:
        """Change a namespace, whatever others have changed since it was read.

        :param changes: field of ``Namespace`` -> new value; not ``id`` and not the times.
        :raises Conflict: the new name is taken.
        """

    @abc.abstractmethod
    def remove(self, namespace: str) -> Namespace:
        """Remove a namespace and its items.

        :returns: the namespace as it was.
        :raises Forbidden: it is ``protected`` now.
        """

    @abc.abstractmethod
    def replace(self, definition: Definition, *, seeded: bool = False) -> Definition:
        """Put a definition in the place of that with the same name, if there is one.

        Both at once: readers see one or the other.  ``protected`` does not matter.
        """

    @abc.abstractmethod
    def merge(self, definition: Definition, *, prefer_new: bool,
              seeded: bool = False) -> Definition:
        """Add what is missing of a definition to the namespace of its name, all or nothing.

        :param prefer_new: also change the namespace and the items that exist already.
        """

    # --- items

    @abc.abstractmethod
    def items(self, namespace: str, kind: str) -> Sequence[Item]:
        """Return the items of a kind, in the order of their ``id``."""

    @abc.abstractmethod
    def item(self, namespace: str, kind: str, name: str) -> Item:
        """Return one item."""

    @abc.abstractmethod
    def add_items(self, namespace: str, items: Sequence[Item], *,
                  replace: bool = False) -> Sequence[Item]:
        """Add items, all or nothing.

        :param items: of one kind; one at least.
        :param replace: remove the items of this kind before.
        """

    @abc.abstractmethod
    def update_item(self, namespace: str, name: str, item: Item) -> Item:
        """Put an item in the place of that with the name ``name`` and the same kind.

        :returns: the item as recorded, with the ``id`` and ``created_at`` of the other.
        """

    @abc.abstractmethod
    def remove_item(self, namespace: str, kind: str, name: str) -> Item:
        """Remove one item.

        :returns: the item as it was.
        :raises Forbidden: the namespace is ``protected`` now.
        """

    @abc.abstractmethod
    def remove_items(self, namespace: str, kind: str) -> int:
        """Remove all items of a kind; return how many.

        :raises Forbidden: the namespace is ``protected`` now.
        """

    # --- types of resources

    @abc.abstractmethod
    def resource_types(self) -> Sequence[ResourceType]:
        """Return all types of resources, in the order of their addition."""

    @abc.abstractmethod
    def clear(self) -> None:
        """Remove everything, the types of resources too."""
