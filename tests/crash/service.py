"""A live service, with access to its files and database rows."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import signal

import sqlalchemy as sa

from tests.servers.process import until

LEASE = 1  # second


def config(folder, database, **more):
    """A configuration for ``run_server`` with one file store below ``folder``."""
    return {
        'DEFAULT': {'enabled_backends': 'file:file', 'workers': 2, 'upload_lease': LEASE,
                    **more.pop('DEFAULT', {})},
        'glance_store': {'default_backend': 'file'},
        'file': {'filesystem_store_datadir': folder / 'images'},
        'database': {'connection': database, 'max_retries': 0},
        'layers': {'auth': 'noauth', 'sync_database': 'true'}, **more}


class Client:
    """One connection to a service.

    :param headers: of all requests.
    """

    def __init__(self, server, **headers):
        self._headers = headers
        self._connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._connection.close()

    def ask(self, method, path, body=None, kind='application/json', **headers):
        """Status and body of the response."""
        self._connection.request(method, path, body, {
            'Content-Type': kind, **self._headers, **headers})
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def create(self, **attributes):
        """Create an image; returns its ID."""
        status, body = self.ask('POST', '/v2/images', json.dumps(
            {'disk_format': 'raw', 'container_format': 'bare', **attributes}))
        assert status == 201, body
        return json.loads(body)['id']

    def upload(self, image_id, data):
        """Status of the response; ``data`` may be an iterator."""
        return self.ask('PUT', f'/v2/images/{image_id}/file', data,
                        'application/octet-stream')[0]

    def show(self, image_id):
        """The image; None if it does not exist."""
        status, body = self.ask('GET', f'/v2/images/{image_id}')
        return json.loads(body) if status == 200 else None

    def sha512(self, image_id):
        """Hash of the downloaded data; None if there is none."""
        status, body = self.ask('GET', f'/v2/images/{image_id}/file')
        return hashlib.sha512(body).hexdigest() if status == 200 else None

    def images(self):
        """All images, by id."""
        found, link = {}, '/v2/images?limit=1000'
        while link:
            page = json.loads(self.ask('GET', link)[1])
            found |= {image['id']: image for image in page['images']}
            link = page.get('next')
        return found


def stored(folder):
    """Names of all files in the store."""
    return sorted(entry.name for entry in os.scandir(folder / 'images'))


def rows(database):
    """Status -> IDs of all rows, including deleted ones; and the files of active locations."""
    engine = sa.create_engine(database)
    try:
        with engine.connect() as connection:
            statuses = {}
            for image_id, status in connection.execute(sa.text('SELECT id, status FROM images')):
                statuses.setdefault(status, set()).add(image_id)
            files = sorted(pathlib.PurePath(url).name for url, in connection.execute(sa.text(
                "SELECT value FROM image_locations WHERE status = 'active'")))
    finally:
        engine.dispose()
    return statuses, files


def swept(folder, database):
    """Wait until recovery has finished: rows and files agree."""
    def clean():
        statuses, files = rows(database)
        return (not statuses.keys() & {'saving', 'pending_delete'} and files == stored(folder))
    return until(clean)


def crash(server):
    """Kill all processes of the server at once."""
    os.killpg(server.pid, signal.SIGKILL)
    server.process.wait()


def processes(server):
    """Process ids of the master and its workers."""
    found = []
    for entry in os.scandir('/proc'):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == server.pid:
                found.append(int(entry.name))
    return found
