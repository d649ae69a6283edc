"""A download from a truncated file continues from another location, in a real service."""

import dataclasses
import hashlib
import http.client
import os
import shutil

import pytest

from glancelite import assembly, config
from tests.servers import live

DATA = os.urandom(1 << 20) * 24


def configuration(home):
    return {
        'DEFAULT': {'workers': 1, 'enabled_backends': 'fast:file, cold:file'},
        'glance_store': {'default_backend': 'fast'},
        'fast': {'filesystem_store_datadir': home / 'fast'},
        'cold': {'filesystem_store_datadir': home / 'cold'},
        'database': {'connection': f'sqlite:///{home}/glancelite.sqlite'},
        'layers': {'auth': 'noauth', 'sync_database': 'true'},
    }


@pytest.fixture
def image(tmp_path):
    """An image with two locations; the file of the first one is truncated."""
    path = tmp_path / 'glancelite-api.conf'
    live.write_config(path, configuration(tmp_path))
    core = assembly.build(config.load(['--config-file', str(path)]))
    ctx = core.identify({})
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    image = core.use_cases.uploads.receive(ctx, image.id, iter([DATA]), size=len(DATA))
    first, = image.locations
    fast, cold = tmp_path / 'fast' / image.id, tmp_path / 'cold' / image.id
    shutil.copy(fast, cold)
    core.layers.database.images.update(image, {'locations': (first, dataclasses.replace(
        first, url=f'file://{cold}', metadata={'store': 'cold'}))})
    core.close()
    os.truncate(fast, 10_000_000)
    return image.id


def test_a_download_of_a_truncated_file_continues_from_another_location(
        image, live_server, tmp_path):
    server = live_server(configuration(tmp_path))

    connection = http.client.HTTPConnection('127.0.0.1', server.port)
    for headers, expected in (({}, DATA), ({'Range': 'bytes=5000000-15000000'},
                                          DATA[5_000_000:15_000_001])):
        connection.request('GET', f'/v2/images/{image}/file', headers=headers)
        body = connection.getresponse().read()

        assert hashlib.sha256(body).digest() == hashlib.sha256(expected).digest()
    assert 'continues from the store cold' in server.log.read_text()
