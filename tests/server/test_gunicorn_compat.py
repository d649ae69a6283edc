"""Names that a release of gunicorn lacks are reported, and its own worker serves."""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from glancelite.server import gunicorn_compat
from tests.servers import live, process

DATA = os.urandom(3_000_000)

#: a ``sitecustomize`` with which gunicorn calls ``enqueue_req`` by another name
RENAMING = """
import inspect
from gunicorn.workers import gthread
source = inspect.getsource(gthread).replace('enqueue_req', 'enqueue_request')
exec(compile(source, gthread.__file__, 'exec'), vars(gthread))
"""


def test_this_gunicorn_has_all_names():
    assert list(gunicorn_compat.missing()) == []


def test_missing_names_are_listed():
    program = ('import sys\n'
               'from gunicorn.http import message\n'
               'from gunicorn.workers import gthread\n'
               'sys.modules["gunicorn.http.body"] = None\n'
               'del message.Message.should_close, gthread.ThreadWorker.enqueue_req\n'
               'from glancelite.server import gunicorn_compat\n'
               'print(*gunicorn_compat.missing())\n')

    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                          check=True)

    assert done.stdout.split() == [
        'body.LengthReader', 'Request.should_close', 'ThreadWorker.enqueue_req', 'Body.reader',
        'LengthReader.length']


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """``glancelite-api`` with a gunicorn that has renamed a method."""
    folder = tmp_path_factory.mktemp('renaming')
    (folder / 'sitecustomize.py').write_text(RENAMING)
    with live.server({
            'DEFAULT': {'enabled_backends': 'file:file', 'workers': 2},
            'glance_store': {'default_backend': 'file'},
            'file': {'filesystem_store_datadir': folder / 'images'},
            'database': {'connection': f'sqlite:///{folder}/glancelite.sqlite'},
            'layers': {'auth': 'noauth', 'sync_database': 'true'}},
            env={'PYTHONPATH': str(folder)}, executable=True) as server:
        yield server


@pytest.fixture
def client(server):
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=20)
    yield connection
    connection.close()


def _answer(client, method, path, body=None, **headers):
    client.request(method, path, body, headers)
    answer = client.getresponse()
    return answer.status, answer.read()


def test_one_warning_names_what_is_missing(server):
    warnings = [line for line in server.log.read_text().splitlines() if 'WARNING' in line]

    assert len(warnings) == 1
    assert 'lacks ThreadWorker.enqueue_req; serving with its plain gthread worker' in warnings[0]


@pytest.mark.parametrize('chunked', [False, True])
def test_an_image_is_uploaded_and_downloaded(client, chunked):
    _, image = _answer(client, 'POST', '/v2/images', json.dumps(
        {'disk_format': 'raw', 'container_format': 'bare'}), **{
            'Content-Type': 'application/json'})
    path = f'/v2/images/{json.loads(image)["id"]}/file'
    pieces = iter([DATA[:1_000_000], DATA[1_000_000:]])

    uploaded, _ = _answer(client, 'PUT', path, pieces if chunked else DATA, **{
        'Content-Type': 'application/octet-stream'})

    assert uploaded == 204
    assert _answer(client, 'GET', path) == (200, DATA)
    assert _answer(client, 'GET', path, Range='bytes=5-9') == (206, DATA[5:10])


def test_requests_are_logged(server, client):
    _answer(client, 'GET', '/v2/images?limit=3')

    assert process.until(lambda: re.search(
        r'^127\.0\.0\.1 - - \[.*\] "GET /v2/images\?limit=3 HTTP/1\.1" 200 \d+ \d+\.\d{4} req-',
        server.log.read_text(), re.MULTILINE), 20)


def _children(server):
    """The processes of the workers."""
    master = server.process.pid
    children = pathlib.Path(f'/proc/{master}/task/{master}/children')
    return set(map(int, children.read_text().split()))


def test_a_worker_writes_a_report_and_the_master_ignores_the_signal(server, client):
    workers = _children(server)

    server.process.send_signal(signal.SIGUSR2)
    os.kill(min(workers), signal.SIGUSR2)

    process.until(lambda: 'Guru Meditation' in server.log.read_text())
    assert _children(server) == workers
    assert _answer(client, 'GET', '/v2/images')[0] == 200


def test_a_broken_configuration_is_not_reloaded(server, client):
    file = server.dir / 'glancelite-api.conf'
    valid = file.read_text()
    try:
        file.write_text(valid.replace('noauth', 'nobody'))

        server.process.send_signal(signal.SIGHUP)
        process.until(lambda: 'not reloaded' in server.log.read_text())
    finally:
        file.write_text(valid)

    assert 'the configuration was not reloaded: ' in server.log.read_text()
    assert _answer(client, 'GET', '/v2/images')[0] == 200
