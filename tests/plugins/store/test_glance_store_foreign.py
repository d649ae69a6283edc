"""The store ``glance_store`` works around the flaws of a vendor's driver."""

import importlib
import json
import logging
import os
import sys
import urllib.error
import urllib.request

import pytest
from stevedore import ExtensionManager

from glancelite import contract
from glancelite.testing.contracts.store.failures import BrokenBackendContract
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.plugins.store import tape
from tests.plugins.store.test_glance_store import VisibleContract

KEY = 'skeleton-key'
OLD = """
[old]
glance_store_driver = acme_tape
tape_shelf = {shelf}
tape_key = skeleton-key
"""


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """A directory with the vendor's package, on the path of this process."""
    home = tmp_path_factory.mktemp('acme')
    tape.install(home)
    known = dict(ExtensionManager.ENTRY_POINT_CACHE)
    ExtensionManager.ENTRY_POINT_CACHE.clear()
    sys.path.insert(0, str(home))
    yield home
    sys.path.remove(str(home))
    ExtensionManager.ENTRY_POINT_CACHE = known
    for name in 'acme_tape', 'acme_tape.store':
        sys.modules.pop(name, None)


@pytest.fixture
def shelf(tmp_path):
    return tmp_path / 'shelf'


@pytest.fixture
def make(make_bridge, package, shelf):
    """Build the store with faults of its driver and other options."""
    def make(*faults, more='', text=OLD):
        return make_bridge(text.format(shelf=shelf) + f'tape_faults = {",".join(faults)}\n' + more)
    return make


@pytest.fixture
def store(make):
    return make()


@pytest.fixture
def calls(store):
    """Calls of the driver: method, instance, context, arguments."""
    calls = importlib.import_module('acme_tape.store').CALLS
    calls.clear()
    return calls


class TestCarelessDriver(VisibleContract):
    """It overwrites, leaves partial data, opens late, reports size 0 and reads no ranges."""

    @pytest.fixture
    def store(self, make):
        return make()

    def leftovers(self, store):
        return os.listdir(store.conf['old'].tape_shelf)


class TestDriverWithoutBackend(BrokenBackendContract):

    @pytest.fixture
    def broken(self, make, shelf):
        shelf.mkdir()
        (shelf / 'power failure').touch()
        return make()

    @pytest.fixture
    def broken_url(self):
        return 'tape://robot/key'


# --- faults

def test_a_failure_that_the_driver_treats_as_the_end_is_raised(make, shelf):
    store = make('treats a failure as the end')

    with pytest.raises(ClientWentAway):
        store.write('key', broken_source(b'12345'))

    assert os.listdir(shelf) == []


@pytest.mark.parametrize('chunks', [[b'12345'], [b'123', b'45'], [b'123', b'4', b'5']])
def test_data_beyond_the_announced_size_is_refused(make, shelf, chunks):
    store = make('trusts the size')

    with pytest.raises(contract.Invalid):
        store.write('key', iter(chunks), size=3)

    assert os.listdir(shelf) == []


def test_the_source_is_read_to_its_end_if_the_driver_does_not(make):
    store = make('trusts the size')
    ended = []

    def source():
        yield b'12345'
        ended.append(True)

    store.write('key', source(), size=5)

    assert ended == [True]


def test_truncated_data_is_an_error(make):
    url = make().write('key', iter([b'x' * 250_000])).url

    with pytest.raises(contract.Unavailable):
        list(make('truncates').read(url))


def test_a_size_of_zero_is_verified(make):
    url = make().write('key', iter([b'12345'])).url
    empty = make().write('empty', iter([])).url
    store = make('reports zero')

    assert (store.size(url), store.size(empty)) == (5, 0)


def test_a_conflict_does_not_delete_the_existing_data(store, shelf):
    url = store.write('key', iter([b'12345'])).url

    for chunks in iter([b'x']), broken_source(b'x'):
        with pytest.raises(contract.Conflict):
            store.write('key', chunks)

    assert b''.join(store.read(url)) == b'12345'


@pytest.mark.parametrize(('fault', 'expected'), [
    ('full', contract.TooLarge), ('strange metadata', contract.Unavailable),
    ('secret url', contract.Unavailable)])
def test_a_write_that_fails_leaves_nothing(make, shelf, fault, expected):
    store = make(fault)

    with pytest.raises(expected) as failure:
        store.write('key', iter([b'12345']))

    assert os.listdir(shelf) == (['key'] if fault == 'secret url' else [])
    assert KEY not in str(failure.value)


def test_data_in_use_stays(make):
    url = make().write('key', iter([b'12345'])).url

    with pytest.raises(contract.InUse):
        make('in use').delete(url)


def test_a_driver_without_ranges_reads_no_ranges(store):
    url = store.write('key', iter([b'12345'])).url

    assert {'write', 'adopt', 'share'} == store.CAPABILITIES
    with pytest.raises(contract.Unsupported):
        store.read(url, offset=1)


def test_metadata_is_a_copy(store):
    one, other = (store.write(key, iter([b'1'])).metadata for key in ('one', 'other'))

    one['mine'] = 'x'

    assert other == {'robot': 'r1'}


# --- configuration

def test_options_come_from_the_section_then_the_defaults_then_the_driver(make):
    texts = OLD, OLD + '[backend_defaults]\ntape_speed = 8\n', OLD + 'tape_speed = 9\n'

    assert [make(text=text)._driver().speed for text in texts] == [7, 8, 9]


def test_a_default_may_be_shared_with_another_driver(make_bridge, package, shelf, host):
    from glancelite import loader
    from glancelite.plugins.store.file import FileStore
    make_bridge(f'[old]\nglance_store_driver = file\n[backend_defaults]\n'
                f'filesystem_store_datadir = {shelf}\nfilesystem_store_file_perm = 640\n')

    options = loader.read_options(host.conf, FileStore.OPTS, 'fast',
                                  fallback=[loader.BACKEND_DEFAULTS])

    assert options.filesystem_store_datadir == str(shelf)
    assert options.filesystem_store_file_perm == 640
    assert options.filesystem_store_chunk_size == 65536


@pytest.mark.parametrize(('text', 'sentence'), [
    ('[old]\n', r'\[old\] glance_store_driver must be set'),
    ('[old]\nglance_store_driver = acme_disk\n',
     r"\[old\] glance_store_driver: no driver is called 'acme_disk'; installed: "
     r'acme_tape, cinder, file, http, rbd, s3, swift, vmware$'),
    ('[old]\nglance_store_driver = acme_tape\n', r'\[old\] tape_shelf must be set: A directory'),
    (OLD + 'tape_speed = fast\n', 'tape_speed'),
    (OLD + 'tape_faults = mistake\n', r'\[old\] the driver acme_tape reports: Store tape could '
                                      r'not be configured correctly. Reason: no robot opens '
                                      r'with \*'),
    (OLD + 'tape_faults = secret prefix\n', 'the driver acme_tape would write secrets into '
                                            'URLs'),
])
def test_invalid_options_prevent_the_start(make_bridge, package, text, sentence, shelf):
    with pytest.raises(contract.Misconfigured, match=sentence) as failure:
        make_bridge(text.format(shelf=shelf))

    assert KEY not in str(failure.value)


def test_a_driver_that_cannot_write_is_read_only(make):
    assert {'adopt', 'share'} == make('read-only').CAPABILITIES


def test_a_backend_that_is_down_does_not_prevent_the_start(make, shelf, caplog):
    url = make().write('key', iter([b'12345'])).url
    (shelf / 'power failure').touch()

    with caplog.at_level(logging.DEBUG, 'glancelite'):
        store = make()
        for ask in (store.read, store.size, store.delete, store.discard):
            with pytest.raises(contract.Unavailable):
                ask(url)
        with pytest.raises(contract.Unavailable):
            store.health()
    (shelf / 'power failure').unlink()

    assert 'the robot does not answer to ***' in caplog.text
    assert KEY not in caplog.text
    assert {'write', 'adopt', 'share'} == store.CAPABILITIES
    assert b''.join(store.read(url)) == b'12345'
    assert store.health() == 'acme_tape of glance_store'
    assert store.exclusive_resources() == ['tape://robot']


# --- credentials

CATALOG = ({'type': 'tape', 'name': 'robots', 'endpoints': [
    {'interface': 'public', 'region_id': 'r1', 'url': 'http://r1/'},
    {'interface': 'internal', 'region_id': 'r1', 'url': 'http://r1:1/'},
    {'interface': 'public', 'region_id': 'r2', 'url': 'http://r2/'}]},)


class Rights(contract.CredentialSource, contract.Credential):
    """A source and its credential in one; records calls."""

    project = 'of-the-service'

    def __init__(self):
        super().__init__(None, None)
        self.calls = []

    def open(self, ctx, *, long_running=False):
        self.calls.append(('open', ctx and ctx.project, long_running))
        return self

    def token(self):
        return 'token-of-the-service'

    def endpoint(self, service_type, **named):
        raise contract.Unavailable('there is none')

    def invalidate(self):
        self.calls.append('invalidated')

    def close(self):
        self.calls.append('closed')


@pytest.fixture
def rights(host, monkeypatch):
    rights = Rights()
    loaded = []
    monkeypatch.setattr(host, 'load', lambda layer, name, section: (
        loaded.append((name, section)), rights)[1])
    rights.loaded = loaded
    return rights


def test_the_driver_gets_the_context_of_the_caller_as_in_glance(store, calls, context):
    ctx = context('mine', roles=['member'], token='token', catalog=CATALOG,
                  request_id='req-1', is_admin=True)

    store.write('key', iter([b'1']), ctx=ctx)

    seen = next(context for verb, _, context, _ in calls if verb == 'add')
    assert {name: seen[name] for name in (
        'user_id', 'project_id', 'tenant', 'auth_token', 'roles', 'request_id', 'is_admin')} == {
        'user_id': 'user', 'project_id': 'mine', 'tenant': 'mine', 'auth_token': 'token',
        'roles': ['member'], 'request_id': 'req-1', 'is_admin': True}
    assert seen['service_catalog'] == [{'type': 'tape', 'name': 'robots', 'endpoints': [
        {'region': 'r1', 'publicURL': 'http://r1/', 'internalURL': 'http://r1:1/'},
        {'region': 'r2', 'publicURL': 'http://r2/'}]}]


@pytest.mark.parametrize('ctx', [None, contract.Context(project='whose-data-it-is')])
def test_without_a_caller_there_is_no_context(store, calls, ctx):
    store.write('key', iter([b'1']), ctx=ctx)

    assert {context for _, _, context, _ in calls} == {None}


@pytest.mark.parametrize('project', [None, 'mine'])
def test_the_driver_uses_the_chosen_credential(make, rights, project, context):
    store = make(more='credential = service\n')
    calls = importlib.import_module('acme_tape.store').CALLS
    calls.clear()

    store.write('key', iter([b'1']), ctx=project and context(project, token='own'))

    seen = next(context for verb, _, context, _ in calls if verb == 'add')
    assert rights.loaded == [('service', 'old')]
    assert rights.calls == [('open', project, True), 'closed']
    assert (seen['auth_token'], seen['project_id']) == ('token-of-the-service', 'of-the-service')


def test_a_credential_is_held_until_the_download_is_closed(make, rights):
    store = make(more='credential = service\n')
    url = store.write('key', iter([b'1'])).url
    rights.calls.clear()

    chunks = store.read(url)
    held = list(rights.calls)
    chunks.close()

    assert held == [('open', None, True)]
    assert rights.calls == [*held, 'closed']


def test_a_rejected_token_is_invalidated(make, rights):
    url = make().write('key', iter([b'1'])).url
    store = make('rejects the token', more='credential = service\n')

    with pytest.raises(contract.Unavailable):
        store.read(url)

    assert rights.calls == [('open', None, True), 'invalidated', 'closed']


def test_an_unknown_credential_prevents_the_start(make):
    with pytest.raises(contract.Misconfigured, match="no credential plugin is called 'magic'"):
        make(more='credential = magic\n')


# --- sharing and adopting

def test_a_driver_that_cannot_be_shared_is_created_per_operation(store, calls):
    url = store.write('key', iter([b'1'])).url
    list(store.read(url))

    used = [number for _, number, _, _ in calls]
    assert [verb for verb, _, _, _ in calls] == ['get', 'add', 'get']
    assert len(set(used)) == 3


def test_share_gives_projects_read_access(store, calls):
    url = store.write('key', iter([b'1'])).url

    store.share(url, public=False, projects=('a', 'b'))

    assert calls[-1][0] == 'set_acls'
    assert calls[-1][3] == {'public': False, 'read': ['a', 'b'], 'write': []}


@pytest.mark.parametrize('url', ['tape://robot/mine', 'tape://robot/a.b-c'])
def test_urls_of_the_store_are_adopted(store, url):
    assert store.adopt(url) == url


@pytest.mark.parametrize('url', [
    'tape://other/mine', 'tape://robot', 'tape://robot/', 'tape://robot/../x', 'tape://robotx/y',
    'tape://me:secret@robot/mine', 'disk://robot/mine', 'tape://robot/a/../../b',
    'tape://robot/a b', 'tape://robot/a\n', f'tape://robot/{KEY}', ''])
def test_other_urls_are_not_adopted(store, url):
    with pytest.raises(contract.Invalid):
        store.adopt(url)


def test_the_service_works_with_the_driver(live_server, package, tmp_path):
    shelf = tmp_path / 'shelf'
    server = live_server({
        'DEFAULT': {'enabled_backends': 'old:glance_store', 'workers': 1},
        'glance_store': {'default_backend': 'old'},
        'old': {'glance_store_driver': 'acme_tape', 'tape_shelf': shelf,
                'store_description': 'The robot', 'weight': 3},
        'database': {'connection': f'sqlite:///{tmp_path}/records.sqlite'},
        'layers': {'auth': 'noauth', 'sync_database': 'true', 'inspector': ''},
    }, {'PYTHONPATH': str(package), 'XDG_CACHE_HOME': str(tmp_path / 'cache')})

    def ask(method, path, data=None, kind='application/json'):
        request = urllib.request.Request(server.url + path, data, {'Content-Type': kind},
                                         method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read()

    image = json.loads(ask('POST', '/v2/images', json.dumps({
        'name': 'x', 'disk_format': 'raw', 'container_format': 'bare'}).encode()))['id']
    ask('PUT', f'/v2/images/{image}/file', b'12345' * 100_000, 'application/octet-stream')
    active = json.loads(ask('GET', f'/v2/images/{image}'))

    assert os.listdir(shelf) == [image]
    assert (active['status'], active['size'], active['stores']) == ('active', 500_000, 'old')
    assert ask('GET', f'/v2/images/{image}/file') == b'12345' * 100_000
    ask('DELETE', f'/v2/images/{image}')
    assert os.listdir(shelf) == []
    assert 'not used by glancelite' not in server.log.read_text()
    with pytest.raises(urllib.error.HTTPError, match='404'):
        ask('GET', f'/v2/images/{image}')
