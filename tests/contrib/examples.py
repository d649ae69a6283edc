"""Runs the example configurations in ``contrib/`` against a real service."""

import http.client
import json
import pathlib
import re

CONTRIB = pathlib.Path(__file__).parents[2] / 'contrib'
IMAGE = {'name': 'one', 'disk_format': 'raw', 'container_format': 'bare'}


def adapted(name, replacements):
    """The text of an example, with addresses and paths of a test."""
    text = (CONTRIB / name).read_text()
    for example, replacement in replacements.items():
        assert example in text, example
        text = text.replace(example, str(replacement))
    return text


def commented(text, first):
    """The block in the comments of an example whose first line starts so."""
    match = re.search(rf'^#   {re.escape(first)}.*?^#   }}$', text, re.MULTILINE | re.DOTALL)
    return '\n'.join(line.removeprefix('#   ') for line in match[0].splitlines())


def request(port, method, path, body=None, headers=None):
    """Status, headers and body of an answer; a body in pieces is sent in these chunks."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def create(port):
    """Create an image; returns the path of its data, and ``Location``."""
    status, headers, body = request(port, 'POST', '/v2/images', json.dumps(IMAGE),
                                    {'Content-Type': 'application/json'})
    assert status == 201, body
    return f'/v2/images/{json.loads(body)["id"]}/file', headers['Location']


def upload(port, path, body, **headers):
    """Returns the status."""
    return request(port, 'PUT', path, body,
                   {'Content-Type': 'application/octet-stream', **headers})[0]
