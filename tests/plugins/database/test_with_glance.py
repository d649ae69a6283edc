"""Glance itself creates a database, shares it with the plugin, and still serves it."""

import subprocess

import pytest

from glancelite.contract import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    ImageQuery,
    Namespace,
    NamespaceQuery,
    TaskQuery,
    Viewer,
)
from glancelite.testing.contracts.database.metadefs import given, whole
from glancelite.testing.contracts.database.tasks import claim, claimed, new
from glancelite.testing.contracts.database.values import BEGINNING
from tests.servers import glance

#: uses the tasks as the API and the workers of Glance do
TASKS_OF_GLANCE = """
import sys
from oslo_config import cfg
from oslo_db import options
from glance.common import config
from glance.context import RequestContext
from glance.db.sqlalchemy import api
cfg.CONF([], project='glance', default_config_files=[])
options.set_defaults(cfg.CONF, connection=sys.argv[1])
context = RequestContext(is_admin=True, project_id='p')
given = dict(type='import', status='pending', owner='p', input={'k': 'v'}, message='')
made = [api.task_create(context, {**given, 'id': task_id}) for task_id in ('one', 'two')]
api.task_update(context, 'one', {'status': 'success', 'result': {'image_id': 'i'}})
print(sorted((task['id'], task['status'], task['owner']) for task in api.task_get_all(context)))
"""


@pytest.fixture
def url(mariadb_server):
    url = mariadb_server.create('utf8mb3')      # as Glance's installation guide creates it
    yield url
    mariadb_server.drop(url)


def test_glance_serves_the_database_after_its_conversion(make_sql, url):
    old = {'name': 'Old', 'disk_format': 'raw', 'container_format': 'bare', 'tags': ['a'],
           'Keep': '1', 'other': 'é'}
    with glance.server(glance.install(), url) as request:
        status, before = request('POST', '/v2/images', old)
        assert status == 201
        path = f'/v2/images/{before["id"]}'
        database = make_sql(url)
        assert database.behind() is True

        assert 'exactly now' in database.sync()     # while Glance runs

        assert request('GET', path) == (200, before)
        seen = database.images.get(before['id'], viewer=None)
        database.images.update(seen, {'tags': ('A', 'a'), 'properties': {
            'Keep': '1', 'keep': '2', 'kéep': '3', 'smile': '😀'}})
        status, shown = request('GET', path)
        assert (status, shown['keep'], shown['Keep'], shown['kéep']) == (200, '2', '1', '3')
        assert (set(shown['tags']), shown['smile']) == ({'a', 'A'}, '😀')

        status, new = request('POST', '/v2/images', {'name': 'new', 'tags': ['t', 'T'],
                                                     'UPPER': '1', 'upper': '2'})
        assert status == 201
        status, new = request('PATCH', f'/v2/images/{new["id"]}', [
            {'op': 'replace', 'path': '/name', 'value': 'newer'},
            {'op': 'add', 'path': '/Upper', 'value': '3'}])
        assert (status, new['UPPER'], new['upper'], new['Upper']) == (200, '1', '2', '3')
        status, listed = request('GET', '/v2/images?sort=name:asc')
        assert [image['name'] for image in listed['images']] == ['Old', 'newer']
        assert request('GET', '/v2/images?name=old')[1]['images'] == []
        assert request('DELETE', f'/v2/images/{new["id"]}')[0] == 204

        rest = database.images.list(ImageQuery(Viewer(None, True), 'all')).items
        assert [image.id for image in rest] == [before['id']]


def test_glance_goes_on_with_its_tasks_in_the_same_tables(make_sql, url):
    venv = glance.install()
    with glance.server(venv, url):
        database = make_sql(url)
        database.sync()
    tasks = database.tasks
    ours = tasks.add(new(owner='p'))
    held = claimed(tasks, owner='p')

    shown = subprocess.run([venv / 'bin/python', '-c', TASKS_OF_GLANCE, url], text=True,
                           capture_output=True, check=False)

    assert shown.stdout.strip() == str(sorted([
        ('one', 'success', 'p'), ('two', 'pending', 'p'), (ours.id, 'pending', 'p'),
        (held.id, 'processing', 'p')])), shown.stderr
    assert {task.id for task in tasks.list(TaskQuery(BEGINNING, 'p', ('import',))).items} == {
        'one', 'two', ours.id, held.id}
    assert (tasks.get('one').result, tasks.get('two').input) == ({'image_id': 'i'}, {'k': 'v'})
    assert [claim(tasks).id, claim(tasks)] == [ours.id, None]
    assert tasks.update(held, {'status': 'success'}).is_finished


SCHEMA = {'title': 'K', 'type': 'string', 'enum': ['a', 'é'], 'default': 'a', 'operators': ['s==']}
DEFINITION = Definition(
    Namespace('Ours', 'D', 'é 漢字', 'public', False, 'p'),
    (Association('OS::Nova::Flavor', prefix='hw:', properties_target='image'),),
    (DefinedObject('o', description='d', required=('k', 'other'), properties={'k': SCHEMA}),),
    (DefinedProperty('k', schema=SCHEMA),), (DefinedTag('Tag'),))


def test_glance_and_the_plugin_share_metadata_definitions(make_sql, url):
    path = '/v2/metadefs/namespaces'
    body = {
        'namespace': 'Theirs', 'display_name': 'D', 'description': 'é 漢字',
        'visibility': 'public', 'owner': 'p', 'tags': [{'name': 'Tag'}],
        'resource_type_associations': [{
            'name': 'OS::Nova::Flavor', 'prefix': 'hw:', 'properties_target': 'image'}],
        'properties': {'k': SCHEMA}, 'objects': [{
            'name': 'o', 'description': 'd', 'required': ['k', 'other'],
            'properties': {'k': SCHEMA}}]}
    with glance.server(glance.install(), url) as request:
        assert request('POST', path, body)[0] == 201
        database = make_sql(url)
        database.sync()         # while Glance runs
        metadefs = database.metadefs

        theirs = whole(metadefs, 'Theirs')
        assert given(theirs) == Definition(
            Namespace('Theirs', 'D', 'é 漢字', 'public', False, 'p'), *(
                getattr(DEFINITION, kind) for kind in (
                    'resource_types', 'objects', 'properties', 'tags')))
        ours = metadefs.add(DEFINITION)
        metadefs.add_items('Ours', [DefinedObject('[odd', required=('a,b', 'c'))])
        metadefs.add_items('Ours', [DefinedTag('tag')])

        status, shown = request('GET', f'{path}/Ours')
        assert status == 200
        same = {name: value for name, value in body.items()
                if name not in ('namespace', 'tags', 'objects', 'resource_type_associations')}
        assert {name: shown[name] for name in same} == same
        assert {tag['name'] for tag in shown['tags']} == {'Tag', 'tag'}
        objects = {each['name']: each for each in shown['objects']}
        assert objects.keys() == {'o', '[odd'}
        assert {name: objects['o'][name] for name in body['objects'][0]} == body['objects'][0]
        assert shown['resource_type_associations'][0]['prefix'] == 'hw:'
        status, listed = request('GET', f'{path}?resource_types=OS::Nova::Flavor&sort_key='
                                        'namespace&sort_dir=asc')
        assert [each['namespace'] for each in listed['namespaces']] == ['Ours', 'Theirs']

        status, _ = request('PUT', f'{path}/Ours', {
            'namespace': 'ours', 'owner': 'p', 'protected': True})
        assert status == 200
        found = metadefs.get('ours')
        assert (found.protected, found.visibility, found.id) == (
            True, 'private', ours.namespace.id)
        metadefs.update(found, {'protected': False})
        assert request('DELETE', f'{path}/ours')[0] == 204
        assert metadefs.remove('Theirs') == theirs.namespace
        assert request('GET', path)[1]['namespaces'] == []
        assert metadefs.list(NamespaceQuery(Viewer(None, True))).items == ()
        assert [each.name for each in metadefs.resource_types()] == ['OS::Nova::Flavor']
