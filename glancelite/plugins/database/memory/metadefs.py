"""Metadata definitions in memory."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import metadef
from glancelite.contract.metadef import (
    Association,
    Definition,
    Item,
    Namespace,
    NamespaceQuery,
    ResourceType,
)
from glancelite.contract.query import compare
from glancelite.contract.values import Page
from glancelite.plugins.database.memory.records import Records

_UPDATABLE = frozenset(field.name for field in dataclasses.fields(Namespace)) - {
    'id', 'created_at', 'updated_at'}
#: fields that are JSON-ready
_JSON = ('properties', 'schema')


class MemoryMetadefs(contract.MetadefRecords):
    """A write replaces a definition as a whole, so it is complete or has no effect."""

    def __init__(self, records: Records, host: contract.Host):
        self._records = records
        self._host = host

    # --- namespaces

    def add(self, definition: Definition, *, seeded: bool = False) -> Definition:
        metadef.check_definition(definition)
        name = definition.namespace.namespace
        with self._records.lock:
            if name in self._records.definitions:
                raise _namespace_taken(name)
            return self._add_locked(definition, seeded)

    def get(self, namespace: str) -> Namespace:
        with self._records.lock:
            return self._present_locked(namespace).namespace

    def read(self, namespace: str, kinds: Collection[str]) -> Definition:
        with self._records.lock:
            present = self._present_locked(namespace)
        return copy.deepcopy(Definition(present.namespace, **{
            kind: getattr(present, kind) for kind in kinds}))

    def list(self, query: NamespaceQuery) -> Page[Definition]:
        with self._records.lock:
            found = [definition for definition in self._records.definitions.values()
                     if metadef.namespace_matches(query, definition)]

        def order(one: Definition, other: Definition) -> int:
            return compare(query, one.namespace, other.namespace)

        found.sort(key=functools.cmp_to_key(order))
        if query.after is not None:
            found = [each for each in found if compare(query, query.after, each.namespace) < 0]
        page = tuple(Definition(each.namespace, resource_types=each.resource_types)
                     for each in found[:query.limit])
        return Page(page, more=len(page) < len(found))

    def update(self, namespace: Namespace, changes: Mapping[str, object]) -> Namespace:
        unknown = changes.keys() - _UPDATABLE
        if unknown:
            raise TypeError(f'update() cannot change {", ".join(sorted(unknown))}')
        name = namespace.namespace
        new = str(changes.get('namespace', name))
        if new != name:
            metadef.check_name(new)
        with self._records.lock:
            present = self._present_locked(name)
            if new != name and new in self._records.definitions:
                raise _namespace_taken(new)
            written = self._changed(present.namespace, dict(changes))
            del self._records.definitions[name]
            self._records.definitions[new] = dataclasses.replace(present, namespace=written)
        return written

    def remove(self, namespace: str) -> Namespace:
        with self._records.lock:
            present = self._unprotected_locked(namespace)
            del self._records.definitions[namespace]
        return present.namespace

    def replace(self, definition: Definition, *, seeded: bool = False) -> Definition:
        metadef.check_definition(definition)
        with self._records.lock:
            present = self._records.definitions.get(definition.namespace.namespace)
            return self._add_locked(definition, seeded, present.namespace.id if present else 0)

    def merge(self, definition: Definition, *, prefer_new: bool,
              seeded: bool = False) -> Definition:
        metadef.check_definition(definition)
        name = definition.namespace.namespace
        with self._records.lock:
            present = self._records.definitions.get(name)
            if present is None:
                return self._add_locked(definition, seeded)
            if prefer_new:
                present = dataclasses.replace(present, namespace=self._changed(
                    present.namespace, {field: getattr(definition.namespace, field)
                                        for field in _UPDATABLE}))
                self._touch_types_locked(definition.resource_types)
            for kind, items in metadef.items_of(definition).items():
                merged = {item.name: item for item in getattr(present, kind)}
                for item in items:
                    if item.name not in merged:
                        merged[item.name] = self._new_item_locked(item, seeded)
                    elif prefer_new:
                        merged[item.name] = self._changed_item_locked(merged[item.name], item)
                present = _with_items(present, kind, merged.values())
            self._records.definitions[name] = present
        return copy.deepcopy(present)

    def _add_locked(self, definition: Definition, seeded: bool, number: int = 0) -> Definition:
        """
        :param number: the id of the namespace that it replaces.
        """
        added = Definition(dataclasses.replace(
            definition.namespace, owner=definition.namespace.owner or None,
            id=number or next(self._records.numbers), **self._times(seeded)))
        for kind, items in metadef.items_of(definition).items():
            added = _with_items(added, kind, [
                self._new_item_locked(item, seeded) for item in items])
        self._records.definitions[added.namespace.namespace] = added
        return copy.deepcopy(added)

    # --- items

    def items(self, namespace: str, kind: str) -> Sequence[Item]:
        with self._records.lock:
            return copy.deepcopy(self._items_locked(namespace, kind))

    def item(self, namespace: str, kind: str, name: str) -> Item:
        with self._records.lock:
            return copy.deepcopy(_find(self._items_locked(namespace, kind), kind, name))

    def add_items(self, namespace: str, items: Sequence[Item], *,
                  replace: bool = False) -> Sequence[Item]:
        metadef.check_items(items)
        kind = items[0].KIND
        with self._records.lock:
            present = self._present_locked(namespace)
            kept = () if replace else self._items_locked(namespace, kind)
            for item in items:
                _check_free(kept, item)
            added = [self._new_item_locked(item, False) for item in items]
            self._records.definitions[namespace] = _with_items(present, kind, [*kept, *added])
        return copy.deepcopy(added)

    def update_item(self, namespace: str, name: str, item: Item) -> Item:
        metadef.check_items([item])
        kind = item.KIND
        with self._records.lock:
            present = self._present_locked(namespace)
            items = self._items_locked(namespace, kind)
            old = _find(items, kind, name)
            others = [other for other in items if other is not old]
            _check_free(others, item)
            written = self._changed_item_locked(old, item)
            self._records.definitions[namespace] = _with_items(present, kind, [*others, written])
        return copy.deepcopy(written)

    def remove_item(self, namespace: str, kind: str, name: str) -> Item:
        with self._records.lock:
            items = self._items_locked(namespace, kind)
            removed = _find(items, kind, name)
            present = self._unprotected_locked(namespace)
            self._records.definitions[namespace] = _with_items(present, kind, [
                item for item in items if item is not removed])
        return removed

    def remove_items(self, namespace: str, kind: str) -> int:
        with self._records.lock:
            present = self._unprotected_locked(namespace)
            removed = len(self._items_locked(namespace, kind))
            self._records.definitions[namespace] = _with_items(present, kind, ())
        return removed

    # --- types of resources

    def resource_types(self) -> Sequence[ResourceType]:
        with self._records.lock:
            return [found for _, found in self._records.resource_types.values()]

    def clear(self) -> None:
        with self._records.lock:
            self._records.definitions.clear()
            self._records.resource_types.clear()

    def _touch_types_locked(self, items: Sequence[Item]) -> None:
        known = self._records.resource_types
        for item in items:
            if item.name in known:
                number, found = known[item.name]
                known[item.name] = number, dataclasses.replace(
                    found, updated_at=self._host.now())

    def _type_id_locked(self, name: str, seeded: bool) -> int:
        """Return the id of a type of resources, which is known from now on."""
        known = self._records.resource_types
        if name not in known:
            known[name] = next(self._records.numbers), ResourceType(
                name, protected=seeded, **self._times(seeded))
        return known[name][0]

    # --- helpers

    def _present_locked(self, namespace: str) -> Definition:
        present = self._records.definitions.get(namespace)
        if present is None:
            raise contract.NotFound(f'Namespace {namespace} not found')
        return present

    def _unprotected_locked(self, namespace: str) -> Definition:
        present = self._present_locked(namespace)
        if present.namespace.protected:
            raise contract.Forbidden(f'Namespace {namespace} is protected')
        return present

    def _items_locked(self, namespace: str, kind: str) -> Sequence[Item]:
        items: Sequence[Item] = getattr(self._present_locked(namespace), kind)
        return items

    def _times(self, seeded: bool) -> dict[str, Any]:
        now = self._host.now()
        return {'created_at': now, 'updated_at': None if seeded else now}

    def _new_item_locked(self, item: Item, seeded: bool) -> Item:
        number = (self._type_id_locked(item.name, seeded) if isinstance(item, Association)
                  else next(self._records.numbers))
        return _json_ready(dataclasses.replace(item, id=number, **self._times(seeded)))

    def _changed(self, namespace: Namespace, changes: dict[str, Any]) -> Namespace:
        changed = dataclasses.replace(namespace, **changes, updated_at=self._host.now())
        return dataclasses.replace(changed, owner=changed.owner or None)

    def _changed_item_locked(self, old: Item, new: Item) -> Item:
        number = self._type_id_locked(new.name, False) if isinstance(new, Association) else old.id
        return _json_ready(dataclasses.replace(
            new, id=number, created_at=old.created_at, updated_at=self._host.now()))


def _with_items(definition: Definition, kind: str, items: Collection[Item]) -> Definition:
    return dataclasses.replace(definition, **{  # type: ignore[arg-type]
        kind: tuple(sorted(items, key=lambda item: item.id))})


def _json_ready(item: Item) -> Item:
    """Return ``item`` with values that JSON can hold as JSON returns them."""
    return dataclasses.replace(item, **{
        name: json.loads(json.dumps(getattr(item, name), default=dict))
        for name in _JSON if hasattr(item, name)})


def _find(items: Sequence[Item], kind: str, name: str) -> Item:
    for item in items:
        if item.name == name:
            return item
    raise contract.NotFound(f'{kind}: no {name}')


def _check_free(items: Sequence[Item], new: Item) -> None:
    if any(item.name == new.name for item in items):
        raise contract.Conflict(f'{new.KIND}: {new.name} already exists')


def _namespace_taken(name: str) -> contract.Conflict:
    return contract.Conflict(f'Namespace {name} already exists')
