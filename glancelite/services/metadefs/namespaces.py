"""Use cases of namespaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.metadef import (
    ITEM_KINDS,
    Definition,
    Namespace,
    NamespaceQuery,
    items_of,
)
from glancelite.services.layers import Layers
from glancelite.services.metadefs import payloads
from glancelite.services.metadefs.access import WORDS, Access, check_unprotected, existing

#: kind of items -> the rule for creating them with their namespace, and the group of the event
_CREATION = {
    'resource_types': ('add_metadef_resource_type_association', 'metadef_resource_type'),
    'objects': ('add_metadef_object', 'metadef_object'),
    'tags': ('add_metadef_tag', 'metadef_tag'),
    'properties': ('add_metadef_property', 'metadef_property'),
}
#: fewest namespaces that are read again if the policy has hidden some of a page
REFILL = 100


class Namespaces:

    def __init__(self, layers: Layers):
        self._layers = layers
        self._access = Access(layers)

    def check_caller(self, ctx: Context, action: str, namespace: str | None = None) -> None:
        """Refuse a caller who may do this with no namespace, before the body is read.

        :param namespace: the namespace of the request; None if it is not created yet.
        :raises NotFound: the caller sees no such namespace, or none at all.
        :raises Forbidden: the caller may not do this.
        """
        self._access.check_caller(ctx, action, namespace)

    def list(self, ctx: Context, query: NamespaceQuery,
             marker: str | None = None) -> Sequence[Definition]:
        """Return a page of namespaces, with the resource types they are associated with.

        A page is full if there are enough namespaces, however many the policy hides.

        :param marker: the last namespace of the previous page.
        :raises NotFound: the caller may see no namespaces, or there is no such marker.
        :raises Forbidden: the caller may not list them, or may not see the marker.
        """
        self._access.enforce(ctx, 'get_metadef_namespaces')
        self._access.enforce(ctx, 'list_metadef_resource_types')
        if marker is not None:
            query = dataclasses.replace(query, after=self._marker(ctx, marker))
        limit = query.limit
        found: list[Definition] = []
        while limit is None or len(found) < limit:
            page = self._access.records.list(query)
            found += self._allowed(ctx, page.items)
            if not page.more or not page.items:
                break
            query = dataclasses.replace(query, after=page.items[-1].namespace,
                                        limit=max(limit or 0, REFILL))
        return found[:limit]

    def _allowed(self, ctx: Context, page: Sequence[Definition]) -> Iterator[Definition]:
        allowed = self._layers.policy.filter(
            ctx, 'get_metadef_namespace', [each.namespace for each in page])
        names = {each.namespace for each in allowed}
        return (each for each in page if each.namespace.namespace in names)

    def _marker(self, ctx: Context, name: str) -> Namespace:
        with existing(name):
            namespace = self._access.records.get(name)
        if not namespace.is_visible_to(ctx.viewer):
            raise contract.Forbidden(f'Forbidding request, metadata definition namespace={name} '
                                     'is not visible.')
        return namespace

    def get(self, ctx: Context, name: str, resource_type: str | None = None) -> Definition:
        """Return a namespace with all its items.

        :param resource_type: names of properties get the prefix for this type of resources,
            if the namespace is associated with it.
        :raises NotFound: the caller sees no such namespace.
        :raises Forbidden: the caller may not see items of some kind.
        """
        definition = self._access.definition(
            ctx, name, ITEM_KINDS, 'get_metadef_namespace', 'list_metadef_resource_types',
            'get_metadef_objects', 'get_metadef_properties', 'get_metadef_tags')
        for association in definition.resource_types:
            if association.name == resource_type and association.prefix:
                return _prefixed(definition, association.prefix)
        return definition

    def create(self, ctx: Context, definition: Definition) -> Definition:
        """Create a namespace with items, completely or not at all.

        :param definition: if it has no owner, this is the project of the caller.
        :raises NotFound: the caller may see no namespaces.
        :raises Forbidden: the caller may not do this.
        :raises Invalid: there is no owner.
        :raises Conflict: the name is taken, or there are two items with the same name.
        """
        self._access.enforce(ctx, 'add_metadef_namespace')
        for kind, (action, _) in _CREATION.items():
            if items_of(definition)[kind]:
                self._access.enforce(ctx, action)
        for kind in _CREATION:
            _check_unique(definition, kind)
        name = definition.namespace.namespace
        definition = dataclasses.replace(definition, namespace=_owned(ctx, definition.namespace))
        try:
            created = self._access.records.add(definition)
        except contract.Conflict:
            raise _taken(name) from None
        self._emit(ctx, 'create', created.namespace)
        for kind, (_, group) in _CREATION.items():
            for item in items_of(created)[kind]:
                self._layers.events.metadef(
                    ctx, f'{group}.create',
                    lambda item=item: payloads.item(name, item))   # type: ignore[misc]
        return created

    def update(self, ctx: Context, name: str, new: Namespace) -> Namespace:
        """Give all attributes of a namespace new values, also its name.

        :param new: if it has no owner, this is the project of the caller.
        :raises NotFound: the caller sees no such namespace.
        :raises Forbidden: the caller may not do this.
        :raises Invalid: there is no owner.
        :raises Conflict: the new name is taken.
        """
        present = self._access.namespace(ctx, name, 'modify_metadef_namespace')
        new = _owned(ctx, new)
        changes = {field: getattr(new, field) for field in (
            'namespace', 'display_name', 'description', 'visibility', 'protected', 'owner')}
        try:
            with existing(name):
                changed = self._access.records.update(present, changes)
        except contract.Conflict:
            raise _taken(new.namespace) from None
        self._emit(ctx, 'update', changed, namespace_old=name)
        return changed

    def delete(self, ctx: Context, name: str) -> None:
        """Delete a namespace and its items.

        :raises NotFound: the caller sees no such namespace.
        :raises Forbidden: the caller may not do this, or the namespace is protected.
        """
        namespace = self._access.namespace(ctx, name, 'delete_metadef_namespace')
        check_unprotected(namespace, f'namespace={name}')
        with existing(name):
            removed = self._access.records.remove(name)
        self._emit(ctx, 'delete', removed, **payloads.deletion(self._layers.host.now()))

    def _emit(self, ctx: Context, event: str, namespace: Namespace, **more: object) -> None:
        self._layers.events.metadef(ctx, f'metadef_namespace.{event}', lambda: {
            **payloads.namespace(namespace), **more})


def _check_unique(definition: Definition, kind: str) -> None:
    names = set()
    for item in items_of(definition)[kind]:
        if item.name in names:
            raise contract.Conflict(
                f'A metadata definition {WORDS[kind]} with name={item.name} already exists in '
                f'namespace={definition.namespace.namespace}.')
        names.add(item.name)


def _owned(ctx: Context, namespace: Namespace) -> Namespace:
    owner = namespace.owner or ctx.project
    if not owner:
        raise contract.Invalid("The namespace must have an 'owner', since the caller has no "
                               'project.')
    return dataclasses.replace(namespace, owner=owner)


def _taken(name: str) -> contract.Conflict:
    return contract.Conflict(f'The metadata definition namespace={name} already exists.')


def _prefixed(definition: Definition, prefix: str) -> Definition:
    """Return the definition as resources have it that need a prefix."""
    return dataclasses.replace(
        definition,
        properties=[dataclasses.replace(each, name=prefix + each.name)
                    for each in definition.properties],
        objects=[dataclasses.replace(
            each, required=tuple(prefix + name for name in each.required),
            properties={prefix + name: schema for name, schema in each.properties.items()})
            for each in definition.objects])
