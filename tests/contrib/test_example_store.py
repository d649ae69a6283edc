"""The example of a store in a package of its own, as its users install it.

pip installs glancelite and the example into a new virtual environment, from copies of their
sources: the tests run the files of the packages.  The libraries that both depend on are those
of the present environment (a ``.pth`` file names them), which takes no network and no time.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request

import pytest

from tests.servers import live, process

ROOT = pathlib.Path(__file__).parents[2]
DATA = os.urandom(3 << 20) + bytes(2 << 20)


class Environment:
    """A virtual environment with its programs."""

    def __init__(self, path):
        self.path = path
        self.variables = {'PATH': f'{path}/bin{os.pathsep}{os.environ["PATH"]}',
                          'PYTHONPATH': '', 'XDG_CACHE_HOME': f'{path}/cache'}
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', path], check=True)
        scheme = sysconfig.get_paths(vars={'base': str(path), 'platbase': str(path)})
        self.packages = pathlib.Path(scheme['purelib'])
        (self.packages / 'dependencies.pth').write_text('\n'.join(
            path for path in sys.path if pathlib.Path(path).name == 'site-packages'))

    def run(self, program, *arguments, folder=None):
        """Run a program, which must succeed; return its output."""
        done = subprocess.run([self.path / 'bin' / program, *arguments], cwd=folder or self.path,
                              env={**os.environ, **self.variables}, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    """Copies of the sources, since packing writes into them."""
    sources = tmp_path_factory.mktemp('sources')
    rest = shutil.ignore_patterns('__pycache__', '*.egg-info', 'build')
    shutil.copytree(ROOT / 'glancelite', sources / 'glancelite', ignore=rest)
    for name in ('setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, sources)
    shutil.copytree(ROOT / 'contrib/example_store', sources / 'example_store', ignore=rest)
    return sources


@pytest.fixture(scope='module')
def fresh(sources, tmp_path_factory):
    """An environment with both packages."""
    fresh = Environment(tmp_path_factory.mktemp('environment'))
    subprocess.run(
        [sys.executable, '-m', 'pip', '--python', fresh.path / 'bin/python', 'install', '--quiet',
         '--no-deps', '--no-build-isolation', '--no-index', '--disable-pip-version-check',
         '--ignore-installed', sources, sources / 'example_store'], check=True)
    return fresh


@pytest.fixture
def service(fresh, tmp_path):
    """``(url, file, configuration)`` of a running service with a store of the example."""
    port, path = process.free_port(), tmp_path / 'small.sqlite'
    config = tmp_path / 'glancelite-api.conf'
    live.write_config(config, {
        'DEFAULT': {'bind_host': '127.0.0.1', 'bind_port': port, 'workers': 2,
                    'enabled_backends': 'fast:file, small:sqlite'},
        'glance_store': {'default_backend': 'fast'},
        'fast': {'filesystem_store_datadir': tmp_path / 'images'},
        'small': {'sqlite_path': path, 'store_description': 'for small images'},
        'database': {'connection': f'sqlite:///{tmp_path}/records.sqlite'},
        'layers': {'auth': 'noauth', 'sync_database': 'true'}})
    with process.running([fresh.path / 'bin/glancelite-api', '--config-file', config],
                         answers=lambda: live.answers(port), log=tmp_path / 'log', cwd=tmp_path,
                         env={**live.private(tmp_path), **fresh.variables}):
        yield f'http://127.0.0.1:{port}', path, config


def ask(method, url, body=None, **headers):
    """``(status, body)`` of a request."""
    request = urllib.request.Request(url, body, method=method, headers={
        name.replace('_', '-'): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_both_packages_come_from_the_fresh_environment(fresh):
    found = fresh.run('python', '-c', 'import glancelite, glancelite_sqlite_store as store; '
                      'print(glancelite.__file__, store.__file__)').split()

    assert [pathlib.Path(path).parents[1] for path in found] == [fresh.packages] * 2


def test_its_command_runs_all_suites(fresh, sources):
    folder = sources / 'example_store'

    subprocess.run([folder / 'conformance.sh', '-q', '--pause', '0.2'], cwd=folder, check=True,
                   env={**os.environ, **fresh.variables}, stdout=subprocess.DEVNULL)

    report = json.loads((folder / 'conformance.json').read_text())
    assert (report['driver'], report['package'], report['version']) == (
        'sqlite', 'glancelite-sqlite-store', '1.0')
    assert report['conforms']
    assert report['not_shown'] == {}
    assert set(report['claims'].values()) == {'passed'}


def test_its_own_tests_pass(fresh, sources):
    assert ' passed' in fresh.run('python', '-m', 'pytest', '-q', 'tests',
                                  folder=sources / 'example_store')


def test_continuous_integration_runs_the_command_and_the_tests(sources):
    workflow = (sources / 'example_store/.github/workflows/conformance.yml').read_text()

    assert re.findall(r'- run: (.*)', workflow) == [
        "pip install '.[test]'", './conformance.sh', 'pytest tests']


def test_images_can_be_uploaded_read_and_deleted(fresh, service):
    url, path, _ = service
    _, made = ask('POST', f'{url}/v2/images', json.dumps({
        'name': 'one', 'disk_format': 'raw', 'container_format': 'bare'}).encode(),
        Content_Type='application/json')
    image = f'{url}/v2/images/{json.loads(made)["id"]}'

    uploaded, _ = ask('PUT', f'{image}/file', DATA, Content_Type='application/octet-stream',
                      X_Image_Meta_Store='small')
    shown = json.loads(ask('GET', image)[1])
    held = fresh.run('python', '-m', 'glancelite_sqlite_store', path)
    whole, part = (ask('GET', f'{image}/file', **named) for named in (
        {}, {'Range': f'bytes={(3 << 20) - 2}-{3 << 20}'}))
    deleted, _ = ask('DELETE', image)

    assert uploaded == 204
    assert (shown['status'], shown['stores'], shown['size']) == ('active', 'small', len(DATA))
    assert held == f'{path} {shown["id"]} {len(DATA)}\n'
    assert whole == (200, DATA)
    assert part == (206, DATA[(3 << 20) - 2:(3 << 20) + 1])
    assert deleted == 204
    assert fresh.run('python', '-m', 'glancelite_sqlite_store', path) == ''


def test_layers_shows_its_package_and_health(fresh, service):
    _, _, config = service

    layers = fresh.run('glancelite-manage', '--config-file', config, 'layers')

    assert ('store small (driver sqlite) glancelite-sqlite-store 1.0 [small] '
            'the file will be created with the first image') in [
        ' '.join(line.split()) for line in layers.splitlines()]
