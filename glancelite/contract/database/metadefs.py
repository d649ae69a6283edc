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
    Ids grow in the order of additions; those of associations are the ids of their types.

    Methods that write raise ``Conflict`` if a name is taken, and ``NotFound`` if the namespace or
    the item does not exist; the text names it, such as ``Namespace X not found`` or ``objects: no
    X``.  They raise ``Invalid`` if a name is too long; ``metadef.check_items`` checks this.  They
    do not look at ``protected``, except where this is said.

    ``updated_at`` is the time of the last change of the namespace or item itself.  It is
    ``created_at`` before the first change, or None with ``seeded``: the definition is from a
    file.  Resource types that are new then are ``protected``.
    """

    @abc.abstractmethod
    def add(self, definition: Definition, *, seeded: bool = False) -> Definition:
        """Add a namespace with all its items, or nothing.

        :returns: the definition as recorded, with ids and times.
        :raises Conflict: the name of the namespace is taken, or of two items of a kind.
        """

    @abc.abstractmethod
    def get(self, namespace: str) -> Namespace:
        """Return a namespace."""

    @abc.abstractmethod
    def read(self, namespace: str, kinds: Collection[str]) -> Definition:
        """Return a namespace with its items of some kinds, as at one moment.

        The other kinds are empty.
        """

    @abc.abstractmethod
    def list(self, query: NamespaceQuery) -> Page[Definition]:
        """Return one page of namespaces, with their ``resource_types``.

        The listing consists of those that ``metadef.namespace_matches`` accepts, in the order
        of ``compare``; see ``ImageRecords.list``.
        """

    @abc.abstractmethod
    def update(self, namespace: Namespace, changes: Mapping[str, object]) -> Namespace:
        """Change a namespace, whatever others have changed since it was read.

        The namespace is that with the name ``namespace.namespace``.

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

        Both at once: readers see one or the other.  ``protected`` does not matter.  Times
        are as after ``add``; only the ``id`` of the namespace stays.
        """

    @abc.abstractmethod
    def merge(self, definition: Definition, *, prefer_new: bool,
              seeded: bool = False) -> Definition:
        """Add what is missing of a definition to the namespace of its name, all or nothing.

        Items that it does not name stay.

        :param prefer_new: also change the namespace, the items and the resource types that
            exist already; of a type, that is ``updated_at`` only.
        :returns: the definition as it is then, with all items.
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
        :returns: the items as recorded, in the order of ``items``.
        """

    @abc.abstractmethod
    def update_item(self, namespace: str, name: str, item: Item) -> Item:
        """Put an item in the place of that with the name ``name`` and the same kind.

        :returns: the item as recorded, with the ``created_at`` of the other, and its ``id``
            unless it is an association.
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
