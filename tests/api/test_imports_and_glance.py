"""Imports and tasks have the same statuses and bodies as with Glance, or a reason not to."""

import dataclasses
import json
import re

import pytest
import webtest

from glancelite.api.app import make_app
from glancelite.testing import service
from tests.api.conftest import Tokens
from tests.servers import dropping_web, glance, process

DATA = b'the data of an image ' * 1000
BYTES = {'Content-Type': 'application/octet-stream'}
JSON = {'Content-Type': 'application/json'}
OWN, OTHER, READER, ADMIN = 'own', 'other', 'own:reader', 'admins:admin,member,reader'
UNKNOWN = '00000000-0000-0000-0000-000000000000'
METHODS = '[glance-direct, web-download, copy-image, glance-download]'
FILTERS = {'allowed_hosts': '[127.0.0.1]', 'allowed_ports': '[]'}
DIRECT, COPY = {'name': 'glance-direct'}, {'name': 'copy-image'}


class Side:
    """One of the two services; ``send(method, path, body, headers, token)`` asks it."""

    def __init__(self, send, run, web):
        self._send = send
        self._run = run
        self.web = web

    def __call__(self, method, path, body=None, token=OWN, **headers):
        """The status of an answer."""
        return self.answer(method, path, body, token, **headers)[0]

    def answer(self, method, path, body=None, token=OWN, **headers):
        """Status, headers and body; the body is parsed if it is JSON."""
        sent = {name.replace('_', '-'): value for name, value in headers.items()}
        if isinstance(body, (dict, list)):
            sent, body = JSON | sent, json.dumps(body).encode()
        elif body is not None:
            sent = BYTES | sent
        status, received, content = self._send(method, path, body, sent, token)
        if received.get('Content-Type', '').startswith('application/json') and content:
            content = json.loads(content)
        return status, received, content

    def get(self, path, token=OWN):
        status, _, body = self.answer('GET', path, token=token)
        assert status == 200, body
        return body

    def new(self, token=OWN, **attributes):
        """Id of a new image."""
        status, _, image = self.answer('POST', '/v2/images', {
            'disk_format': 'raw', 'container_format': 'bare', **attributes}, token)
        assert status == 201, image
        return image['id']

    def staged(self, **attributes):
        image_id = self.new(**attributes)
        assert self('PUT', f'/v2/images/{image_id}/stage', DATA) == 204
        return image_id

    def active(self, **attributes):
        image_id = self.new(**attributes)
        assert self('PUT', f'/v2/images/{image_id}/file', DATA) == 204
        return image_id

    def start(self, image_id, method, token=OWN, *, header=None, **body):
        """Ask for an import; return the status."""
        named = {} if header is None else {'X_Image_Meta_Store': header}
        return self('POST', f'/v2/images/{image_id}/import', {'method': method, **body}, token,
                    **named)

    def imported(self, image_id):
        """The image when its import has ended."""
        self._run()

        def ended():
            image = self.get(f'/v2/images/{image_id}', ADMIN)
            return None if 'os_glance_import_task' in image else image
        image = process.until(ended, timeout=60)
        assert image, image_id
        return image

    def ended(self, task_id):
        """The task when it has ended."""
        self._run()

        def read():
            task = self.get(f'/v2/tasks/{task_id}', ADMIN)
            return task if task['status'] in ('success', 'failure') else None
        task = process.until(read, timeout=60)
        assert task, task_id
        return task


@pytest.fixture(scope='module')
def web():
    with dropping_web.running(DATA) as server:
        yield server


@pytest.fixture(scope='module')
def reference(web):
    """Glance, with two stores and all import methods."""
    with process.directory('glance-stores') as home, glance.server(glance.install(), config={
            'DEFAULT': {'enabled_backends': 'fast:file, cold:file',
                        'enabled_import_methods': METHODS},
            'glance_store': {'default_backend': 'fast'},
            'fast': {'filesystem_store_datadir': home / 'fast'},
            'cold': {'filesystem_store_datadir': home / 'cold'},
            'task': {'work_dir': home / 'work'},
            'import_filtering_opts': FILTERS}, identified=True) as running:

        def send(method, path, body, headers, token):
            project, _, roles = token.partition(':')
            headers = {
                **headers, 'X-Identity-Status': 'Confirmed', 'X-User-Id': f'user-of-{project}',
                'X-Project-Id': project, 'X-Roles': roles or 'member,reader'}
            for _ in range(3):      # on SQLite it fails while a task writes
                answer = running.send(method, path, body, headers)
                if answer.status != 500:
                    break
            return answer.status, answer.headers, answer.body

        yield Side(send, lambda: None, web)


@pytest.fixture
def ours(tmp_path, web):
    """The service of the tests of the API, with the same options."""
    core = service.build(tmp_path, f"""{service.MEMORY}
middleware = request_id
[DEFAULT]
enabled_import_methods = {METHODS}
[import_filtering_opts]
allowed_hosts = {FILTERS["allowed_hosts"]}
allowed_ports = {FILTERS["allowed_ports"]}
""")
    app = webtest.TestApp(make_app(dataclasses.replace(core, authenticator=Tokens())))

    def send(method, path, body, headers, token):
        answer = app.request(path, method=method, body=body or b'', expect_errors=True,
                             headers={**headers, 'X-Auth-Token': token})
        return answer.status_int, answer.headers, answer.body

    def run():
        while core.use_cases.work.run():
            pass

    yield Side(send, run, web)
    core.close()


def alike(value):
    """A JSON document without what differs in each run, and what differs on purpose.

    Tasks of Glance say ``Copied 0 MiB`` when they have ended; ours have ``progress``.
    """
    text = json.dumps(value, sort_keys=True)
    for pattern, name in (
            (r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID'),
            (r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', 'TIME'), (r'TIME\.\d{6}', 'FINE TIME'),
            (r'http://(127.0.0.1|localhost)(:\d+)?', 'URL'), (r'Copied \d+ MiB', ''),
            (r'"cold,fast"', '"fast,cold"'), (r', "progress": {[^}]*}', '')):
        text = re.sub(pattern, name, text)
    return json.loads(text)


# --- stage

def stage(side, image_id, body=DATA, token=OWN, **headers):
    return side('PUT', f'/v2/images/{image_id}/stage', body, token, **headers)


def stages(side):
    """What is asked: status."""
    queued, staged = side.new(), side.staged()
    seen = side.new(visibility='community')
    yield 'another media type', stage(side, queued, Content_Type='text/plain')
    yield 'a size that is no number', stage(side, queued, x_openstack_image_size='x')
    yield 'an unknown image', stage(side, UNKNOWN)
    yield 'an image of others', stage(side, queued, token=OTHER)
    yield 'a visible image of others', stage(side, seen, token=OTHER)
    yield 'a reader', stage(side, queued, token=READER)
    yield 'an active image', stage(side, side.active())
    yield 'a staged image', stage(side, staged)
    yield 'a queued image', stage(side, queued)
    yield 'no formats', stage(side, side.new(disk_format=None, container_format=None))
    yield 'a store in the header', stage(side, side.new(), x_image_meta_store='nowhere')
    yield 'no data', stage(side, side.new(), b'')
    yield 'the right size', stage(side, side.new(), x_openstack_image_size=str(len(DATA)))
    yield 'more than announced', stage(side, side.new(), x_openstack_image_size='5')
    yield 'less than announced', stage(side, side.new(), x_openstack_image_size='50000')
    yield 'another method', side('GET', f'/v2/images/{staged}/stage')
    yield 'download', side('GET', f'/v2/images/{staged}/file')
    yield 'upload', side('PUT', f'/v2/images/{staged}/file', DATA)
    yield 'delete', side('DELETE', f'/v2/images/{staged}')


# --- import

def imports(side):
    """What is asked: status."""
    queued, staged, active, empty = side.new(), side.staged(), side.active(), side.staged()
    web = {'name': 'web-download', 'uri': f'{side.web.url}/file'}
    remote = {'name': 'glance-download', 'glance_region': 'r', 'glance_image_id': UNKNOWN}

    def post(body, image_id=staged):
        return side('POST', f'/v2/images/{image_id}/import', body, Content_Type='application/json')

    yield 'no body', post(b'')
    yield 'no JSON', post(b'{')
    yield 'no method', post({})
    yield 'no name', post({'method': {}})
    yield 'an unknown method', side.start(staged, {'name': 'x'})
    yield 'all_stores a text', side.start(staged, DIRECT, all_stores='yes')
    yield 'all_stores_must_succeed a number', side.start(staged, DIRECT,
                                                         all_stores_must_succeed=1)
    yield 'an unknown image', side.start(UNKNOWN, DIRECT)
    yield 'an image of others', side.start(staged, DIRECT, OTHER)
    yield 'glance-direct of a queued image', side.start(queued, DIRECT)
    yield 'glance-direct of an active image', side.start(active, DIRECT)
    yield 'web-download of a staged image', side.start(staged, web)
    yield 'web-download of an active image', side.start(active, web)
    yield 'glance-download of a staged image', side.start(staged, remote)
    yield 'copy-image of a queued image', side.start(queued, COPY, ADMIN)
    yield 'no formats', side.start(side.new(disk_format=None), web)
    yield 'no container format', side.start(side.new(container_format=None), web)
    for name in 'glance_region', 'glance_image_id':
        yield f'no {name}', side.start(queued, {
            key: value for key, value in remote.items() if key != name})
    yield 'a remote image that is no UUID', side.start(queued, {**remote,
                                                                'glance_image_id': 'x'})
    yield 'a visible image of others', side.start(
        side.new(visibility='community'), web, OTHER)
    yield 'a reader', side.start(queued, web, READER)
    yield 'a copy by a member', side.start(active, COPY, all_stores=True)
    yield 'an unknown store', side.start(staged, DIRECT, stores=['nowhere'])
    yield 'stores a text', side.start(staged, DIRECT, stores='fast')
    yield 'an unknown store in the header', side.start(staged, DIRECT, header='nowhere')
    yield 'all stores and a store', side.start(staged, DIRECT, all_stores=True, stores=['fast'])
    yield 'all stores and a header', side.start(staged, DIRECT, all_stores=True, header='fast')
    yield 'stores and a header', side.start(staged, DIRECT, stores=['fast'], header='fast')
    yield 'a copy where it is', side.start(active, COPY, ADMIN, stores=['fast'])
    yield 'a copy without a store', side.start(active, COPY, ADMIN)
    yield 'no URI', side.start(queued, {'name': 'web-download'})
    yield 'a URI of another scheme', side.start(queued, {**web, 'uri': 'ftp://127.0.0.1/x'})
    yield 'a URI of this host', side.start(queued, {**web, 'uri': 'http://localhost/x'})
    yield 'metadata of clouds', side.start(queued, {**web, 'uri': 'http://169.254.169.254/'})
    yield 'a URI that is a number', side.start(queued, {**web, 'uri': 5})
    yield 'a method that is a text', side.start(queued, 'glance-direct')
    yield 'a body that is a list', post([])
    yield 'another method of HTTP', side('PUT', f'/v2/images/{staged}/import', {})
    yield 'a staged image', side.start(staged, DIRECT)
    side.imported(staged)
    yield 'glance-direct again', side.start(staged, DIRECT)
    yield 'a copy to all', side.start(staged, COPY, ADMIN, all_stores=True)
    side.imported(staged)
    yield 'a copy with nothing to do', side.start(staged, COPY, ADMIN, all_stores=True)
    yield 'no store in the list', side.start(empty, DIRECT, stores=[])


# --- tasks

def tasks(side):
    """What is asked: status."""
    image_id = side.staged()
    side.start(image_id, DIRECT)
    side.imported(image_id)
    task = side.get(f'/v2/images/{image_id}/tasks')['tasks'][0]['id']
    given = {'import_from': f'{side.web.url}/file', 'import_from_format': 'raw',
             'image_properties': {}}

    def create(body, token=ADMIN):
        return side('POST', '/v2/tasks', body, token, Content_Type='application/json')

    yield 'list', side('GET', '/v2/tasks', token=ADMIN)
    for query in ('limit=0', 'limit=-1', 'limit=x', 'marker=x', f'marker={UNKNOWN}',
                  f'marker={task}', 'sort_key=status', 'sort_key=x', 'sort_dir=asc', 'sort_dir=x',
                  'status=success', 'status=x', 'type=import', 'type=api_image_import',
                  'owner=own', f'id={task}', f'image_id={image_id}'):
        name = query.replace(task, 'of a task').replace(image_id, 'of an image')
        yield f'list {name}', side('GET', f'/v2/tasks?{query}', token=ADMIN)
    yield 'list by a member', side('GET', '/v2/tasks')
    yield 'show', side('GET', f'/v2/tasks/{task}', token=ADMIN)
    yield 'show by a member', side('GET', f'/v2/tasks/{task}')
    yield 'show an unknown one', side('GET', f'/v2/tasks/{UNKNOWN}', token=ADMIN)
    yield 'show no UUID', side('GET', '/v2/tasks/x', token=ADMIN)
    yield 'delete', side('DELETE', f'/v2/tasks/{task}', token=ADMIN)
    yield 'delete by a member', side('DELETE', f'/v2/tasks/{task}')
    yield 'change', side('PUT', f'/v2/tasks/{task}', {}, ADMIN)
    yield 'create by a member', create({'type': 'import', 'input': given}, OWN)
    yield 'no body', create(b'')
    yield 'no type', create({'input': given})
    yield 'no input', create({'type': 'import'})
    yield 'an unknown type', create({'type': 'x', 'input': given})
    yield 'input a text', create({'type': 'import', 'input': 'x'})
    for url in ('file:///etc/passwd', 'swift://x/y', 'x', '', 'http://localhost/x',
                'http://169.254.169.254/'):
        yield f'import from {url}', create({'type': 'import', 'input': {
            **given, 'import_from': url}})
    yield 'nothing to import from', create({'type': 'import', 'input': {
        'import_from_format': 'raw', 'image_properties': {}}})
    yield 'of an image', side('GET', f'/v2/images/{image_id}/tasks')
    yield 'of an image by others', side('GET', f'/v2/images/{image_id}/tasks', token=OTHER)
    yield 'of an unknown image', side('GET', f'/v2/images/{UNKNOWN}/tasks')
    yield 'of an image, posted', side('POST', f'/v2/images/{image_id}/tasks', {})


#: what is asked -> the status of Glance, and ours: these mistakes of callers are told to them,
#: and what no caller may do is 405
DIFFERENT = {
    imports: {'a URI that is a number': (500, 400), 'a method that is a text': (500, 400),
              'a body that is a list': (500, 400), 'no store in the list': (202, 400)},
    tasks: {'delete by a member': (403, 405), 'of an image, posted': (404, 405)}}


@pytest.mark.parametrize('story', [stages, imports, tasks])
def test_statuses_are_those_of_glance(story, ours, reference):
    expected, found = dict(story(reference)), dict(story(ours))

    assert {name: (status, found[name]) for name, status in expected.items()
            if found.get(name) != status} == DIFFERENT.get(story, {})


# --- what is shown

def shown_staged(side):
    return side.get(f'/v2/images/{side.staged()}')


def shown_direct(side):
    image_id = side.staged(name='n')
    assert side.start(image_id, DIRECT, stores=['cold', 'fast']) == 202
    return side.imported(image_id), side.get(f'/v2/images/{image_id}/tasks')


def shown_download(side):
    image_id = side.new()
    assert side.start(image_id, {'name': 'web-download', 'uri': f'{side.web.url}/file'},
                      all_stores=True, all_stores_must_succeed=False) == 202
    return side.imported(image_id), side.get(f'/v2/images/{image_id}/tasks')


def shown_copy(side):
    image_id = side.active()
    assert side.start(image_id, COPY, ADMIN, stores=['cold']) == 202
    return (side.imported(image_id), side.get(f'/v2/images/{image_id}/tasks'),
            side.get(f'/v2/images/{image_id}/tasks', ADMIN))


def shown_methods(side):
    return side.get('/v2/info/import', 'own:none')


def shown_schemas(side):
    """All but the descriptions, which are our own."""
    return [re.sub(r'"description": "[^"]*"', '', json.dumps(
        side.get(f'/v2/schemas/{name}'), sort_keys=True)) for name in ('task', 'tasks')]


def shown_headers(side):
    """The header of the stores; that of Glance has its reserved ones too."""
    headers = side.answer('POST', '/v2/images', {})[1]
    stores = headers['OpenStack-image-store-ids'].split(',')
    return headers['OpenStack-image-import-methods'], [
        name for name in stores if not name.startswith('os_glance')]


def shown_failure(side):
    image_id = side.new()
    side.web.site.statuses.append(404)
    assert side.start(image_id, {'name': 'web-download', 'uri': f'{side.web.url}/file'}) == 202
    image = side.imported(image_id)
    [task] = side.get(f'/v2/images/{image_id}/tasks')['tasks']
    return image, task['status'], task['result']


def shown_task(side):
    status, headers, created = side.answer('POST', '/v2/tasks', {'type': 'import', 'input': {
        'import_from': f'{side.web.url}/file', 'import_from_format': 'raw',
        'image_properties': {'name': 'n', 'disk_format': 'raw', 'container_format': 'bare',
                             'own': '1'}}}, ADMIN)
    task = side.ended(created['id'])
    image = side.get(f'/v2/images/{task["result"]["image_id"]}', ADMIN)
    # with Glance, the image has no owner, and it does not know its task, nor the task its image
    for name in 'owner', 'os_glance_importing_to_stores', 'os_glance_failed_import':
        image.pop(name, None)
    task.pop('image_id', None)
    return status, headers['Location'], created, task, image


def shown_tasks(side):
    image_id = side.staged()
    assert side.start(image_id, DIRECT) == 202
    side.imported(image_id)
    listing = side.get('/v2/tasks?limit=1&status=success', ADMIN)
    listing.pop('next', None)       # there is one if other tests have left tasks
    task = side.get(f'/v2/tasks/{listing["tasks"][0]["id"]}', ADMIN)
    return listing, task


@pytest.mark.parametrize('story', [shown_staged, shown_direct, shown_download, shown_copy,
                                   shown_methods, shown_failure, shown_task, shown_tasks,
                                   shown_schemas, shown_headers])
def test_bodies_are_those_of_glance(story, ours, reference):
    found, expected = alike(story(ours)), alike(story(reference))

    assert found == expected
