"""Claims about replacing and merging metadata definitions, such as those of files."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from glancelite.contract.metadef import items_of
from glancelite.testing.contracts.database.metadefs import (
    KINDS,
    definition,
    full,
    given,
    item,
    names,
    whole,
)
from glancelite.testing.contracts.database.values import race


class MetadefMergingContract:
    """Part of ``DatabaseContract``."""

    def test_replace_puts_a_definition_in_the_place_of_another(self, metadefs, host):
        old, other = metadefs.add(full('N')), metadefs.add(definition('M', 'a'))
        host.advance(seconds=5)
        new = definition('N', 'k', 'new', mark='new')

        kept = metadefs.replace(new, seeded=True)

        assert given(kept) == new
        assert (kept.namespace.created_at, kept.tags[0].updated_at) == (host.now(), None)
        assert kept.namespace.id == old.namespace.id
        assert (whole(metadefs), whole(metadefs, 'M')) == (kept, other)
        assert given(metadefs.replace(full('absent'))) == full('absent')

    def test_replaces_at_once_leave_one_definition_as_a_whole(self, metadefs):
        for _ in range(3):
            won = race(6, lambda n: metadefs.replace(
                definition('N', *(f'{n}-{i}' for i in range(n + 1)), mark=str(n))))

            assert len(won) == 6
            assert whole(metadefs) in won
            metadefs.remove('N')

    def test_a_reader_sees_a_definition_before_or_after_it_is_replaced(self, metadefs):
        steps = [definition('N', *(f'{n}-{i}' for i in range(5)), mark=str(n)) for n in range(6)]
        metadefs.add(steps[0])
        ended, odd = threading.Event(), []

        def look():
            while not ended.is_set():
                seen = given(whole(metadefs))
                if seen not in steps:
                    odd.append(seen)

        reader = threading.Thread(target=look)
        reader.start()
        try:
            for step in steps:
                metadefs.replace(step)
        finally:
            ended.set()
            reader.join()

        assert odd == []

    @pytest.mark.parametrize('prefer_new', [False, True])
    def test_merge_adds_what_is_missing(self, metadefs, host, prefer_new):
        old = metadefs.add(definition('N', 'same', 'old', mark='old'))
        host.advance(seconds=5)
        new = definition('N', 'new', 'same', mark='new', owner='q', protected=True)

        kept = metadefs.merge(new, prefer_new=prefer_new, seeded=True)

        assert whole(metadefs) == kept
        for kind, items in items_of(kept).items():
            by_name = {each.name: each for each in items}
            same, left = items_of(old)[kind]
            assert by_name.keys() == {'same', 'old', 'new'}
            assert by_name['old'] == left
            assert by_name['new'] == dataclasses.replace(
                item(kind, 'new', 'new'), id=by_name['new'].id, created_at=host.now(),
                updated_at=None)
            assert by_name['same'] == (dataclasses.replace(
                item(kind, 'same', 'new'), id=same.id, created_at=same.created_at,
                updated_at=host.now()) if prefer_new else same)
        assert kept.namespace == (dataclasses.replace(
            new.namespace, id=old.namespace.id, created_at=old.namespace.created_at,
            updated_at=host.now()) if prefer_new else old.namespace)
        created = old.namespace.created_at
        assert [(each.name, each.protected, each.created_at, each.updated_at)
                for each in metadefs.resource_types()] == [
            ('same', False, created, host.now() if prefer_new else created),
            ('old', False, created, created), ('new', True, host.now(), None)]

    def test_merge_adds_a_definition_that_is_missing(self, metadefs):
        for n, prefer_new in enumerate((False, True)):
            kept = metadefs.merge(full(f'N{n}'), prefer_new=prefer_new, seeded=True)

            assert given(kept) == full(f'N{n}')
            assert (whole(metadefs, f'N{n}'), kept.namespace.updated_at) == (kept, None)

    def test_merges_at_once_all_have_an_effect(self, metadefs):
        won = race(6, lambda n: metadefs.merge(
            definition('N', 'same', f'i{n}'), prefer_new=bool(n % 2)))

        assert len(won) == 6
        for kind in KINDS:
            assert sorted(names(metadefs, kind)) == [*(f'i{n}' for n in range(6)), 'same']
