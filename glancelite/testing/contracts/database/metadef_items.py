"""Claims about the items of metadata definitions."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from glancelite import contract
from glancelite.contract import Association, DefinedTag
from glancelite.testing.contracts.database.metadefs import (
    KINDS,
    conflict,
    definition,
    full,
    item,
    names,
    not_found,
    whole,
)
from glancelite.testing.contracts.database.values import race


class MetadefItemContract:
    """Part of ``DatabaseContract``."""

    @pytest.fixture(params=KINDS)
    def kind(self, request):
        return request.param

    def test_added_items_are_recorded_in_their_order(self, metadefs, host, kind):
        metadefs.add(definition('N', 'a'), seeded=True)
        host.advance(seconds=5)

        added = metadefs.add_items('N', [item(kind, name, name) for name in ('z', 'b')])

        assert list(metadefs.items('N', kind))[1:] == list(added)
        assert list(added) == [dataclasses.replace(
            item(kind, name, name), id=each.id, created_at=host.now(), updated_at=host.now())
            for name, each in zip(('z', 'b'), added, strict=True)]
        assert metadefs.get('N').updated_at is None

    @pytest.mark.parametrize('added', [('b', 'a'), ('b', 'b'), ('a',)])
    def test_items_are_added_all_or_none(self, metadefs, kind, added):
        kept = metadefs.add(definition('N', 'a'))

        with conflict(f'{kind}: {added[-1]} '):
            metadefs.add_items('N', [item(kind, name) for name in added])

        assert whole(metadefs) == kept
        assert [each.name for each in metadefs.resource_types()] == ['a']

    def test_items_take_the_place_of_all_of_their_kind(self, metadefs, kind):
        kept, other = metadefs.add(definition('N', 'a', 'b')), metadefs.add(definition('M', 'a'))

        added = metadefs.add_items('N', [item(kind, 'c'), item(kind, 'b', 'new')], replace=True)

        assert set(metadefs.items('N', kind)) == set(added) if kind == 'tags' else (
            sorted(names(metadefs, kind)) == ['b', 'c'])
        for same in set(KINDS) - {kind}:
            assert tuple(metadefs.items('N', same)) == tuple(getattr(kept, same))
        assert whole(metadefs, 'M') == other
        with conflict(f'{kind}: d is there twice'):
            metadefs.add_items('N', [item(kind, 'd'), item(kind, 'd')], replace=True)
        assert sorted(names(metadefs, kind)) == ['b', 'c']

    def test_of_many_who_add_an_item_one_does(self, metadefs, kind):
        metadefs.add(definition('N', 'a'))

        won = race(8, lambda n: metadefs.add_items('N', [
            item(kind, f'i{n}'), item(kind, 'same', str(n))]))

        assert len(won) == 1
        assert list(metadefs.items('N', kind))[1:] == list(won[0])

    def test_many_who_replace_all_items_leave_those_of_one(self, metadefs, kind):
        metadefs.add(definition('N', 'a'))

        won = race(8, lambda n: metadefs.add_items('N', [
            item(kind, 'same', str(n)), item(kind, f'i{n}')], replace=True))

        assert len(won) == 8
        assert {each.name: each for each in metadefs.items('N', kind)} in [
            {each.name: each for each in items} for items in won]

    def test_an_updated_item_keeps_its_id_and_its_first_time(self, metadefs, host, kind):
        kept = metadefs.add(definition('N', 'a', 'b', mark='old'), seeded=True)
        old, other = getattr(kept, kind)
        host.advance(seconds=5)

        written = metadefs.update_item('N', 'a', item(kind, 'a', 'new'))

        assert written == dataclasses.replace(
            item(kind, 'a', 'new'), id=old.id, created_at=old.created_at, updated_at=host.now())
        assert list(metadefs.items('N', kind)) == [written, other]
        assert metadefs.get('N') == kept.namespace

    def test_a_renamed_item_is_found_by_its_new_name(self, metadefs, kind):
        kept = metadefs.add(definition('N', 'a', 'b'))
        old, other = getattr(kept, kind)

        written = metadefs.update_item('N', 'a', item(kind, 'c'))

        assert (written.id == old.id) == (kind != 'resource_types')
        assert written.created_at == old.created_at
        assert metadefs.item('N', kind, 'c') == written
        assert set(names(metadefs, kind)) == {'b', 'c'}
        with not_found(f'{kind}: no a'):
            metadefs.item('N', kind, 'a')
        with conflict(f'{kind}: b already exists'):
            metadefs.update_item('N', 'c', item(kind, 'b', 'lost'))
        assert metadefs.item('N', kind, 'b') == other
        with not_found(f'{kind}: no a'):
            metadefs.update_item('N', 'a', item(kind, 'a'))

    def test_of_many_items_one_gets_a_name(self, metadefs, kind):
        metadefs.add(definition('N', *(f'i{n}' for n in range(6))))

        won = race(6, lambda n: metadefs.update_item('N', f'i{n}', item(kind, 'same', str(n))))

        assert len(won) == 1
        assert metadefs.item('N', kind, 'same') == won[0]
        assert len(metadefs.items('N', kind)) == 6

    def test_an_item_is_removed_once(self, metadefs, kind):
        kept, other = metadefs.add(definition('N', 'a', 'b')), metadefs.add(definition('M', 'a'))

        won = race(4, lambda n: metadefs.remove_item('N', kind, 'a'))

        assert won == [getattr(kept, kind)[0]]
        assert names(metadefs, kind) == ['b']
        with not_found(f'{kind}: no a'):
            metadefs.remove_item('N', kind, 'a')
        assert whole(metadefs, 'M') == other

    def test_all_items_of_a_kind_are_removed_and_counted(self, metadefs, kind):
        kept, other = metadefs.add(definition('N', 'a', 'b')), metadefs.add(definition('M', 'a'))

        assert [metadefs.remove_items('N', kind) for _ in range(2)] == [2, 0]

        assert whole(metadefs) == dataclasses.replace(kept, **{kind: ()})
        assert whole(metadefs, 'M') == other

    def test_an_item_of_another_kind_or_namespace_is_not_found(self, metadefs, kind):
        metadefs.add(definition('M', 'a'))
        empty: dict[str, Any] = {kind: ()}
        metadefs.add(dataclasses.replace(definition('N', 'a'), **empty))

        for ask in (lambda: metadefs.item('N', kind, 'a'),
                    lambda: metadefs.update_item('N', 'a', item(kind, 'a')),
                    lambda: metadefs.remove_item('N', kind, 'a')):
            with not_found(f'{kind}: no a'):
                ask()
        for ask in (lambda: metadefs.items('X', kind), lambda: metadefs.item('X', kind, 'a'),
                    lambda: metadefs.add_items('X', [item(kind, 'a')]),
                    lambda: metadefs.update_item('X', 'a', item(kind, 'a')),
                    lambda: metadefs.remove_item('X', kind, 'a'),
                    lambda: metadefs.remove_items('X', kind)):
            with not_found('Namespace X not found'):
                ask()

    def test_hundreds_of_items_are_added_in_their_order(self, metadefs):
        metadefs.add(definition())
        tags = [DefinedTag(f'tag {n * 7919 % 600}') for n in range(600)]

        added = metadefs.add_items('N', tags)

        assert [each.name for each in added] == [tag.name for tag in tags]
        assert list(metadefs.items('N', 'tags')) == list(added)

    def test_an_association_makes_its_type_known(self, metadefs, host):
        metadefs.add(definition('N'))
        added, = metadefs.add_items('N', [Association('T', prefix='', properties_target='')])

        assert (added.prefix, added.properties_target) == ('', '')
        assert metadefs.resource_types() == [contract.ResourceType(
            'T', False, host.now(), host.now())]
        metadefs.remove_items('N', 'resource_types')
        metadefs.remove('N')
        assert [each.name for each in metadefs.resource_types()] == ['T']

    def test_associations_are_in_the_order_of_their_types(self, metadefs):
        metadefs.add(definition('M', 'z', 'a'))
        metadefs.add(definition('N', 'new'))

        added = metadefs.add_items('N', [Association('a'), Association('z')])

        assert [each.name for each in added] == ['a', 'z']
        assert names(metadefs, 'resource_types') == ['z', 'a', 'new']

    def test_an_updated_object_has_no_former_value(self, metadefs):
        metadefs.add(full())

        metadefs.update_item('Full', 'o', contract.DefinedObject('o'))
        metadefs.update_item('Full', 'k', contract.DefinedProperty('k'))

        found = metadefs.item('Full', 'objects', 'o')
        assert (found.description, found.required, found.properties) == (None, (), {})
        assert metadefs.item('Full', 'properties', 'k').schema == {}
