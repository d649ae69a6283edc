"""Staging and importing data, and the tasks that do it, on the wire."""

import pytest

from glancelite.api.app import make_app
from glancelite.testing import service
from tests.api.conftest import client, error

DATA = b'the data of an image ' * 1000
DIRECT = {'method': {'name': 'glance-direct'}}
COPY = {'method': {'name': 'copy-image'}}


@pytest.fixture
def stage(app):
    def send(image_id, data=DATA, **headers):
        return app.put(f'/v2/images/{image_id}/stage', data, headers=headers,
                       content_type='application/octet-stream')
    return send


@pytest.fixture
def start(app):
    """Request an import."""
    def post(image_id, body, status=202, **headers):
        return app.post_json(f'/v2/images/{image_id}/import', body, status=status,
                             headers={name.replace('_', '-'): value
                                      for name, value in headers.items()})
    return post


@pytest.fixture
def run(core):
    """Run all tasks that can run."""
    def claim():
        while core.use_cases.work.run():
            pass
    return claim


@pytest.fixture
def staged(new, stage):
    image_id = new()
    stage(image_id)
    return image_id


def test_the_methods_are_shown_to_every_caller(app, wsgi):
    shown = client(wsgi, 'own:none').get('/v2/info/import').json

    assert shown == {'import-methods': {
        'description': 'Import methods available.', 'type': 'array',
        'value': ['glance-direct', 'web-download', 'copy-image']}}


def test_without_methods_none_are_announced(core):
    app = client(make_app(service.exchange(core, importers={})))

    assert 'OpenStack-image-import-methods' not in app.post_json('/v2/images', {}).headers


def test_a_new_image_names_the_methods_and_the_stores(app):
    response = app.post_json('/v2/images', {})

    assert response.headers['OpenStack-image-import-methods'] == (
        'glance-direct,web-download,copy-image')
    assert response.headers['OpenStack-image-store-ids'] == 'fast,cold'


# --- stage

def test_staged_data_has_a_size_and_nothing_else(app, new, stage):
    image_id = new()

    assert stage(image_id).status_int == 204

    image = app.get(f'/v2/images/{image_id}').json
    assert (image['status'], image['size'], image['checksum'], image['os_hash_value']) == (
        'uploading', len(DATA), None, None)
    assert not [name for name in image if name.startswith('os_glance')]
    assert app.get(f'/v2/images/{image_id}/file').status_int == 204


def test_data_is_staged_once(app, staged):
    app.put(f'/v2/images/{staged}/stage', b'x', status=409,
            content_type='application/octet-stream')


def test_staged_data_has_the_media_type_of_image_data(app, new):
    app.put(f'/v2/images/{new()}/stage', b'x', status=415, content_type='text/plain')


def test_a_wrong_size_is_refused_and_the_image_queued(app, new):
    image_id = new()
    app.put(f'/v2/images/{image_id}/stage', b'abc', status=400,
            content_type='application/octet-stream', headers={'x-openstack-image-size': '4'})

    assert app.get(f'/v2/images/{image_id}').json['status'] == 'queued'
    app.put(f'/v2/images/{image_id}/stage', b'abc', status=400,
            content_type='application/octet-stream', headers={'x-openstack-image-size': 'x'})


def test_nobody_else_stages(new, other, app):
    shown = app.post_json('/v2/images', {'visibility': 'community'}).json['id']

    other.put(f'/v2/images/{new()}/stage', b'x', status=404,
              content_type='application/octet-stream')
    other.put(f'/v2/images/{shown}/stage', b'x', status=403,
              content_type='application/octet-stream')


# --- import

def test_an_import_makes_the_image_active(app, staged, start, run):
    response = start(staged, DIRECT)
    assert (response.body, 'Location' in response.headers) == (b'', False)
    run()

    image = app.get(f'/v2/images/{staged}').json
    assert (image['status'], image['stores']) == ('active', 'fast')
    assert (image['os_glance_importing_to_stores'], image['os_glance_failed_import']) == ('', '')
    assert 'os_glance_import_task' not in image
    assert app.get(f'/v2/images/{staged}/file').body == DATA


@pytest.mark.parametrize(('body', 'text'), [
    ({}, 'method'), ({'method': 'glance-direct'}, 'method'), ({'method': {}}, 'name'),
    ({'method': {'name': 'other'}}, 'Unknown import method'),
    ({'method': {'name': 5}}, 'Unknown import method'),
    ({**DIRECT, 'all_stores': 'yes'}, 'all_stores'),
    ({**DIRECT, 'all_stores_must_succeed': 1}, 'all_stores_must_succeed'),
    ({**DIRECT, 'stores': []}, 'at least one'),
    ({**DIRECT, 'all_stores': True, 'stores': ['fast']}, 'all_stores')])
def test_a_malformed_request_is_refused(staged, start, body, text):
    assert text in error(start(staged, body, status=400, Accept='application/json'))


@pytest.mark.parametrize('stores', [['none'], 'fast', [None], [['fast']]])
def test_an_unknown_store_is_a_conflict(staged, start, stores):
    start(staged, {**DIRECT, 'stores': stores}, status=409)


def test_the_header_names_a_store(app, staged, start, run):
    start(staged, DIRECT, X_Image_Meta_Store='cold')
    run()

    assert app.get(f'/v2/images/{staged}').json['stores'] == 'cold'


@pytest.mark.parametrize('method', [
    {'name': 'web-download'}, {'name': 'web-download', 'uri': 5},
    {'name': 'web-download', 'uri': 'ftp://192.0.2.1/x'},
    {'name': 'web-download', 'uri': 'http://127.0.0.1/x'}])
def test_a_uri_that_is_not_allowed_is_refused(new, start, method):
    start(new(), {'method': method}, status=400)


@pytest.mark.parametrize('body', [DIRECT, COPY])
def test_the_status_must_fit_the_method(new, start, body):
    start(new(), body, status=409)


@pytest.mark.parametrize('separator', ['', '?'])
def test_a_long_uri_is_refused(app, new, start, separator):
    image_id, uri = new(), f'http://192.0.2.1/{separator}{"x" * (16 << 10)}'
    refused = start(image_id, {'method': {'name': 'web-download', 'uri': uri}}, status=400)

    assert 'The request is too long' in refused.text
    assert 'os_glance_import_task' not in app.get(f'/v2/images/{image_id}').json


def test_a_store_is_shown_once(app, staged, start):
    start(staged, {**DIRECT, 'stores': ['fast'] * 10_000})
    task, = app.get(f'/v2/images/{staged}/tasks').json['tasks']

    assert task['input']['import_req']['stores'] == ['fast']


def test_the_formats_must_be_set(app, stage, start):
    image_id = app.post_json('/v2/images', {}).json['id']
    stage(image_id)

    start(image_id, DIRECT, status=409)


def test_an_unknown_image_is_not_found(start):
    start('00000000-0000-0000-0000-000000000000', DIRECT, status=404)


def test_a_second_import_is_a_conflict(app, staged, start):
    start(staged, DIRECT)
    assert app.get(f'/v2/images/{staged}').json['os_glance_import_task']

    start(staged, DIRECT, status=409)


def test_copies_are_for_administrators(app, admin, new, upload, start, run):
    image_id = new()
    upload(image_id)
    start(image_id, {**COPY, 'stores': ['cold']}, status=403)
    admin.post_json(f'/v2/images/{image_id}/import', {**COPY, 'stores': ['fast']}, status=400)
    admin.post_json(f'/v2/images/{image_id}/import', {**COPY, 'all_stores': True}, status=202)
    run()

    assert app.get(f'/v2/images/{image_id}').json['stores'] == 'fast,cold'
    admin.post_json(f'/v2/images/{image_id}/import', {**COPY, 'all_stores': True}, status=202)
    assert len(app.get(f'/v2/images/{image_id}/tasks').json['tasks']) == 0
    assert len(admin.get(f'/v2/images/{image_id}/tasks').json['tasks']) == 1


def test_a_patch_may_not_touch_the_lock(app, staged, start):
    start(staged, DIRECT)

    app.patch_json(f'/v2/images/{staged}', [
        {'op': 'remove', 'path': '/os_glance_import_task'}], status=403,
        headers={'Content-Type': 'application/openstack-images-v2.1-json-patch'})


def test_an_image_that_is_imported_can_be_deleted(app, admin, staged, start, run):
    start(staged, DIRECT)
    task, = app.get(f'/v2/images/{staged}/tasks').json['tasks']
    app.delete(f'/v2/images/{staged}', status=204)
    run()

    assert admin.get(f'/v2/tasks/{task["id"]}').json['message'] == 'The image was deleted.'


# --- tasks

def test_the_tasks_of_an_image_are_shown_to_its_owner(app, other, staged, start, run):
    start(staged, {**DIRECT, 'stores': ['fast', 'cold']})
    run()

    task, = app.get(f'/v2/images/{staged}/tasks').json['tasks']
    assert (task['type'], task['status'], task['owner'], task['image_id']) == (
        'api_image_import', 'success', 'own', staged)
    assert task['input']['backend'] == ['fast', 'cold']
    assert task['input']['import_req']['method'] == {'name': 'glance-direct'}
    assert (task['deleted'], task['deleted_at'], task['message']) == (False, None, '')
    assert len(task['created_at']) == len('2026-01-01T00:00:00.000000')
    other.get(f'/v2/images/{staged}/tasks', status=404)


def test_tasks_are_for_administrators(app, admin, staged, start, run):
    start(staged, DIRECT)
    run()
    for path in '/v2/tasks', '/v2/tasks/00000000-0000-0000-0000-000000000000':
        app.get(path, status=403)
    app.post_json('/v2/tasks', {}, status=403)

    listing = admin.get('/v2/tasks').json
    stub, = listing['tasks']
    assert (listing['first'], listing['schema']) == ('/v2/tasks', '/v2/schemas/tasks')
    assert not {'input', 'result', 'message'} & stub.keys()
    task = admin.get(stub['self']).json
    assert task['result'] == {'image_id': staged}
    assert task['expires_at'].endswith('Z')
    assert admin.delete(stub['self'], status=405).headers['Allow'] == 'GET'


def test_tasks_are_paged_filtered_and_sorted(app, admin, new, stage, start, run):
    for _ in range(3):
        image_id = new()
        stage(image_id)
        start(image_id, DIRECT)
    run()

    page = admin.get('/v2/tasks?limit=2&status=success').json
    rest = admin.get(page['next']).json
    assert (len(page['tasks']), len(rest['tasks']), 'next' in rest) == (2, 1, False)
    task, = admin.get(f'/v2/tasks?image_id={image_id}').json['tasks']
    assert admin.get(task['self']).json['image_id'] == image_id
    assert admin.get('/v2/tasks?limit=0').json['tasks'] == []
    ids = [task['id'] for task in admin.get('/v2/tasks?sort_key=id&sort_dir=asc').json['tasks']]
    assert ids == sorted(ids)


@pytest.mark.parametrize('query', [
    'marker=x', 'sort_key=x', 'sort_dir=x', 'status=x', 'type=x', 'limit=-1', 'x=y',
    'created_at=x'])
def test_a_wrong_query_is_refused(admin, query):
    admin.get(f'/v2/tasks?{query}', status=400)


def test_an_unknown_marker_is_refused(admin):
    admin.get('/v2/tasks?marker=00000000-0000-0000-0000-000000000000', status=400)


@pytest.mark.parametrize('body', [
    {}, {'type': 'import'}, {'type': 'other', 'input': {}}, {'type': 'import', 'input': {}},
    {'type': 'import', 'input': {'import_from': 'file:///etc/passwd', 'import_from_format': 'raw',
                                 'image_properties': {}}},
    {'type': 'import', 'input': {'import_from': 'http://127.0.0.1/', 'import_from_format': 'raw',
                                 'image_properties': {}}},
    {'type': 'import', 'input': {'import_from': 'http://192.0.2.1/', 'import_from_format': 'raw',
                                 'image_properties': {'size': 'x', 'min_disk': 'y'}}}])
def test_a_wrong_task_is_refused(admin, body):
    admin.post_json('/v2/tasks', body, status=400)


def test_a_task_with_a_long_input_is_refused(admin):
    answer = admin.post_json('/v2/tasks', {'type': 'import', 'input': {
        'import_from': 'http://192.0.2.1/', 'import_from_format': 'raw', 'image_properties': {},
        'note': 'x' * 60_000}}, status=400)

    assert 'The request is too long' in answer.text


def test_a_task_with_large_numbers_is_shown(admin):
    response = admin.post_json('/v2/tasks', {'type': 'import', 'input': {
        'import_from': 'http://192.0.2.1/', 'import_from_format': 'raw', 'image_properties': {},
        'numbers': [1 << 70, 7]}}, status=201)

    assert admin.get(response.json['self']).json['input']['numbers'] == [float(1 << 70), 7]


def test_a_task_imports_a_new_image(admin, core, run, monkeypatch):
    def fetch(job):
        job.append([DATA])
    importer = core.layers.importers['web-download']
    monkeypatch.setattr(importer, 'fetch', fetch)
    response = admin.post_json('/v2/tasks', {'type': 'import', 'input': {
        'import_from': 'http://192.0.2.1/image', 'import_from_format': 'raw',
        'image_properties': {'name': 'imported', 'os_distro': 'debian'}}}, status=201)
    assert response.headers['Location'].endswith(response.json['self'])
    assert response.json['status'] == 'pending'
    run()

    task = admin.get(response.json['self']).json
    assert (task['status'], task['message']) == ('success', '')
    image = admin.get(f'/v2/images/{task["result"]["image_id"]}').json
    assert (image['name'], image['os_distro'], image['status'], image['size']) == (
        'imported', 'debian', 'active', len(DATA))


def test_the_owner_cancels_and_retries(app, other, staged, start, run):
    start(staged, DIRECT)
    task, = app.get(f'/v2/images/{staged}/tasks').json['tasks']
    path = f'/v2/tasks/{task["id"]}/actions'
    other.post(f'{path}/cancel', status=404)
    app.post(f'{path}/retry', status=409)
    assert app.post(f'{path}/cancel', status=202).json['id'] == task['id']
    run()
    shown, = app.get(f'/v2/images/{staged}/tasks').json['tasks']
    assert (shown['status'], shown['message']) == ('failure', 'The task was cancelled.')
    app.post(f'{path}/cancel', status=409)
    app.post(f'{path}/retry', status=202)
    run()

    assert app.get(f'/v2/images/{staged}').json['status'] == 'active'


def test_the_secrets_of_a_url_are_not_shown(app, admin, core, new, start, run, monkeypatch):
    seen = []

    def fetch(job):
        seen.append(job.arguments['secret_uri'])
        job.append([DATA])
    monkeypatch.setattr(core.layers.importers['web-download'], 'fetch', fetch)
    image_id, url = new(), 'http://user:password@192.0.2.1/image?signature=abc'
    start(image_id, {'method': {'name': 'web-download', 'uri': url}})
    admin.post_json('/v2/tasks', {'type': 'import', 'input': {
        'import_from': url, 'import_from_format': 'raw', 'image_properties': {}}}, status=201)
    run()

    assert seen == [url, url]
    shown = app.get(f'/v2/images/{image_id}/tasks').text + ''.join(
        admin.get(task['self']).text for task in admin.get('/v2/tasks').json['tasks'])
    assert shown.count('http://192.0.2.1/image') == 3
    assert 'password' not in shown
    assert 'signature' not in shown
    for task in admin.get('/v2/tasks').json['tasks']:
        assert url not in str(core.layers.database.tasks.get(task['id']))
