"""Requests to a service that a test has started."""

import contextlib
import http.client
import json

#: seconds
TIMEOUT = 20


def ask(server, method, path, body=None, kind='application/json'):
    """Status and body of a request on a new connection."""
    with contextlib.closing(http.client.HTTPConnection(
            '127.0.0.1', server.port, timeout=TIMEOUT)) as connection:
        connection.request(method, path, body, {'Content-Type': kind})
        answer = connection.getresponse()
        return answer.status, answer.read()


def create(server):
    """Create an image; returns its path."""
    status, text = ask(server, 'POST', '/v2/images', json.dumps(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    assert status == 201, text
    return f'/v2/images/{json.loads(text)["id"]}'
