"""A private Barbican with the users of Keystone."""

import base64
import contextlib
import json
import os
import urllib.error
import urllib.request

from tests.servers import process, virtualenv

VERSION = '23.0.0'

# Validated tokens are cached for one second only, so that tests need not wait
# until a revoked one is rejected.
CONFIGURATION = """
[DEFAULT]
db_auto_create = true
default_log_levels = barbican=WARNING, alembic=WARNING
[database]
connection = sqlite:///{home}/barbican.db
[simple_crypto_plugin]
kek = {kek}
[keystone_authtoken]
token_cache_time = 1
{authtoken}
"""

# All gunicorns of a user would have the same control socket.
GUNICORN = """
wsgi_app = 'paste.deploy:loadapp("config:{venv}/etc/barbican/barbican-api-paste.ini")'
bind = '127.0.0.1:{port}'
workers = 1
threads = 4
loglevel = 'warning'
control_socket_disable = True
"""


class Barbican:
    """A running Barbican; ``url`` is as in the catalogue, without a version.

    Members of a project share its secrets: they store, read and delete them, while readers
    may do none of it. Nor may other projects, except that their admins see the name of a
    secret, and may delete it.
    """

    def __init__(self, url):
        self.url = url

    def store(self, token, payload, *, secret_type='opaque', name=None):
        """Store a secret; returns its ID.

        :param payload: bytes, returned unchanged; Castellan requires certificates and the keys
            of pairs to be PEM.
        :param secret_type: ``certificate``, ``symmetric``, ``private``, ``public``,
            ``passphrase`` or ``opaque``.
        """
        made = self._call('POST', '/v1/secrets', token, {
            'name': name, 'secret_type': secret_type,
            'payload': base64.b64encode(payload).decode(),
            'payload_content_type': 'application/octet-stream',
            'payload_content_encoding': 'base64'})
        return made['secret_ref'].rpartition('/')[2]

    def has(self, token, secret_id):
        """Whether the token can read the secret."""
        return self._call('GET', f'/v1/secrets/{secret_id}', token, missing=(403, 404)) is not None

    def delete(self, token, secret_id):
        """Delete a secret."""
        self._call('DELETE', f'/v1/secrets/{secret_id}', token)

    def answers(self):
        """Whether the service answers."""
        with urllib.request.urlopen(f'{self.url}/healthcheck', timeout=10) as reply:
            return reply.status == 200

    def _call(self, method, path, token, body=None, missing=()):
        request = urllib.request.Request(
            self.url + path, method=method, data=json.dumps(body).encode() if body else None,
            headers={'Content-Type': 'application/json', 'Accept': 'application/json',
                     'X-Auth-Token': token})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.loads(reply.read() or 'null')
        except urllib.error.HTTPError as error:
            if error.code in missing:
                return None
            raise RuntimeError(
                f'{method} {path}: {error.code} {error.read().decode()[:500]}') from None


@contextlib.contextmanager
def server(venv, keystone):
    """Run an empty Barbican while the block runs.

    :param venv: what ``install`` returned.
    :param keystone: a running Keystone; this Barbican is added to its catalogue.
    """
    with process.directory('barbican') as home:
        port = process.free_port()
        barbican = Barbican(f'http://127.0.0.1:{port}')
        (home / 'barbican.conf').write_text(CONFIGURATION.format(
            home=home, kek=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            authtoken='\n'.join(f'{name} = {value}' for name, value
                                in keystone.authtoken().items())))
        (home / 'gunicorn.conf.py').write_text(GUNICORN.format(venv=venv, port=port))
        # Barbican looks for its configuration in HOME before /etc.
        with process.running([venv / 'bin/gunicorn'], answers=barbican.answers, log=home / 'log',
                             cwd=home, env={'HOME': str(home)}):
            keystone.add_service('key-manager', barbican.url)
            yield barbican


def install():
    """Path of a virtual environment with Barbican, built the first time."""
    return virtualenv.install('barbican', VERSION, f'barbican=={VERSION}', 'gunicorn')
