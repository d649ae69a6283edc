"""Metadata definitions in SQL.

A transaction that writes locks the row of the namespace first, so the writes to one namespace
come one after the other.  The unique keys of the tables decide about names that are new.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from glancelite import contract
from glancelite.contract import metadef
from glancelite.contract.metadef import (
    ITEM_KINDS,
    Definition,
    Item,
    Namespace,
    NamespaceQuery,
    ResourceType,
)
from glancelite.contract.values import Page
from glancelite.plugins.database.sql import metadef_queries as queries
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.connection import Connection, Statement
from glancelite.plugins.database.sql.engine import ConstraintViolated, Engine
from glancelite.plugins.database.sql.metadef_rows import (
    FIELDS,
    TABLES,
    item_of,
    item_row,
    namespace_of,
    namespace_row,
    resource_type_of,
)
from glancelite.plugins.database.sql.queries import EmptyListing

T = TypeVar('T')
#: parameters of the statements that write
Times: TypeAlias = dict[str, Any]
_ASSOCIATIONS = 'resource_types'
#: how often a write begins again because another one has added the same namespace
_ATTEMPTS = 5


class SQLMetadefs(contract.MetadefRecords):

    def __init__(self, engine: Engine, host: contract.Host):
        self._engine = engine
        self._dialect = engine.dialect
        self._host = host

    # --- reading

    def get(self, namespace: str) -> Namespace:
        if self._is_possible(namespace):
            for row in self._engine.rows(self._statement(queries.namespace),
                                         {'of_namespace': namespace}):
                return namespace_of(row, self._dialect)
        raise _not_found(namespace)

    def read(self, namespace: str, kinds: Collection[str]) -> Definition:
        def read(connection: Connection) -> Definition:
            return self._read(connection, self._find(connection, namespace), kinds)
        return self._snapshot(read)

    def items(self, namespace: str, kind: str) -> Sequence[Item]:
        return metadef.items_of(self.read(namespace, (kind,)))[kind]

    def item(self, namespace: str, kind: str, name: str) -> Item:
        def read(connection: Connection) -> Item:
            return self._item(connection, self._find(connection, namespace), kind, name)
        return self._snapshot(read)

    def list(self, query: NamespaceQuery) -> Page[Definition]:
        dialect = self._engine.ready_dialect()
        try:
            shape, values = queries.decompose(query, dialect)
        except EmptyListing:
            return Page(())
        listing, associations = (
            self._engine.statement((build.__name__, shape), functools.partial(build, shape))
            for build in (queries.listing, queries.listed_associations))

        def read(connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
            return connection.rows(listing, values), connection.rows(associations, values)

        rows, associated = self._snapshot(read)
        of: dict[int, list[Any]] = {}
        for namespace_id, *row in associated:
            of.setdefault(namespace_id, []).append(item_of(_ASSOCIATIONS, row, dialect))
        found = [namespace_of(row, dialect) for row in rows[:query.limit]]
        page = tuple(Definition(each, resource_types=tuple(of.get(each.id, ())))
                     for each in found)
        return Page(page, more=len(page) < len(rows))

    def resource_types(self) -> Sequence[ResourceType]:
        return [resource_type_of(row, self._dialect)
                for row in self._engine.rows(self._statement(queries.types), {})]

    # --- definitions

    def add(self, definition: Definition, *, seeded: bool = False) -> Definition:
        metadef.check_definition(definition)
        times = self._times(seeded)
        try:
            return self._transaction(
                lambda connection: self._add(connection, definition, times))
        except ConstraintViolated as error:
            raise _taken(definition.namespace.namespace) from error

    def replace(self, definition: Definition, *, seeded: bool = False) -> Definition:
        def change(connection: Connection, present: Namespace, times: Times) -> Definition:
            # the row stays, for the transactions that wait for its lock
            self._remove_items(connection, present)
            connection.run(self._statement(queries.replace_namespace), {
                **self._new_row(definition, times), 'of_id': present.id})
            return self._add_all_items(connection, definition, times)

        return self._add_or_change(definition, seeded, change)

    def merge(self, definition: Definition, *, prefer_new: bool,
              seeded: bool = False) -> Definition:
        def change(connection: Connection, present: Namespace, times: Times) -> Definition:
            if prefer_new:
                self._update(connection, present, {
                    name: getattr(definition.namespace, name) for name in FIELDS}, times)
            self._put_types(connection, definition.resource_types, times, touch=prefer_new)
            for kind, items in metadef.items_of(definition).items():
                known = self._names(connection, present, kind) if items else {}
                self._insert(connection, present.id, [
                    item for item in items if item.name not in known], times)
                if prefer_new:
                    self._update_items(connection, present.id, [
                        (known[item.name], item) for item in items if item.name in known], times)
            return self._read(connection, self._find(connection, present.namespace), ITEM_KINDS)

        return self._add_or_change(definition, seeded, change)

    def _add_or_change(self, definition: Definition, seeded: bool,
                       change: Callable[[Connection, Namespace, Times], Definition],
                       ) -> Definition:
        """Add the namespace, or change that with its name.

        Begin again if another transaction has added the namespace meanwhile.
        """
        metadef.check_definition(definition)
        times = self._times(seeded)

        def write(connection: Connection) -> Definition:
            present = self._locked(connection, definition.namespace.namespace)
            return (self._add(connection, definition, times) if present is None
                    else change(connection, present, times))

        for _ in range(_ATTEMPTS):
            try:
                return self._transaction(write)
            except ConstraintViolated as error:
                last = error
        raise _taken(definition.namespace.namespace) from last

    def _add(self, connection: Connection, definition: Definition, times: Times,
             ) -> Definition:
        connection.run(self._statement(queries.insert_namespace),
                       self._new_row(definition, times))
        return self._add_all_items(connection, definition, times)

    def _new_row(self, definition: Definition, times: Times) -> dict[str, Any]:
        return {**times, **namespace_row({
            field: getattr(definition.namespace, field) for field in FIELDS})}

    def _add_all_items(self, connection: Connection, definition: Definition,
                       times: Times) -> Definition:
        """Add the items to a namespace that has none."""
        added = self._lock(connection, definition.namespace.namespace)
        self._put_types(connection, definition.resource_types, times)
        given = {kind: items for kind, items in metadef.items_of(definition).items() if items}
        for items in given.values():
            self._insert(connection, added.id, items, times)
        return self._read(connection, added, given)

    # --- namespaces

    def update(self, namespace: Namespace, changes: Mapping[str, object]) -> Namespace:
        unknown = changes.keys() - set(FIELDS)
        if unknown:
            raise TypeError(f'update() cannot change {", ".join(sorted(unknown))}')
        new = str(changes.get('namespace', namespace.namespace))
        if new != namespace.namespace:
            metadef.check_name(new)
        times = self._times()

        def write(connection: Connection) -> Namespace:
            self._update(connection, self._lock(connection, namespace.namespace), changes, times)
            return self._find(connection, new)

        try:
            return self._transaction(write)
        except ConstraintViolated as error:
            raise _taken(new) from error

    def _update(self, connection: Connection, present: Namespace, changes: Mapping[str, object],
                times: Times) -> None:
        fields = tuple(sorted(changes))
        update = self._engine.statement(('update_namespace', fields),
                                        lambda _: queries.update_namespace(fields))
        connection.run(update, {**times, **namespace_row(changes), 'of_id': present.id})

    def remove(self, namespace: str) -> Namespace:
        def write(connection: Connection) -> Namespace:
            present = self._lock(connection, namespace)
            _check_unprotected(present)
            self._remove_items(connection, present)
            connection.run(self._statement(queries.delete_namespace), {'of_id': present.id})
            return present

        return self._transaction(write)

    def _remove_items(self, connection: Connection, present: Namespace) -> None:
        for kind in ITEM_KINDS:
            connection.run(self._of_kind(queries.delete_items, kind), {'of_id': present.id})

    # --- items

    def add_items(self, namespace: str, items: Sequence[Item], *,
                  replace: bool = False) -> Sequence[Item]:
        metadef.check_items(items)
        kind = items[0].KIND
        times = self._times()

        def write(connection: Connection) -> Sequence[Item]:
            present = self._lock(connection, namespace)
            self._put_types(connection, items, times)
            if replace:
                connection.run(self._of_kind(queries.delete_items, kind), {'of_id': present.id})
            else:
                known = self._names(connection, present, kind)
                for item in items:
                    if item.name in known:
                        raise _item_taken(item)
            self._insert(connection, present.id, items, times)
            recorded = {item.name: item for item in self._items(connection, present, kind)}
            return [recorded[item.name] for item in items]

        try:
            return self._transaction(write)
        except ConstraintViolated as error:
            raise _item_taken(*items) from error

    def update_item(self, namespace: str, name: str, item: Item) -> Item:
        metadef.check_items([item])
        times = self._times()

        def write(connection: Connection) -> Item:
            present = self._lock(connection, namespace)
            self._put_types(connection, [item], times)
            old = self._item(connection, present, item.KIND, name)
            self._update_items(connection, present.id, [(old.id, item)], times)
            return self._item(connection, present, item.KIND, item.name)

        try:
            return self._transaction(write)
        except ConstraintViolated as error:
            raise _item_taken(item) from error

    def remove_item(self, namespace: str, kind: str, name: str) -> Item:
        def write(connection: Connection) -> Item:
            present = self._lock(connection, namespace)
            item = self._item(connection, present, kind, name)
            _check_unprotected(present)
            connection.run(self._of_kind(queries.delete_item, kind),
                           {'of_id': present.id, 'item_id': item.id})
            return item

        return self._transaction(write)

    def remove_items(self, namespace: str, kind: str) -> int:
        def write(connection: Connection) -> int:
            present = self._lock(connection, namespace)
            _check_unprotected(present)
            return connection.run(self._of_kind(queries.delete_items, kind),
                                  {'of_id': present.id})

        return self._transaction(write)

    def _insert(self, connection: Connection, namespace_id: int, items: Sequence[Item],
                times: Times) -> None:
        """Insert items of one kind."""
        if not items:
            return
        kind = items[0].KIND
        insert = self._engine.statement(
            ('metadef', 'insert', kind), lambda dialect: queries.insert_item(kind, dialect))
        if self._dialect.one_by_one:
            connection.run(insert, {**times, 'of_id': namespace_id, 'rows': json.dumps([
                item_row(item, self._dialect) for item in items])})
        else:
            connection.run_each(insert, [self._row(item, namespace_id, times) for item in items])

    def _update_items(self, connection: Connection, namespace_id: int,
                      items: Sequence[tuple[int, Item]], times: Times) -> None:
        """Change the items with these ids, which are of one kind."""
        if not items:
            return
        rows = [{**self._row(item, namespace_id, times), 'item_id': number}
                for number, item in items]
        connection.run_each(self._of_kind(queries.update_item, items[0][1].KIND), rows)

    def _row(self, item: Item, namespace_id: int, times: Times) -> dict[str, Any]:
        return {**times, **item_row(item, self._dialect), 'of_id': namespace_id,
                'item': item.name}

    # --- types of resources

    def _put_types(self, connection: Connection, items: Sequence[Item], times: Times, *,
                   touch: bool = False) -> None:
        """Make the types of associations known.

        :param touch: those that are known already get a new ``updated_at``.

        On MariaDB, what a transaction reads is as it was at its first read that locks nothing.
        So this comes before such a read, or types that others have added would be missing.
        """
        if not items or items[0].KIND != _ASSOCIATIONS:
            return
        if lock := self._dialect.only_writer(tables.resource_types):
            connection.execute(lock)
        rows = [{**times, 'name': item.name, 'item': item.name} for item in items]
        if touch:
            connection.run_each(self._statement(queries.touch_type), rows)
        connection.run_each(self._statement(queries.put_type), rows)

    def clear(self) -> None:
        def write(connection: Connection) -> None:
            for table in (*TABLES.values(), tables.namespaces, tables.resource_types):
                connection.run(self._engine.statement(
                    ('delete all', table.name),
                    lambda _: queries.delete_all(table)), {})   # noqa: B023 - called at once

        for _ in range(_ATTEMPTS):
            try:
                self._transaction(write)
                return
            except ConstraintViolated as error:     # items were added meanwhile
                last = error
        raise contract.Conflict('others add metadata definitions now') from last

    # --- helpers

    def _read(self, connection: Connection, namespace: Namespace, kinds: Collection[str],
              ) -> Definition:
        items: dict[str, Any] = {kind: self._items(connection, namespace, kind) for kind in kinds}
        return Definition(namespace, **items)

    def _items(self, connection: Connection, namespace: Namespace, kind: str) -> Sequence[Item]:
        rows = connection.rows(self._of_kind(queries.items, kind), {'of_id': namespace.id})
        return tuple([item_of(kind, row, self._dialect) for row in rows])

    def _item(self, connection: Connection, namespace: Namespace, kind: str, name: str) -> Item:
        if self._is_possible(name):
            for row in connection.rows(self._of_kind(queries.item, kind),
                                       {'of_id': namespace.id, 'item': name}):
                return item_of(kind, row, self._dialect)
        raise contract.NotFound(f'{kind}: no {name}')

    def _names(self, connection: Connection, namespace: Namespace, kind: str) -> dict[str, int]:
        """Return name -> id of the items of a kind."""
        return dict(connection.rows(self._of_kind(queries.names, kind), {'of_id': namespace.id}))

    def _find(self, connection: Connection, namespace: str, *, lock: bool = False) -> Namespace:
        if self._is_possible(namespace):
            find = self._statement(queries.lock_namespace if lock else queries.namespace)
            for row in connection.rows(find, {'of_namespace': namespace}):
                return namespace_of(row, self._dialect)
        raise _not_found(namespace)

    def _lock(self, connection: Connection, namespace: str) -> Namespace:
        """Return a namespace, which no other transaction can change any more."""
        return self._find(connection, namespace, lock=True)

    def _locked(self, connection: Connection, namespace: str) -> Namespace | None:
        """As ``_lock``; None if there is no such namespace."""
        try:
            return self._lock(connection, namespace)
        except contract.NotFound:
            return None

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        self._engine.ready_dialect()        # which may need another connection
        return self._engine.transaction(work)

    def _snapshot(self, work: Callable[[Connection], T]) -> T:
        self._engine.ready_dialect()
        return self._engine.snapshot(work)

    def _times(self, seeded: bool = False) -> Times:
        dialect = self._engine.ready_dialect()
        at = dialect.bind_time(dialect.truncate(self._host.now()))
        return {'at': at, 'since': None if seeded else at, 'seeded': seeded}

    def _is_possible(self, name: str) -> bool:
        return len(name) <= metadef.NAME_LENGTH and self._engine.ready_dialect().storable(name)

    def _statement(self, build: Callable[..., Any]) -> Statement:
        return self._engine.statement(('metadef', build.__name__), build)

    def _of_kind(self, build: Callable[[str], Any], kind: str) -> Statement:
        return self._engine.statement(('metadef', build.__name__, kind), lambda _: build(kind))


def _check_unprotected(namespace: Namespace) -> None:
    if namespace.protected:
        raise contract.Forbidden(f'Namespace {namespace.namespace} is protected')


def _not_found(namespace: str) -> contract.NotFound:
    return contract.NotFound(f'Namespace {namespace} not found')


def _taken(namespace: str) -> contract.Conflict:
    return contract.Conflict(f'Namespace {namespace} already exists')


def _item_taken(*items: Item) -> contract.Conflict:
    names = ', '.join(item.name for item in items)
    return contract.Conflict(f'{items[0].KIND}: {names} already exists')
