"""Data that Glance has staged is imported, or deleted, by the service that takes over."""

import contextlib
import hashlib
import http.client
import json
import os

import pytest

from tests.servers import glance, live, process

DATA = os.urandom(300_000)


@pytest.fixture(scope='module', params=['store', 'directory'])
def taken_over(request):
    """Ids of images that Glance has staged, the staging directory, and the new service.

    The staging area is a store of its own, or the directory ``node_staging_uri``.
    """
    with process.directory('taken-over') as home, contextlib.ExitStack() as running:
        database = {'connection': f'sqlite:///{home}/glance.sqlite'}
        staging = home / 'staging'
        images = {'filesystem_store_datadir': str(home / 'images')}
        stores = {
            'store': {'DEFAULT': {'enabled_backends': 'f:file'},
                      'glance_store': {'default_backend': 'f'}, 'f': images,
                      'os_glance_staging_store': {'filesystem_store_datadir': staging}},
            'directory': {'DEFAULT': {'enabled_backends': '',
                                      'node_staging_uri': f'file://{staging}/'},
                          'glance_store': {**images, 'stores': 'file', 'default_store': 'file',
                                           'default_backend': ''}},
        }[request.param]
        config = {**stores, 'DEFAULT': {
            **stores['DEFAULT'], 'enabled_import_methods': '[glance-direct]',
            'worker_self_reference_url': 'http://glance-1.example:9292'}}
        with glance.server(glance.install(), database['connection'], config) as ask:
            ids = [_staged(ask) for _ in range(3)]
        server = running.enter_context(live.server({
            **config, 'DEFAULT': {**config['DEFAULT'], 'workers': 1}, 'database': database,
            'layers': {'auth': 'noauth', 'sync_database': 'true'}}))
        yield ids, staging, server


def _staged(ask):
    status, image = ask('POST', '/v2/images', {'disk_format': 'raw', 'container_format': 'bare'})
    assert status == 201
    answer = ask.send('PUT', f'/v2/images/{image["id"]}/stage', DATA,
                      {'Content-Type': 'application/octet-stream'})
    assert answer.status == 204, answer.body
    return image['id']


def _ask(server, method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body and json.dumps(body),
                           {'Content-Type': 'application/json', 'Accept': 'application/json'})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def _import(server, image_id):
    return _ask(server, 'POST', f'/v2/images/{image_id}/import',
                {'method': {'name': 'glance-direct'}})


def test_data_that_glance_has_staged(taken_over):
    (imported, lost, deleted), staging, server = taken_over
    assert {file.name for file in staging.iterdir() if file.is_file()} >= {
        imported, lost, deleted}

    assert _import(server, imported) == (202, None)
    (staging / lost).unlink()
    status, refused = _import(server, lost)
    assert _ask(server, 'DELETE', f'/v2/images/{deleted}')[0] == 204

    def ended():
        image = _ask(server, 'GET', f'/v2/images/{imported}')[1]
        return None if 'os_glance_import_task' in image else image
    image = process.until(ended)
    assert image['status'] == 'active'
    assert image['os_hash_value'] == hashlib.sha512(DATA).hexdigest()
    assert status == 409
    assert 'is not on this node' in refused['message']
    assert _ask(server, 'DELETE', f'/v2/images/{lost}')[0] == 204
    assert not {file.name for file in staging.iterdir()} & {imported, lost, deleted}
