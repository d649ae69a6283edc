"""Claims about listings of namespaces, which must agree with ``namespace_matches``."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from collections.abc import Iterator

import pytest

from glancelite import contract
from glancelite.contract import Association, Definition, Namespace, NamespaceQuery, Viewer
from glancelite.contract.metadef import (
    NAMESPACE_SORT_KEYS,
    NAMESPACE_VISIBILITIES,
    namespace_matches,
)
from glancelite.contract.query import compare

VIEWERS = (Viewer(), Viewer(''), Viewer('p'), Viewer('P'), Viewer('a\0b'), Viewer('\ud800'),
           Viewer('q', True), Viewer(None, True))
TYPES = ('T', 't', 'U', 'é')
TEXTS = (None, '', 'a', 'A', 'é', 'z', '漢', '😀', 'a ')


def order(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return ``pairs`` with the tie-breakers."""
    direction = pairs[-1][1] if pairs else 'desc'
    return *pairs, ('created_at', direction), ('id', direction)


class Definitions:
    """Namespaces in a database, with a copy of each in memory."""

    def __init__(self, database: contract.Database):
        self.metadefs = database.metadefs
        self.added: list[Definition] = []

    def expected(self, query: NamespaceQuery) -> list[Definition]:
        """Return the expected listing without paging."""
        def order(one: Definition, other: Definition) -> int:
            return compare(query, one.namespace, other.namespace)

        return sorted((each for each in self.added if namespace_matches(query, each)),
                      key=functools.cmp_to_key(order))

    def check(self, query: NamespaceQuery) -> None:
        """Compare a page of the database with the expected one."""
        whole = self.expected(query)
        if query.after is not None:
            whole = [each for each in whole if compare(query, each.namespace, query.after) > 0]
        limit = len(whole) if query.limit is None else query.limit

        page = self.metadefs.list(query)

        assert [dataclasses.replace(each, resource_types=tuple(each.resource_types))
                for each in page.items] == whole[:limit]
        assert page.more == (len(whole) > limit)

    def walk(self, query: NamespaceQuery) -> Iterator[Definition]:
        """Return all namespaces, read page by page."""
        while True:
            page = self.metadefs.list(query)
            yield from page.items
            if not page.more:
                return
            query = dataclasses.replace(query, after=page.items[-1].namespace)


class MetadefListingContract:
    """Part of ``DatabaseContract``."""

    @pytest.fixture
    def namespaces(self, database, host):
        """Namespaces with equal and different values of everything that a query can name."""
        dice, crowd = random.Random(1), Definitions(database)
        for n in range(50):
            if dice.random() < 0.6:
                host.advance(seconds=dice.choice((0.25, 1)))
            added = database.metadefs.add(Definition(
                Namespace(f'{dice.choice(TEXTS)}{n}', dice.choice(TEXTS), dice.choice(TEXTS),
                          dice.choice(NAMESPACE_VISIBILITIES), dice.random() < 0.5,
                          dice.choice(('p', 'P', 'q', None))),
                [Association(name, prefix=dice.choice(('', None, 'x')))
                 for name in dice.sample(TYPES, dice.randrange(3))],
                tags=[contract.DefinedTag('not listed')]), seeded=dice.random() < 0.3)
            crowd.added.append(dataclasses.replace(
                added, tags=(), resource_types=tuple(added.resource_types)))
        return crowd

    def test_no_namespaces_are_listed_as_an_empty_page(self, database):
        for query in (NamespaceQuery(Viewer('p'), limit=5), NamespaceQuery(
                Viewer(None, True), resource_types=frozenset({'T'}))):
            assert database.metadefs.list(query) == contract.Page(())

    def test_namespaces_are_listed_as_the_contract_defines(self, namespaces):
        for viewer, visibility, types, limit in itertools.product(
                VIEWERS, (None, *NAMESPACE_VISIBILITIES, 'no such', 'a\0b', '\ud800'),
                (None, (), ('T',), ('t', 'é'), TYPES, ('no such', 'a\0b', '\ud800')),
                (None, 0, 3)):
            namespaces.check(NamespaceQuery(
                viewer, visibility, None if types is None else frozenset(types), limit=limit))

    @pytest.mark.parametrize('keys', [
        (), *((key,) for key in NAMESPACE_SORT_KEYS), ('visibility', 'owner'),
        ('protected', 'display_name', 'updated_at')], ids=','.join)
    def test_a_walk_over_all_pages_is_all_namespaces_in_order(self, namespaces, keys):
        for directions in itertools.product(('asc', 'desc'), repeat=max(1, len(keys))):
            query = NamespaceQuery(Viewer(None, True), sort=order(
                *zip(keys, directions, strict=False)))

            assert [each.namespace for each in namespaces.walk(
                dataclasses.replace(query, limit=7))] == [
                each.namespace for each in namespaces.expected(query)]
            for viewer, types in ((Viewer('p'), None), (Viewer('P'), frozenset({'T', 'U'}))):
                namespaces.check(dataclasses.replace(
                    query, viewer=viewer, resource_types=types,
                    after=namespaces.added[30].namespace, limit=4))

    def test_random_listings_of_namespaces_agree_with_the_contract(self, namespaces):
        dice = random.Random(2)
        for _ in range(200):
            types = frozenset(dice.sample(TYPES, dice.randrange(4)))
            namespaces.check(NamespaceQuery(
                dice.choice(VIEWERS), dice.choice((None, *NAMESPACE_VISIBILITIES)),
                dice.choice((None, types)),
                order(*((dice.choice(NAMESPACE_SORT_KEYS), dice.choice(('asc', 'desc')))
                        for _ in range(dice.randrange(3)))),
                dice.choice((None, dice.choice(namespaces.added).namespace)),
                dice.choice((None, 0, 1, 5, 100))))

    def test_a_listing_of_namespaces_continues_after_a_removed_one(self, namespaces):
        query = NamespaceQuery(Viewer(None, True), limit=4)
        last = next(each for each in reversed(namespaces.metadefs.list(query).items))
        namespaces.metadefs.update(last.namespace, {'protected': False})
        namespaces.metadefs.remove(last.namespace.namespace)
        namespaces.added = [each for each in namespaces.added
                            if each.namespace.id != last.namespace.id]

        namespaces.check(dataclasses.replace(query, after=last.namespace))
