"""Test cases whose failures show the log of the server."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import uuid

import pytest
import testtools
from testtools import content, content_type

from tests.servers import process

LOG = 'glancelite-api log'


class Case(testtools.TestCase):
    """Has a ``service`` in ``MODE`` and a directory ``home``; deletes its images at the end.

    A failure shows what the server has logged since the test began.
    """

    MODE = None

    @pytest.fixture(autouse=True)
    def _surroundings(self, request, tmp_path):
        self.service = request.getfixturevalue(self.MODE)
        self.home = tmp_path

    def setUp(self):
        super().setUp()
        self.addDetail(LOG, logged_since_now(self.service.server.log))

    def image(self, data=None, *, user=None, **attributes):
        """Id of a new image, with data unless it is None; removed when the test ends."""
        reply = self.request('POST', '/v2/images', {
            'name': self.id(), 'disk_format': 'raw', 'container_format': 'bare',
            'visibility': 'private', **attributes}, user=user)
        assert reply.status == 201, reply.body
        image_id = json.loads(reply.body)['id']
        self.addCleanup(self.remove, image_id, user)
        if data is not None:
            reply = self.request('PUT', f'/v2/images/{image_id}/file', data, user=user,
                                 content_type='application/octet-stream')
            assert reply.status == 204, reply.body
        return image_id

    def remove(self, image_id, user=None):
        """Delete an image in any state, if it still exists."""
        self.request('PATCH', f'/v2/images/{image_id}', [
            {'op': 'replace', 'path': '/protected', 'value': False}], user=user,
            content_type='application/openstack-images-v2.1-json-patch')
        self.request('DELETE', f'/v2/images/{image_id}', user=user)

    def request(self, method, path, body=None, *, user=None, token=None, **headers):
        """Send one request without a client; returns its response, with ``body`` read.

        :param body: a dictionary or list is sent as JSON, anything else as it is.
        """
        connection = http.client.HTTPConnection('127.0.0.1', self.service.server.port,
                                                timeout=30)
        sent = {'X-Auth-Token': self.service.token(user) if token is None else token}
        if body is not None:
            sent['Content-Type'] = 'application/json'
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        sent |= {name.replace('_', '-').title(): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            reply.body = reply.read()
        finally:
            connection.close()
        return reply

    def imported(self, image_id, user=None):
        """What the API shows of an image, when its import has ended."""
        def ended():
            image = json.loads(self.request('GET', f'/v2/images/{image_id}', user=user).body)
            return image if 'os_glance_import_task' not in image else None
        image = process.until(ended, timeout=60)
        tasks = self.request('GET', f'/v2/images/{image_id}/tasks', user=user).body
        self.addDetail('tasks of the image', content.text_content(tasks.decode()))
        assert image, f'the import of image {image_id} does not end'
        return image

    def file(self, data, name='data'):
        """Create a file with this content; returns its path."""
        path = pathlib.Path(self.home) / name
        path.write_bytes(data)
        return path


class Embedded:
    """Mixin: the service without authentication."""

    MODE = 'embedded'


class WithKeystone:
    """Mixin: the service with a real Keystone."""

    MODE = 'with_keystone'


class WithImports:
    """Mixin: a service that imports images, with a real Keystone."""

    MODE = 'with_imports'

    def ended(self, task_id):
        """What the API shows of a task, when it has ended."""
        def read():
            task = json.loads(self.request('GET', f'/v2/tasks/{task_id}',
                                           user='alpha-admin').body)
            return task if task['status'] in ('success', 'failure') else None
        task = process.until(read, timeout=60)
        assert task, f'task {task_id} does not end'
        return task

    def published(self, data):
        """A URL with this data; the one before has no data any more."""
        self.service.web.site.data = data
        return f'{self.service.web.url}/disk.raw'

    @contextlib.contextmanager
    def broken_store(self):
        """While the block runs, the store ``cold`` fails."""
        kept = self.service.cold.with_name('kept')
        self.service.cold.rename(kept)
        self.service.cold.touch()
        try:
            yield
        finally:
            self.service.cold.unlink()
            kept.rename(self.service.cold)


def logged_since_now(log):
    """A detail with the lines appended to a log file from now on; read when it is shown."""
    start = os.path.getsize(log)

    def read():
        with open(log, 'rb') as file:
            file.seek(start)
            return [file.read()]
    return content.Content(content_type.UTF8_TEXT, read)


def stores(image):
    """Names of the stores that have the data of an image."""
    return set(filter(None, image.get('stores', '').split(',')))


def random_data(size=300_000):
    """Bytes that no other image has."""
    return os.urandom(size)


def new_id():
    """An id for an image, chosen by the client."""
    return str(uuid.uuid4())


def sha512(data):
    """The SHA-512 of ``bytes``, or of an iterator of them."""
    digest = hashlib.sha512()
    for chunk in [data] if isinstance(data, bytes) else data:
        digest.update(chunk)
    return digest.hexdigest()
