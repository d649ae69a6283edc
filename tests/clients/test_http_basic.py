"""The page doc/http_basic.md: its configuration works, and so does each of its commands."""

import base64
import os
import pathlib
import re
import subprocess
import sys

import bcrypt
import pytest
from oslo_config import cfg

from glancelite import loader
from glancelite.plugins.auth.http_basic import HTTPBasic
from tests.servers import live, process

TEXT = (pathlib.Path(__file__).parents[2] / 'doc/http_basic.md').read_text()
URL = 'https://images.example:9292'
PASSWORD = 'secret'
DATA = os.urandom(100_000)


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)```', TEXT, re.DOTALL | re.MULTILINE)


LINES = blocks('text')[0].splitlines()


@pytest.fixture(scope='module')
def home():
    with process.directory('basic') as home:
        yield home


@pytest.fixture(scope='module')
def service(home):
    """The URL of a service with the configuration of the page, and its users."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (home / 'users').write_text('# users\n\n' + ''.join(
        re.sub(r'\$2y\$[^:]+', lambda _: hashed, line) + '\n' for line in LINES[-1:]))
    [configuration] = blocks('ini')
    (home / 'conf.d').mkdir()
    (home / 'conf.d/page.conf').write_text(configuration.replace('/etc/glancelite', str(home)))
    with live.server({
            'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1'},
            'glance_store': {'default_backend': 'memory'}, 'layers': {'database': 'memory'}},
            arguments=['--config-dir', str(home / 'conf.d')]) as server:
        yield server.url


@pytest.fixture(scope='module')
def shell(home, service):
    """Runs a block of the page; returns its output."""
    def adapted(text):
        assert URL in text or 'images.example' in text or '--os-cloud' in text, text
        return text.replace(URL, service).replace('images.example', '127.0.0.1')

    clouds = home / '.config/openstack/clouds.yaml'
    clouds.parent.mkdir(parents=True)
    [text] = blocks('yaml')
    clouds.write_text(adapted(text))
    [text] = blocks('netrc')
    (home / '.netrc').write_text(adapted(text))
    (home / '.netrc').chmod(0o600)
    (home / 'disk.raw').write_bytes(DATA)
    variables = {name: value for name, value in os.environ.items() if not name.startswith('OS_')}
    path = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'

    def run(text):
        done = subprocess.run(
            ['bash', '-euc', adapted(text)], cwd=home, capture_output=True, text=True,
            env={**variables, 'HOME': str(home), 'PATH': path}, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_every_command_of_the_page_works(shell, home):
    stored, shown, glance, curl = map(shell, blocks('sh'))

    assert 'my-image' in stored
    assert (home / 'copy.raw').read_bytes() == DATA
    assert 'acme' in shown
    assert 'my-image' in glance
    assert 'other-image' in glance
    assert '"other-image"' in curl


def test_every_form_of_a_line_of_the_page_is_a_user(home):
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    for register in HTTPBasic.LIBRARY_OPTS:
        register(conf)
    conf.set_override('http_basic_auth_user_file', str(home / 'one'), group='oslo_middleware')
    hashed = bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()
    token = base64.b64encode(b'ann:secret').decode()

    callers = []
    for line in LINES:
        (home / 'one').write_text(re.sub(r'\$2y\$[^:]+', lambda _: hashed, line))
        plugin = HTTPBasic(loader.Options.of(HTTPBasic), None, conf=conf)
        caller = plugin.identify({'HTTP_AUTHORIZATION': f'Basic {token}'})
        callers.append((caller.project, sorted(caller.roles)))

    assert callers == [('ann', ['member', 'reader']), ('acme', ['member', 'reader']),
                       ('acme', ['admin', 'member', 'reader'])]
