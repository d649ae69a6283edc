"""Claims about listings, which must agree with ``matches`` and ``ordered``."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import random
import uuid
from collections.abc import Iterable

import pytest

from glancelite import contract
from glancelite.contract import Image, ImageQuery, Viewer, Where
from glancelite.contract.query import compare, matches, ordered
from glancelite.testing.contracts.database.values import SIMILAR, content, large

PROJECTS = ('p', 'q', 'P')
NAMES = (None, '', 'a', 'A', 'b', 'aa', 'a b', 'é', 'z', '漢', '\ufb01', '😀')
PROPERTY_NAMES = ('k', 'K', 'other')
TAGS = ('t', 'T', 'u', 'é')
VIEWERS = (Viewer(), Viewer('p'), Viewer('q'), Viewer('P'), Viewer('p', True),
           Viewer(None, True))
START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
#: sort keys of listings, asked for in all directions
SORTED_BY = ((), *((key,) for key in contract.query.SORT_KEYS), ('name', 'size'),
             ('status', 'name'), ('size', 'name', 'disk_format'))
#: attribute -> values that conditions compare it with
CONDITIONS: dict[str, tuple] = {
    'name': ('a', 'A', '', 'é', 'a ', '😀', 'x\0y', 'a\0', '\ud800', '漢\udfff', 'x' * 999),
    'size': (0, 1, 5, 1 << 40, -1, 1 << 63, -(1 << 63), 1 << 64, -(1 << 90)),
    'min_disk': (0, 1, 1 << 31, 1 << 70),
    'status': ('active', 'queued', 'no such'),
    'owner': ('p', 'P', 'q'),
    'visibility': ('public', 'private', 'no such', 'a\0b'),
    'protected': (True, False),
    'disk_format': ('raw', 'RAW'),
    'created_at': (START, START + datetime.timedelta(seconds=10, microseconds=1),
                    datetime.datetime.max.replace(tzinfo=datetime.UTC)),
    'updated_at': (START + datetime.timedelta(seconds=20),),
    'id': ('0', 'f', 'a\0b'),
}


def sort(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return ``pairs`` with the tie-breakers."""
    direction = pairs[-1][1] if pairs else 'desc'
    return (*pairs, ('created_at', direction), ('id', direction))


class Population:
    """Images in a database, with a copy of each in memory."""

    def __init__(self, database: contract.Database):
        self.database = database
        self.images: list[Image] = []
        self._members: dict[tuple[str, str | None], str] = {}

    def add(self, **fields) -> Image:
        """Add an image; ``members`` is project -> status."""
        members = fields.pop('members', {})
        image = self.database.images.add(
            Image(fields.pop('id', None) or str(uuid.uuid4()), **fields))
        for project, status in members.items():
            self.database.members.add(image.id, project, status=status)
            self._members[image.id, project] = status
        self.images.append(image)
        return image

    def expected(self, query: ImageQuery) -> list[Image]:
        """Return the expected listing without paging."""
        project = query.viewer.project
        seen = (dataclasses.replace(image, membership=self._members.get((image.id, project)))
                for image in self.images)
        return ordered(query, (image for image in seen if matches(query, image)))

    def check(self, query: ImageQuery) -> None:
        """Compare a page of the database with the expected one."""
        whole = self.expected(query)
        if query.after is not None:
            whole = [i for i in whole if compare(query, i, query.after) > 0]
        limit = len(whole) if query.limit is None else query.limit

        page = self.database.images.list(query)

        assert list(page.items) == whole[:limit], query
        assert page.more == (len(whole) > limit), query


def populate(population: Population, host, amount: int = 60, seed: int = 1) -> Population:
    """Add images with equal and different values of everything that a query can name."""
    dice = random.Random(seed)
    for _ in range(amount):
        if dice.random() < 0.6:
            host.advance(seconds=1)
        image = population.add(
            name=dice.choice(NAMES), owner=dice.choice((None, *PROJECTS)),
            visibility=dice.choice(contract.VISIBILITIES),
            status=dice.choice(('active',) * 5 + ('queued', 'saving', 'killed', 'deactivated')),
            os_hidden=dice.random() < 0.2, protected=dice.random() < 0.3,
            size=dice.choice((None, 0, 1, 5, 1 << 40)), min_disk=dice.randrange(3),
            disk_format=dice.choice((None, 'raw', 'qcow2')),
            container_format=dice.choice((None, 'bare', 'ovf')),
            tags=tuple(dice.sample(TAGS, dice.randrange(4))),
            properties={name: dice.choice(('1', '', 'é', 'E')) for name in dice.sample(
                PROPERTY_NAMES, dice.randrange(len(PROPERTY_NAMES) + 1))},
            members={project: dice.choice(contract.MEMBER_STATUSES)
                     for project in dice.sample(PROJECTS, dice.randrange(3))})
        if dice.random() < 0.1:
            population.images.remove(image)
            population.database.images.delete(image, pending=dice.random() < 0.5)
    return population


def walk(images: contract.ImageRecords, query: ImageQuery) -> Iterable[Image]:
    """Return all images, read page by page."""
    while True:
        page = images.list(query)
        yield from page.items
        if not page.more:
            return
        query = dataclasses.replace(query, after=page.items[-1])


class ListingContract:
    """Part of ``DatabaseContract``."""

    @pytest.fixture
    def crowd(self, database, host):
        return populate(Population(database), host)

    def test_an_empty_database_lists_nothing(self, database):
        assert database.images.list(ImageQuery(Viewer('p'), limit=5)) == contract.Page(())

    def test_list_shows_images_as_the_contract_defines(self, crowd):
        for viewer, visibility, member_status, hidden in itertools.product(
                VIEWERS, (None, 'all', *contract.VISIBILITIES),
                ('accepted', 'rejected', 'all'), (False, True)):
            query = ImageQuery(viewer, visibility, member_status, hidden)
            crowd.check(query)
            crowd.check(dataclasses.replace(query, limit=3))

    def test_a_walk_over_all_pages_is_the_whole_in_order(self, crowd):
        for viewer, keys in itertools.product((Viewer('p'), Viewer(None, True)), SORTED_BY):
            for directions in itertools.product(('asc', 'desc'), repeat=max(1, len(keys))):
                order = sort(*zip(keys, directions, strict=False))
                query = ImageQuery(viewer, visibility='all',
                                   sort=(*order[:-1], ('id', directions[0])))

                whole = list(walk(crowd.database.images, dataclasses.replace(query, limit=16)))

                assert whole == crowd.expected(query), query
                crowd.check(query)

    def test_a_limit_of_none_lists_all_and_of_zero_nothing(self, crowd):
        crowd.check(ImageQuery(Viewer('p'), limit=None))
        crowd.check(ImageQuery(Viewer('p'), limit=0))

    def test_a_listing_continues_after_a_deleted_image(self, crowd):
        query = ImageQuery(Viewer('p'), limit=4)
        last = crowd.database.images.list(query).items[-1]
        gone = crowd.database.images.delete(last, pending=False)
        crowd.images = [image for image in crowd.images if image.id != last.id]

        crowd.check(dataclasses.replace(query, after=gone))

    def test_a_page_of_large_images_ends_early(self, database, host):
        crowd = Population(database)
        for number in (0, 20, 1, 20, 1, 1, 90, 20, 20, 0):
            crowd.images.append(database.images.add(large(number)))
            host.advance(seconds=1)
        query = ImageQuery(Viewer('p'), limit=25)

        sizes, seen, more = [], list[Image](), True
        while more:
            page = database.images.list(
                dataclasses.replace(query, after=seen[-1] if seen else None))
            sizes.append((content(page.items), len(page.items)))
            seen += page.items
            more = page.more

        assert seen == crowd.expected(query)
        assert all(size <= contract.query.PAGE_SIZE or amount == 1 for size, amount in sizes)
        assert len(sizes) < 5, 'the pages have fewer images than they may have'

    def test_conditions_match_as_the_contract_defines(self, crowd):
        for (field, values), operator in itertools.product(
                CONDITIONS.items(), contract.query.OPERATORS):
            asked = [values, values[:1], ()] if operator == 'in' else values
            for value in asked:
                where = (Where(field, operator, value), Where('min_ram', 'gte', 0))
                crowd.check(ImageQuery(Viewer('p', True), 'all', where=where))
                crowd.check(ImageQuery(Viewer('p'), where=where, limit=3))

    def test_times_are_compared_in_seconds_as_they_are_shown(self, database, host):
        crowd = Population(database)
        for _ in range(9):
            crowd.add(owner='p')
            host.advance(seconds=0.4)
        shown = contract.query.whole_seconds(crowd.images[4].created_at)

        for operator in contract.query.OPERATORS:
            for time in (shown, shown + datetime.timedelta(seconds=0.5)):
                value = (time, START) if operator == 'in' else time
                crowd.check(ImageQuery(Viewer('p'), where=(Where('created_at', operator, value),)))
        found = database.images.list(ImageQuery(Viewer('p'), where=(
            Where('created_at', 'eq', shown),))).items
        assert crowd.images[4].id in [image.id for image in found]
        later = database.images.list(ImageQuery(Viewer('p'), where=(
            Where('created_at', 'gt', shown),))).items
        assert not {image.id for image in found} & {image.id for image in later}
        for direction in ('asc', 'desc'):
            query = ImageQuery(Viewer('p'), sort=sort(('created_at', direction)), limit=2)
            assert list(walk(database.images, query)) == crowd.expected(query)

    def test_finds_by_tags_and_properties_exactly(self, crowd):
        for tags, properties in (
                ({'t'}, {}), ({'T'}, {}), ({'t', 'u'}, {}), ({'t', 'no such'}, {}),
                ({'t '}, {}), ({'a\0b'}, {}), ({'\ud800'}, {}), (set(), {'k': '1'}),
                (set(), {'K': '1'}), (set(), {'k': ''}), (set(), {'k': 'e'}),
                (set(), {'k': 'E', 'other': '1'}), (set(), {'k ': '1'}),
                (set(), {'k': '1\0'}), (set(), {'\0': ''}), (set(), {'k': 'x' * 70_000}),
                ({'t'}, {'k': '1'})):
            query = ImageQuery(Viewer('p'), 'all', tags=frozenset(tags), properties=properties)
            crowd.check(query)
            crowd.check(dataclasses.replace(query, limit=2))

    def test_similar_texts_are_found_and_sorted_apart(self, database):
        crowd = Population(database)
        for text in SIMILAR:
            crowd.add(owner='p', name=text, tags=(text,), properties={'k': text, text: 'v'},
                      visibility='shared', members={text: 'accepted'})
            crowd.add(owner=text, visibility='private')

        for text in (*SIMILAR, 'kEEP', 'keep   '):
            for wanted in ({'where': (Where('name', 'eq', text),)}, {'tags': frozenset((text,))},
                           {'where': (Where('name', 'in', (text, 'x')),)},
                           {'where': (Where('name', 'gt', text),)},
                           {'properties': {'k': text}}, {'properties': {text: 'v'}}):
                crowd.check(ImageQuery(Viewer('p'), 'all', **wanted))
            crowd.check(ImageQuery(Viewer(text)))
        for direction in ('asc', 'desc'):
            query = ImageQuery(Viewer('p'), sort=sort(('name', direction)), limit=3)
            assert list(walk(database.images, query)) == crowd.expected(query)

    def test_finds_by_very_many_tags_and_properties(self, database):
        """As many as a request may have: a database that joins them all needs minutes."""
        population = Population(database)
        tags = tuple(sorted(f't{number}' for number in range(120)))
        some = {f'p{number}': str(number % 2 or '') for number in range(120)}
        population.add(owner='p', tags=tags, properties=some)
        population.add(owner='p', tags=(*tags[:-1], tags[-1].upper()), properties=some)
        population.add(owner='p', tags=tags, properties={**some, 'p7': 'other'})
        population.add(owner='p', tags=(*tags, 'u'), properties={**some, 'k': 'v'})

        for wanted in ({'tags': frozenset(tags)}, {'properties': some},
                       {'tags': frozenset(tags), 'properties': some},
                       {'tags': frozenset((*tags, 'never')), 'properties': some}):
            population.check(ImageQuery(Viewer('p'), sort=sort(), limit=10, **wanted))

    def test_long_values_that_differ_at_the_end_are_distinct(self, database):
        crowd = Population(database)
        for end in ('a', 'b', ''):
            crowd.add(owner='p', properties={'k': 'x' * 5000 + end})

        crowd.check(ImageQuery(Viewer('p'), properties={'k': 'x' * 5000 + 'a'}))

    def test_removed_properties_tags_and_members_are_not_found(self, database):
        crowd = Population(database)
        image = crowd.add(owner='q', tags=('t',), properties={'k': '1'}, members={
            'p': 'accepted'})
        database.images.update(image, {'tags': (), 'properties': {}})
        database.members.remove(image.id, 'p')

        assert not database.images.list(ImageQuery(Viewer('p'))).items
        assert not database.images.list(ImageQuery(Viewer('q'), tags=frozenset('t'))).items
        assert not database.images.list(ImageQuery(Viewer('q'), properties={'k': '1'})).items
