"""Stores as clients see them: discovery, preference, single copies, locations."""

import threading
import time

import pytest

from glancelite.api.app import make_app
from glancelite.testing import service
from tests.api.conftest import SERVICE, client


@pytest.fixture
def nova(wsgi):
    return client(wsgi, 'own:service,member,reader')


@pytest.fixture
def twice(core, app, new, upload):
    """The id of an image with a copy in each of the two stores."""
    image = new()
    upload(image, b'data')
    records = core.layers.database.images
    kept = records.get(image, viewer=None)
    location, _ = core.layers.stores.write('cold', image, iter([b'data']), size=4, ctx=None)
    records.update(kept, {'locations': (*kept.locations, location)})
    return image


@pytest.fixture
def there(core):
    """The URL of data in the store ``fast``, which accepts locations from users."""
    driver = core.layers.stores['fast'].driver
    driver.CAPABILITIES |= {'adopt'}
    driver.adopt = lambda url, *, ctx=None: url
    return driver.write('theirs', iter([b'theirs'])).url


def test_all_users_may_list_the_stores(app, admin):
    assert app.get('/v2/info/stores').json == {
        'stores': [{'id': 'fast', 'default': 'true'}, {'id': 'cold'}]}
    detail = admin.get('/v2/info/stores/detail').json['stores']
    assert [(store['id'], store['type'], store['weight'], store['properties'], store['status'])
            for store in detail] == [('fast', 'memory', 0, {}, 'available'),
                                     ('cold', 'memory', 0, {}, 'available')]


def test_details_of_stores_are_for_operators_and_services(app, nova):
    app.get('/v2/info/stores/detail', status=403)
    nova.get('/v2/info/stores/detail', status=200)


def test_a_store_that_does_not_answer_is_reported_as_silent(core, admin, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(core.layers.stores['cold'].driver, 'health', answer.wait)

    def status(patience):
        monkeypatch.setattr('glancelite.services.discovery.TIMEOUT', patience)
        return admin.get('/v2/info/stores/detail').json['stores'][1]['status']

    try:
        assert status(0) == 'silent'
    finally:
        answer.set()
    assert status(None) == 'available'


def test_a_read_only_store_accepts_no_data(tmp_path):
    core = service.build(tmp_path, SERVICE.replace('cold:memory', 'web:http'))
    app = client(make_app(core))
    image = app.post_json('/v2/images', {'disk_format': 'raw', 'container_format': 'bare'})
    path = f'/v2/images/{image.json["id"]}'

    app.put(f'{path}/file', b'data', headers={'X-Image-Meta-Store': 'web'},
            content_type='application/octet-stream', status=410)

    assert app.get(path).json['status'] == 'queued'
    assert app.get('/v2/info/stores').json['stores'] == [
        {'id': 'fast', 'default': 'true'}, {'id': 'web', 'read-only': 'true'}]
    core.close()


def test_a_service_with_one_unnamed_store_has_no_discovery(tmp_path, core):
    single = service.build(tmp_path, '[glance_store]\ndefault_store = memory\nstores = memory\n'
                                     '[layers]\nauth = noauth\ndatabase = memory\nmiddleware =\n')
    app = client(make_app(single))

    for path in ('/v2/info/stores', '/v2/info/stores/detail'):
        app.get(path, status=404)
    app.delete('/v2/stores/fast/x', status=404)
    image = app.post_json('/v2/images', {'disk_format': 'raw', 'container_format': 'bare'})
    assert 'OpenStack-image-store-ids' not in image.headers
    app.get(f'/v2/images/{image.json["id"]}/file?prefer=memory', status=400)
    single.close()


@pytest.mark.parametrize('path', ['/v2/info/stores', '/v2/info/stores/detail'])
def test_stores_cannot_be_changed(app, path):
    answer = app.post(path, status=405)

    assert answer.headers['Allow'] == 'GET'


def test_the_stores_of_an_image_are_shown(app, twice):
    assert app.get(f'/v2/images/{twice}').json['stores'] == 'fast,cold'


@pytest.mark.parametrize(('query', 'status'), [
    ('?prefer=cold', 200), ('?prefer=cold,fast', 200), ('?prefer=nowhere', 400),
    ('?prefer=', 200), ('?prefer=cold,', 200), ('?other=1', 200)])
def test_a_download_may_prefer_stores(app, twice, query, status):
    answer = app.get(f'/v2/images/{twice}/file{query}', status=status)

    assert status == 400 or answer.body == b'data'


def test_one_copy_is_removed(admin, app, twice):
    app.delete(f'/v2/stores/fast/{twice}', status=403)

    admin.delete(f'/v2/stores/fast/{twice}', status=204)

    assert app.get(f'/v2/images/{twice}').json['stores'] == 'cold'
    assert app.get(f'/v2/images/{twice}/file').body == b'data'
    admin.delete(f'/v2/stores/fast/{twice}', status=403)
    admin.delete(f'/v2/stores/nowhere/{twice}', status=409)
    admin.delete('/v2/stores/cold/unknown', status=404)
    answer = admin.put(f'/v2/stores/cold/{twice}', status=405)
    assert answer.headers['Allow'] == 'DELETE'


def test_a_service_adds_a_location_and_lists_the_locations(nova, app, new, there):
    image = new()

    answer = nova.post_json(f'/v2/images/{image}/locations', {'url': there}, status=202)

    assert answer.body == b''
    deadline = time.monotonic() + 10
    while not app.get(f'/v2/images/{image}').json['os_hash_value']:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert app.get(f'/v2/images/{image}/file').body == b'theirs'
    assert nova.get(f'/v2/images/{image}/locations').json == [
        {'url': there, 'metadata': {'store': 'fast'}}]
    app.get(f'/v2/images/{image}/locations', status=403)
    nova.post_json(f'/v2/images/{image}/locations', {'url': there}, status=409)


@pytest.mark.parametrize('body', [
    {}, {'url': 1}, {'url': 'file:///' + 'x' * 248}, {'url': 'http://169.254.169.254/x'},
    {'url': '{there}', 'validation_data': []}, {'url': '{there}', 'validation_data': None},
    {'url': '{there}', 'validation_data': {'os_hash_algo': 'sha512'}},
    {'url': '{there}', 'validation_data': {'os_hash_value': 'ab'}},
    {'url': '{there}', 'validation_data': {'os_hash_algo': 'crc', 'os_hash_value': 'ab'}},
    {'url': '{there}', 'validation_data': {'os_hash_algo': 'md5', 'os_hash_value': 1}},
    {'url': '{there}', 'validation_data': {'os_hash_algo': 'md5', 'os_hash_value': 'zz' * 16}},
    {'url': '{there}', 'validation_data': {'os_hash_algo': 'md5', 'os_hash_value': 'ab' * 16,
                                           'checksum': 'ab' * 16}}], ids=str)
def test_an_invalid_location_is_refused(nova, app, new, there, body):
    image = new()
    if body.get('url') == '{there}':
        body = {**body, 'url': there}

    nova.post_json(f'/v2/images/{image}/locations', body, status=400)

    assert app.get(f'/v2/images/{image}').json['status'] == 'queued'


def test_locations_of_other_projects_are_not_found(wsgi, new, there):
    stranger = client(wsgi, 'other:service,member,reader')
    image = new()

    stranger.post_json(f'/v2/images/{image}/locations', {'url': there}, status=404)
    stranger.get(f'/v2/images/{image}/locations', status=404)
