"""Claims about metadata definitions."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from glancelite import contract
from glancelite.contract import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
)
from glancelite.contract.metadef import ITEM_KINDS, NAME_LENGTH, items_of
from glancelite.testing.contracts.database.values import IMPOSSIBLE, ODD, SIMILAR, race

SCHEMA = {'title': 'T', 'type': 'string', 'enum': ['a', None, 1.5], 'default': {'é': [True]},
          'minimum': 1.5}
#: names that a list of names in one text, such as that of Glance, may confuse
LISTS: list[tuple[str, ...]] = [
    (), ('',), ('', ''), ('a',), ('a', 'B'), ('a,b',), ('a', 'b,'), (' a', 'a '), ('["a"]',),
    ('[1', '2]'), ('[]',), ('null',), ('é', '漢字', '😀'), ('"a"', "'b'", '\\'), ('a\0b',)]
KINDS = tuple(ITEM_KINDS)


def item(kind: str, name: str, mark: Any = None) -> Any:
    """Return an item that has ``mark`` in a field, if it has more than a name."""
    return {'resource_types': lambda: Association(name, prefix=mark),
            'objects': lambda: DefinedObject(name, description=mark),
            'properties': lambda: DefinedProperty(name, schema={'title': mark}),
            'tags': lambda: DefinedTag(name)}[kind]()


def definition(namespace: str = 'N', *names: str, mark: Any = None, **fields: Any) -> Definition:
    """Return a namespace with an item of each kind for each name."""
    items: dict[str, Any] = {
        kind: tuple(item(kind, name, mark) for name in names) for kind in KINDS}
    return Definition(Namespace(namespace, **{
        'display_name': mark, 'owner': 'p', **fields}), **items)


def full(namespace: str = 'Full') -> Definition:
    """Return a definition with a value in each field."""
    return Definition(
        Namespace(namespace, 'D', 'about', 'public', True, 'p'),
        (Association('T::Z', prefix='hw_', properties_target='image'), Association('T::A')),
        (DefinedObject('o', description='d', required=('k', 'other'),
                       properties={'k': SCHEMA, 'l': {}}), DefinedObject('empty')),
        (DefinedProperty('k', schema=SCHEMA), DefinedProperty('a', schema={'name': 'a'})),
        (DefinedTag('t'), DefinedTag('a')))


def given(found: Definition) -> Definition:
    """Return a definition as it was given: without ids and times."""
    unset: dict[str, Any] = {'id': 0, 'created_at': None, 'updated_at': None}
    items: dict[str, Any] = {
        kind: tuple(dataclasses.replace(each, **unset) for each in items)
        for kind, items in items_of(found).items()}
    return Definition(dataclasses.replace(found.namespace, **unset), **items)


def whole(metadefs: contract.MetadefRecords, namespace: str = 'N') -> Definition:
    return metadefs.read(namespace, KINDS)


def names(metadefs: contract.MetadefRecords, kind: str, namespace: str = 'N') -> list[str]:
    return [each.name for each in metadefs.items(namespace, kind)]


def conflict(text: str) -> Any:
    return pytest.raises(contract.Conflict, match=re.escape(text))


def not_found(text: str) -> Any:
    return pytest.raises(contract.NotFound, match=re.escape(text))


class MetadefContract:
    """Part of ``DatabaseContract``."""

    @pytest.fixture
    def metadefs(self, database):
        return database.metadefs

    # --- adding and reading

    def test_a_definition_keeps_every_field(self, metadefs):
        for each in (full(), Definition(Namespace('bare'))):
            kept = metadefs.add(each)

            assert given(kept) == each
            assert whole(metadefs, each.namespace.namespace) == kept

    def test_every_way_to_read_a_definition_agrees(self, metadefs):
        kept = metadefs.add(full())

        assert metadefs.get('Full') == kept.namespace
        assert metadefs.read('Full', ()) == Definition(kept.namespace)
        for kind, items in items_of(kept).items():
            only: dict[str, Any] = {kind: items}
            assert tuple(metadefs.items('Full', kind)) == tuple(items)
            assert metadefs.read('Full', [kind]) == Definition(kept.namespace, **only)
            for each in items:
                assert metadefs.item('Full', kind, each.name) == each

    def test_ids_grow_and_items_are_in_their_order(self, metadefs):
        kept = [metadefs.add(full()), metadefs.add(definition('N', 'z', 'a'))]
        metadefs.add_items('Full', [DefinedTag('A')])

        assert kept[0].namespace.id < kept[1].namespace.id
        assert names(metadefs, 'tags', 'Full') == ['t', 'a', 'A']
        for namespace in ('Full', 'N'):
            for items in items_of(whole(metadefs, namespace)).values():
                ids = [each.id for each in items]
                assert ids == sorted(set(ids))

    @pytest.mark.parametrize('seeded', [False, True])
    def test_times_and_protected_types_tell_whether_a_definition_is_from_a_file(
            self, metadefs, host, seeded):
        kept = metadefs.add(full(), seeded=seeded)

        for each in (kept.namespace, *kept.objects, *kept.properties, *kept.tags,
                     *kept.resource_types, *metadefs.resource_types()):
            assert (each.created_at, each.updated_at) == (
                host.now(), None if seeded else host.now())
        assert [(each.name, each.protected) for each in metadefs.resource_types()] == [
            ('T::Z', seeded), ('T::A', seeded)]

    def test_a_known_type_stays_as_it_is(self, metadefs, host):
        metadefs.add(definition('first', 'T'), seeded=True)
        known = metadefs.resource_types()
        host.advance(seconds=5)

        metadefs.add(definition('second', 'T'))
        metadefs.add(Definition(Namespace('third')))
        metadefs.add_items('third', [Association('T')])
        metadefs.remove_item('third', 'resource_types', 'T')
        metadefs.remove('first')

        assert metadefs.resource_types() == known

    def test_later_changes_of_a_schema_have_no_effect(self, metadefs):
        schema = {'enum': ['a']}
        kept = metadefs.add(Definition(Namespace('N'), properties=(
            DefinedProperty('p', schema=schema),), objects=(
            DefinedObject('o', properties={'p': schema}),)))
        schema['enum'].append('b')
        kept.properties[0].schema['enum'].append('c')
        metadefs.item('N', 'objects', 'o').properties['p']['enum'].append('d')
        metadefs.items('N', 'properties')[0].schema['enum'].append('e')

        assert metadefs.item('N', 'properties', 'p').schema == {'enum': ['a']}
        assert metadefs.item('N', 'objects', 'o').properties == {'p': {'enum': ['a']}}

    @pytest.mark.parametrize('required', LISTS, ids=ascii)
    def test_any_list_of_required_properties_survives(self, metadefs, required):
        kept = metadefs.add(Definition(Namespace('N'), objects=(
            DefinedObject('o', required=required),)))

        assert kept.objects[0].required == required
        assert metadefs.item('N', 'objects', 'o') == kept.objects[0]

    @pytest.mark.parametrize('text', ODD, ids=ascii)
    def test_odd_texts_in_a_definition_survive(self, metadefs, text):
        name = text[:NAME_LENGTH]
        kept = metadefs.add(Definition(
            Namespace(name, name, text, owner=f'o{name}'), (Association(
                name, prefix=name, properties_target=name),),
            (DefinedObject(name, description=text, required=(name,), properties={text: {
                text: text}}),), (DefinedProperty(name, schema={text: text}),),
            (DefinedTag(name),)))

        assert whole(metadefs, name) == kept
        assert kept.objects[0].properties == {text: {text: text}}
        assert kept.namespace.display_name == name
        for kind in KINDS:
            assert metadefs.item(name, kind, name).name == name
        assert [each.name for each in metadefs.resource_types()] == [name]

    def test_long_texts_in_a_definition_survive(self, metadefs):
        long = 'x' * 60_000
        kept = metadefs.add(Definition(Namespace('N', description=long), objects=(
            DefinedObject('o', description=long, properties={'p': {'title': long}}),)))

        assert whole(metadefs) == kept
        assert kept.objects[0].properties == {'p': {'title': long}}

    def test_an_empty_owner_is_none(self, metadefs):
        kept = metadefs.add(definition('N', owner=''))

        assert (kept.namespace.owner, metadefs.get('N').owner) == (None, None)
        assert metadefs.update(kept.namespace, {'owner': 'q'}).owner == 'q'
        assert metadefs.update(kept.namespace, {'owner': ''}).owner is None

    def test_similar_names_in_definitions_are_distinct(self, metadefs):
        kept = {text: metadefs.add(definition(text, *SIMILAR, mark=text)) for text in SIMILAR}

        for text in SIMILAR:
            assert whole(metadefs, text) == kept[text]
            assert metadefs.get(text).display_name == text
            for kind in KINDS:
                metadefs.remove_item(text, kind, text)
                assert set(names(metadefs, kind, text)) == set(SIMILAR) - {text}
        assert [each.name for each in metadefs.resource_types()] == list(SIMILAR)
        metadefs.remove(SIMILAR[0])
        assert metadefs.get(SIMILAR[1]) == kept[SIMILAR[1]].namespace

    @pytest.mark.parametrize('text', IMPOSSIBLE, ids=lambda text: ascii(text)[:20])
    def test_an_impossible_name_in_definitions_is_not_found(self, metadefs, text):
        kept = metadefs.add(definition('N', 'a'))

        for ask in (lambda: metadefs.get(text), lambda: metadefs.read(text, KINDS),
                    lambda: metadefs.update(Namespace(text), {}), lambda: metadefs.remove(text),
                    lambda: metadefs.items(text, 'tags'),
                    lambda: metadefs.item(text, 'tags', 'a'),
                    lambda: metadefs.add_items(text, [DefinedTag('b')]),
                    lambda: metadefs.update_item(text, 'a', DefinedTag('b')),
                    lambda: metadefs.remove_item(text, 'tags', 'a'),
                    lambda: metadefs.remove_items(text, 'tags')):
            with not_found('Namespace'):
                ask()
        for kind in KINDS:
            for ask in (lambda: metadefs.item('N', kind, text),  # noqa: B023 - called at once
                        lambda: metadefs.update_item('N', text, item(kind, 'b')),  # noqa: B023
                        lambda: metadefs.remove_item('N', kind, text)):  # noqa: B023
                with not_found(f'{kind}: no '):
                    ask()
        assert whole(metadefs) == kept

    def test_a_name_in_a_definition_that_is_too_long_is_invalid(self, metadefs):
        longest, long = '漢' * NAME_LENGTH, 'x' * (NAME_LENGTH + 1)
        kept = metadefs.add(definition(longest, longest, display_name=longest))

        for ask in (lambda: metadefs.add(definition(long)),
                    lambda: metadefs.update(kept.namespace, {'namespace': long}),
                    lambda: metadefs.replace(definition(longest, long)),
                    lambda: metadefs.merge(definition(longest, long), prefer_new=True),
                    lambda: metadefs.add_items(longest, [DefinedTag(long)]),
                    lambda: metadefs.update_item(longest, longest, DefinedTag(long))):
            with pytest.raises(contract.Invalid, match=f'{NAME_LENGTH} are allowed'):
                ask()
        assert whole(metadefs, longest) == kept

    def test_another_instance_has_the_same_definitions(self, database):
        if database.VOLATILE:
            return
        other = type(database)(database.options, database.host, name=database.name,
                               conf=database.conf)
        try:
            kept = database.metadefs.add(full())

            assert whole(other.metadefs, 'Full') == kept
        finally:
            other.close()

    # --- names that are taken

    def test_the_name_of_a_namespace_can_be_used_once(self, metadefs):
        kept = metadefs.add(definition('N', 'a'))

        with conflict('Namespace N already exists'):
            metadefs.add(definition('N', 'b', 'T'))

        assert whole(metadefs) == kept
        assert [each.name for each in metadefs.resource_types()] == ['a']

    @pytest.mark.parametrize('kind', KINDS)
    @pytest.mark.parametrize('protected', [False, True])
    def test_nothing_is_left_of_a_definition_that_has_an_item_twice(
            self, metadefs, kind, protected):
        items: dict[str, Any] = {
            kind: (item(kind, 'b', 'x'), item(kind, 'c'), item(kind, 'b', 'y'))}
        twice = dataclasses.replace(definition('N', 'a', protected=protected), **items)

        for ask in (lambda: metadefs.add(twice), lambda: metadefs.replace(twice),
                    lambda: metadefs.merge(twice, prefer_new=True)):
            with conflict('b'):
                ask()

        with not_found('Namespace N not found'):
            metadefs.get('N')
        assert not metadefs.resource_types()

    def test_of_many_who_add_a_namespace_one_does(self, metadefs):
        won = race(8, lambda n: metadefs.add(definition('N', f'i{n}', 'same', mark=str(n))))

        assert len(won) == 1
        assert whole(metadefs) == won[0]

    def test_many_who_add_associations_with_new_types_succeed(self, metadefs):
        won = race(8, lambda n: metadefs.add(definition(
            f'N{n}', *(f'T{(n + i) % 4}' for i in range(4)))))

        assert len(won) == 8
        assert sorted(each.name for each in metadefs.resource_types()) == [
            'T0', 'T1', 'T2', 'T3']
        for kept in won:
            assert len(kept.resource_types) == 4
            assert whole(metadefs, kept.namespace.namespace) == kept

    # --- changing a namespace

    def test_an_update_of_a_namespace_changes_what_it_names(self, metadefs, host):
        kept = metadefs.add(full(), seeded=True)
        host.advance(seconds=5)

        written = metadefs.update(kept.namespace, {
            'display_name': None, 'visibility': 'private', 'protected': False, 'owner': 'q'})

        assert written == dataclasses.replace(
            kept.namespace, display_name=None, visibility='private', protected=False, owner='q',
            updated_at=host.now())
        assert whole(metadefs, 'Full') == dataclasses.replace(kept, namespace=written)
        again = metadefs.update(kept.namespace, {'description': 'other'})
        assert again == dataclasses.replace(written, description='other')

    def test_a_renamed_namespace_has_its_items_and_its_id(self, metadefs):
        kept = metadefs.add(full())

        written = metadefs.update(kept.namespace, {'namespace': 'New'})

        assert (written.namespace, written.id) == ('New', kept.namespace.id)
        assert whole(metadefs, 'New') == dataclasses.replace(kept, namespace=written)
        with not_found('Namespace Full not found'):
            metadefs.get('Full')
        with not_found('Namespace Full not found'):
            metadefs.update(kept.namespace, {})
        assert metadefs.add(definition('Full')).namespace.id != written.id

    def test_a_namespace_cannot_get_the_name_of_another(self, metadefs):
        kept = [metadefs.add(definition(name, 'a')) for name in ('N', 'M')]

        with conflict('Namespace M already exists'):
            metadefs.update(kept[0].namespace, {'namespace': 'M', 'description': 'lost'})

        assert [whole(metadefs, name) for name in ('N', 'M')] == kept
        assert metadefs.update(kept[0].namespace, {'namespace': 'N'}).namespace == 'N'

    def test_of_many_namespaces_one_gets_a_name(self, metadefs):
        kept = [metadefs.add(definition(f'N{n}', mark=str(n))).namespace for n in range(8)]

        won = race(8, lambda n: metadefs.update(kept[n], {'namespace': 'N'}))

        assert len(won) == 1
        assert metadefs.get('N') == won[0]

    @pytest.mark.parametrize('field', ['id', 'created_at', 'updated_at', 'no_such_field'])
    def test_unknown_fields_of_a_namespace_raise_a_type_error(self, metadefs, field):
        kept = metadefs.add(definition())

        with pytest.raises(TypeError):
            metadefs.update(kept.namespace, {field: None})

        assert whole(metadefs) == kept

    # --- removing

    def test_a_removed_namespace_leaves_only_its_types(self, metadefs):
        kept, other = metadefs.add(definition('N', 'a')), metadefs.add(definition('M', 'a'))

        assert metadefs.remove('N') == kept.namespace

        with not_found('Namespace N not found'):
            metadefs.remove('N')
        assert [each.name for each in metadefs.resource_types()] == ['a']
        assert whole(metadefs, 'M') == other
        assert given(metadefs.add(definition('N'))) == definition('N')
        assert whole(metadefs) == metadefs.read('N', ())

    def test_nothing_of_a_protected_namespace_is_removed(self, metadefs):
        kept = metadefs.add(definition('N', 'a', protected=True))

        for ask in (lambda: metadefs.remove('N'), *(
                ask for kind in KINDS for ask in (
                    lambda kind=kind: metadefs.remove_item('N', kind, 'a'),
                    lambda kind=kind: metadefs.remove_items('N', kind)))):
            with pytest.raises(contract.Forbidden, match='Namespace N is protected'):
                ask()
        for kind in KINDS:
            with not_found(f'{kind}: no b'):
                metadefs.remove_item('N', kind, 'b')
        assert whole(metadefs) == kept

    def test_a_protected_namespace_can_be_changed(self, metadefs):
        kept = metadefs.add(definition('N', 'a', protected=True))

        for kind in KINDS:
            metadefs.add_items('N', [item(kind, 'b')])
            metadefs.update_item('N', 'b', item(kind, 'c'))
        metadefs.add_items('N', [DefinedTag('d')], replace=True)

        assert names(metadefs, 'tags') == ['d']
        assert metadefs.update(kept.namespace, {'protected': False}).protected is False
        assert metadefs.remove('N').namespace == 'N'

    def test_what_is_added_to_a_namespace_while_it_is_removed_is_gone(self, metadefs):
        for kind in KINDS:
            metadefs.add(definition())

            race(8, lambda n, kind=kind: metadefs.add_items('N', [
                item(kind, f'i{n}')]) if n else metadefs.remove('N'))

            metadefs.add(definition())
            assert names(metadefs, kind) == []
            metadefs.remove('N')

    def test_clear_removes_everything(self, metadefs):
        metadefs.add(full())
        metadefs.add(definition('N', 'a', protected=True))

        metadefs.clear()

        assert metadefs.list(contract.NamespaceQuery(
            contract.Viewer(is_admin=True))).items == ()
        assert not metadefs.resource_types()
        assert given(metadefs.add(full())) == full()
        metadefs.clear()
        metadefs.clear()
