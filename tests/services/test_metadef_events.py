"""The events about metadata definitions, and their payloads."""

import pytest

from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
)
from glancelite.services.chains import NotifierGroup
from glancelite.services.events import Events
from glancelite.testing import service
from glancelite.testing.fakes import Recorder

SCHEMA = {'title': 'T', 'type': 'integer', 'default': 0, 'minimum': 0, 'enum': [1],
          'uniqueItems': False, 'operators': ['<or>']}
KEYS = {'name', 'type', 'title', 'description', 'default', 'minimum', 'maximum', 'enum',
        'pattern', 'minLength', 'maxLength', 'confidential', 'items', 'uniqueItems', 'minItems',
        'maxItems', 'additionalItems'}
FULL = Definition(
    Namespace('n', display_name='N', visibility='public'),
    resource_types=[Association('r', prefix='hw_')],
    objects=[DefinedObject('o', 'd', ('x',), {'x': SCHEMA})],
    properties=[DefinedProperty('p', schema=SCHEMA)], tags=[DefinedTag('t'), DefinedTag('u')])


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def cases(core, recorder):
    return service.exchange(core, notifiers=[recorder]).use_cases


@pytest.fixture
def filled(cases, admin, recorder):
    """Use cases with a namespace, whose events are forgotten."""
    cases.metadef_namespaces.create(admin, FULL)
    recorder.events.clear()
    return cases


def test_a_whole_namespace_emits_an_event_for_each_part(cases, admin, recorder):
    cases.metadef_namespaces.create(admin, FULL)

    assert recorder.types == [
        'metadef_namespace.create', 'metadef_resource_type.create', 'metadef_object.create',
        'metadef_tag.create', 'metadef_tag.create', 'metadef_property.create']
    namespace, association, defined, tag, _, plain = [event.payload for event in recorder.events]
    created = namespace.pop('created_at')
    assert namespace == {
        'namespace': 'n', 'namespace_old': 'n', 'display_name': 'N', 'protected': False,
        'visibility': 'public', 'owner': 'admins', 'description': None, 'updated_at': created,
        'deleted': False, 'deleted_at': None}
    assert association == {
        'namespace': 'n', 'name': 'r', 'name_old': 'r', 'prefix': 'hw_',
        'properties_target': None, 'created_at': created, 'updated_at': created,
        'deleted': False, 'deleted_at': None}
    assert tag == {'namespace': 'n', 'name': 't', 'name_old': 't', 'created_at': created,
                   'updated_at': created, 'deleted': False, 'deleted_at': None}
    assert plain.keys() == KEYS | {'namespace', 'name_old', 'deleted', 'deleted_at'}
    assert (plain['default'], plain['uniqueItems'], plain['enum']) == (0, False, [1])
    assert (defined['required'], defined['description'], defined['name_old']) == (
        ['x'], 'd', 'o')


def test_false_values_of_the_properties_of_an_object_are_null(filled, admin, recorder):
    filled.metadef_objects.replace(admin, 'n', 'o', FULL.objects[0])

    shown, = recorder.events[0].payload['properties']
    assert shown.keys() == KEYS
    assert (shown['name'], shown['type'], shown['enum']) == ('x', 'integer', [1])
    assert (shown['default'], shown['minimum'], shown['uniqueItems']) == (None, None, None)


@pytest.mark.parametrize(('items', 'event', 'old', 'new'), [
    ('objects', 'metadef_object', 'o', DefinedObject('new')),
    ('properties', 'metadef_property', 'p', DefinedProperty('new', schema=SCHEMA)),
    ('tags', 'metadef_tag', 't', DefinedTag('new'))])
def test_an_event_about_a_change_has_the_old_name(filled, admin, recorder, items, event, old, new):
    getattr(filled, f'metadef_{items}').replace(admin, 'n', old, new)

    payload = recorder.events[0].payload
    assert recorder.types == [f'{event}.update']
    assert (payload['namespace'], payload['name'], payload['name_old'], payload['deleted']) == (
        'n', 'new', old, False)


@pytest.mark.parametrize(('items', 'event', 'name'), [
    ('objects', 'metadef_object', 'o'), ('properties', 'metadef_property', 'p'),
    ('tags', 'metadef_tag', 't'), ('resource_types', 'metadef_resource_type', 'r')])
def test_an_event_about_a_deletion_has_its_time(filled, admin, recorder, items, event, name):
    getattr(filled, f'metadef_{items}').remove(admin, 'n', name)

    payload = recorder.events[0].payload
    assert recorder.types == [f'{event}.delete']
    assert (payload['namespace'], payload['name'], payload['deleted']) == ('n', name, True)
    assert payload['deleted_at'].endswith('Z')


def test_events_about_the_namespace_itself(filled, admin, recorder):
    filled.metadef_tags.clear(admin, 'n')
    filled.metadef_namespaces.update(admin, 'n', Namespace('m'))
    filled.metadef_namespaces.delete(admin, 'm')

    assert recorder.types == ['metadef_namespace.delete_tags', 'metadef_namespace.update',
                              'metadef_namespace.delete']
    cleared, updated, deleted = [event.payload for event in recorder.events]
    assert (cleared['namespace'], cleared['deleted']) == ('n', False)
    assert (updated['namespace'], updated['namespace_old']) == ('m', 'n')
    assert deleted['deleted'] is True
    assert deleted['deleted_at'].endswith('Z')


def test_each_tag_has_its_event(filled, admin, recorder):
    filled.metadef_tags.add_all(admin, 'n', [DefinedTag('a'), DefinedTag('b')], append=False)
    filled.metadef_tags.add_all(admin, 'n', [], append=False)

    assert [(event.type, event.payload['name']) for event in recorder.events] == [
        ('metadef_tag.create', 'a'), ('metadef_tag.create', 'b')]


@pytest.mark.parametrize(('disabled', 'sent'), [
    (['metadef_tag'], ['metadef_namespace.create', 'metadef_resource_type.create',
                       'metadef_object.create', 'metadef_property.create']),
    (['metadef_namespace.create', 'metadef_tag.create', 'metadef_object', 'metadef_property'],
     ['metadef_resource_type.create']), (['metadef_namespace.update'], None)])
def test_events_are_disabled_by_group_or_type(core, admin, recorder, disabled, sent):
    events = Events(NotifierGroup([recorder], disabled), core.layers.host)
    quiet = service.exchange(core, events=events).use_cases

    quiet.metadef_namespaces.create(admin, FULL)
    quiet.metadef_namespaces.update(admin, 'n', Namespace('n'))

    if sent is None:
        assert 'metadef_namespace.update' not in recorder.types
        assert len(recorder.types) == 6
    else:
        assert [each for each in recorder.types if each != 'metadef_namespace.update'] == sent
