"""The configured stores: failures, options, sharing."""

import pytest

from glancelite import contract, loader
from glancelite.assembly import stores as stores_module
from glancelite.contract import Location
from glancelite.domain import patch
from glancelite.services.discovery import Discovery
from glancelite.services.stores import Stores
from glancelite.services.stores.configured import (
    LONGEST_PAUSE,
    SUSPECT_TIME,
    ConfiguredStore,
)
from glancelite.testing import service
from tests.services.conftest import raising, read_data

DATA = bytes(range(256)) * 4096


@pytest.mark.parametrize(('url', 'shown'), [
    ('swift+https://tenant:user:key@auth.example/v3/images/object',
     'swift+https://auth.example/v3/images/object'),
    ('swift+https://tenant:user:k@y@auth.example/v3/images/object',
     'swift+https://auth.example/v3/images/object'),
    ('s3+https://AKIA:se/cr@t/@s3.example/images/object', 's3+https://s3.example/images/object'),
    ('https://user:password@web.example/a@2x?b@c', 'https://web.example/a@2x?b@c'),
    ('https://web.example?to=a@b', 'https://web.example?to=a@b'),
    ('swift+config://ref1/images/an@object', 'swift+config://ref1/images/an@object')])
def test_no_secret_of_a_location_is_displayed(core, url, shown):
    assert core.layers.stores.for_display(Location(url)).url == shown


@pytest.mark.parametrize(('url', 'shown'), [
    ('unknown://user:pass@word@host/path', 'unknown://host/path'),
    ('user:password@host', 'host'),
    ('unknown://key:se/cr@t/@host/path', 'unknown://host/path'),
    ('unknown://key:12/cr@t', 'unknown://key:12/cr@t'),
    ('unknown://volume/name@host', 'unknown://volume/name@host'),
    ('unknown://user:pass@host/a?b=c@d', 'unknown://host/a?b=c@d')])
def test_no_secret_is_displayed_of_a_url_without_driver(core, url, shown):
    assert core.layers.stores.redact(Location(url)) == shown


class Wrapper(contract.Store):
    """A driver whose schemes are known only when it is built, like those of glance_store."""

    SCHEMES = ()
    CAPABILITIES = frozenset({'write'})

    def __init__(self, *schemes):
        self.SCHEMES = schemes

    def read(self, url, *, offset=0, length=None, ctx=None):
        return iter([])

    def size(self, url, *, ctx=None):
        return 0

    def owns(self, url):
        return False


@pytest.fixture
def wrapped(core):
    """The stores of a service whose only store is a wrapper around two drivers."""
    store = ConfiguredStore('wrapper', Wrapper, lambda: Wrapper('s3', 'http', 'other'))
    assert store.driver.SCHEMES
    return Stores([store], 'wrapper', strategy=None, installed=core.layers.stores._installed)


@pytest.mark.parametrize(('url', 'shown'), [
    ('s3://AKIA:se/cr@t/@s3.example/images/object', 's3://s3.example/images/object'),
    ('other://user:password@host/an@object', 'other://host/an@object')])
def test_the_native_driver_redacts_the_urls_of_a_wrapper(wrapped, url, shown):
    assert wrapped.redact(Location(url)) == shown


@pytest.mark.parametrize(('url', 'public', 'readable'), [
    ('http://web.example/x', True, True), ('https://web.example/x', True, False),
    ('s3://host/x', False, False), ('other://host/x', False, False)])
def test_public_urls_are_readable_through_a_wrapper(wrapped, url, public, readable):
    assert wrapped.is_public(url) is public
    assert wrapped.reads_public(url) is readable


# --- a store that fails

class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_building_a_driver_is_retried_with_growing_pauses():
    clock, tried_at, failing = Clock(), [], [True]

    def make():
        tried_at.append(clock.now)
        if failing[0]:
            raise contract.Misconfigured('an option is missing')
        return object()

    store = ConfiguredStore('cold', contract.Store, make, clock=clock)
    for _ in range(60):
        with pytest.raises(contract.Misconfigured, match='an option is missing'):
            _ = store.driver
        clock.now += 1
    failing[0] = False
    clock.now += LONGEST_PAUSE

    assert [moment - 100 for moment in tried_at] == [0, 5, 15, 35]
    assert store.driver is not None
    assert store.is_built


@pytest.mark.parametrize(('failure', 'error_of_writer'), [
    (contract.Misconfigured('an option is missing'), contract.ReadOnly),
    (contract.Unavailable('no answer'), contract.Unavailable)])
def test_a_store_without_driver_raises_a_fitting_error(failure, error_of_writer):
    class Driver(contract.Store):
        CAPABILITIES = frozenset({'write'})

    store = ConfiguredStore('cold', Driver, raising(failure))

    with pytest.raises(error_of_writer):
        store.writer()
    with pytest.raises(contract.Unavailable):
        store.reader()
    assert not store.owns('cold://x')
    assert dict(store.properties()) == {}
    assert not store.is_healthy


def test_a_failed_store_is_healthy_again_after_some_time():
    clock = Clock()
    store = ConfiguredStore('cold', contract.Store, object, clock=clock)
    assert store.driver is not None

    store.record_result(contract.NotFound('not a failure of the store'))
    assert store.is_healthy
    store.record_result(contract.Unavailable('no answer'))
    assert not store.is_healthy
    clock.now += SUSPECT_TIME
    assert store.is_healthy


TWO = """
[DEFAULT]
enabled_backends = fast:memory, cold:file
[glance_store]
default_backend = fast
[cold]
{cold}
[layers]
auth = noauth
database = memory
"""


@pytest.fixture
def build(tmp_path):
    cores = []

    def make(cold='', text=TWO):
        cores.append(service.build(tmp_path, text.format(cold=cold, home=tmp_path)))
        return cores[-1]
    yield make
    for core in cores:
        core.close()


def test_a_store_with_invalid_options_does_not_affect_others(build, ctx, caplog):
    core = build('filesystem_store_datadir = not/absolute')
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))

    with pytest.raises(contract.ReadOnly):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), store='cold')

    assert core.use_cases.uploads.receive(ctx, image.id, iter([b'data'])).status == 'active'
    assert 'filesystem_store_datadir and each of' in caplog.text
    assert [store.name for store in core.layers.stores.not_built] == ['cold']


def test_a_store_built_late_cannot_use_the_resource_of_another(build, tmp_path, caplog):
    facts = tmp_path / 'facts.json'
    core = build('filesystem_store_datadir = {home}/same\nfilesystem_store_metadata_file = '
                 f'{facts}\n[other]\nfilesystem_store_datadir = {tmp_path}/same'.replace(
                     '{home}', str(tmp_path)), TWO.replace('cold:file', 'cold:file, other:file'))
    store = core.layers.stores['cold']
    facts.write_text('{"id": "x", "mountpoint": "/"}')

    store._retry_at = 0.0
    with pytest.raises(contract.ReadOnly):
        store.writer()

    assert 'the stores other and cold must not share ' in caplog.text
    assert not store.is_built
    assert core.layers.stores['other'].writer()


def test_the_options_of_the_default_store_must_be_valid(build):
    with pytest.raises(contract.Misconfigured, match='an absolute path'):
        build('filesystem_store_datadir = not/absolute', TWO.replace(
            'default_backend = fast', 'default_backend = cold'))


def test_a_store_can_be_configured_read_only(build, ctx, tmp_path):
    core = build(f'filesystem_store_datadir = {tmp_path}/cold\nread_only = true')
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    (tmp_path / 'cold' / 'key').write_bytes(b'data')
    location = Location(f'file://{tmp_path}/cold/key', {'store': 'cold'})

    with pytest.raises(contract.ReadOnly, match="images to the store 'cold' is disabled"):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), store='cold')
    core.layers.stores.delete(location)

    assert core.layers.stores.size(location) == 4
    assert [store['id'] for store in Discovery(core.layers).stores()
            if 'read-only' in store] == ['cold']


def test_a_default_store_that_is_read_only_refuses_uploads(build, ctx, tmp_path, caplog):
    core = build(f'filesystem_store_datadir = {tmp_path}/cold\nread_only = true', TWO.replace(
        'default_backend = fast', 'default_backend = cold'))
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))

    with pytest.raises(contract.ReadOnly):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))
    assert core.use_cases.images.get(ctx, image.id).status == 'queued'
    assert core.use_cases.uploads.receive(
        ctx, image.id, iter([b'data']), store='fast').status == 'active'

    assert 'the default store cold is read-only' in caplog.text
    assert [(store['id'], store.get('read-only')) for store in Discovery(core.layers).stores()
            if store.get('default')] == [('cold', 'true')]


def test_web_servers_may_be_the_only_store(build, ctx, caplog):
    core = build(text='[DEFAULT]\nenabled_backends = web:http\n'
                      '[glance_store]\ndefault_backend = web\n'
                      '[layers]\nauth = noauth\ndatabase = memory\n')

    assert core.layers.stores.names == ('web',)
    assert core.layers.stores.reads_public('http://images.example/x')
    assert 'the default store web is read-only' in caplog.text


def test_a_driver_is_found_by_its_name_before_the_schemes_of_others(build, monkeypatch):
    class Other(Wrapper):
        SCHEMES = ('memory',)

    installed = {'other': Other, **stores_module._usable()}
    monkeypatch.setattr(stores_module, '_usable', lambda: installed)

    core = build(text='[glance_store]\ndefault_store = memory\nstores = filesystem\n'
                      'filesystem_store_datadir = {home}/data\n'
                      '[layers]\nauth = noauth\ndatabase = memory\n')

    assert core.layers.stores.names == ('memory', 'file')


def test_the_drivers_by_scheme_are_collected_once(monkeypatch):
    first = stores_module._by_scheme()
    monkeypatch.setattr(loader, 'installed', lambda layer: pytest.fail('they are searched again'))

    assert stores_module._by_scheme() is first


def test_a_driver_of_an_old_list_that_cannot_be_loaded_stops_the_start(build, monkeypatch):
    installed = loader.installed('store')
    installed['broken'] = loader.Installed('store', 'broken', None, 'acme', '1', 'ImportError: x')
    monkeypatch.setattr(loader, 'installed', lambda layer: installed)

    with pytest.raises(contract.Misconfigured, match='broken'):
        build(text='[glance_store]\ndefault_store = memory\nstores = broken\n'
                   '[layers]\nauth = noauth\ndatabase = memory\n')


# --- reserved stores

RESERVED = """
[DEFAULT]
enabled_backends = fast:memory
[glance_store]
default_backend = fast
[os_glance_staging_store]
filesystem_store_datadir = {home}/staging
[os_glance_tasks_store]
driver = memory
[layers]
auth = noauth
database = memory
"""


def test_reserved_stores_are_hidden_from_users(build, tmp_path):
    core = build(text=RESERVED)
    stores = core.layers.stores

    assert set(stores.reserved) == {'os_glance_staging_store', 'os_glance_tasks_store'}
    assert stores.names == ('fast',)
    with pytest.raises(contract.Invalid):
        stores.choose('os_glance_staging_store')
    assert [store['id'] for store in Discovery(core.layers).stores()] == ['fast']
    staging = stores.reserved['os_glance_staging_store'].driver
    assert staging.write('key', iter([b'data'])).url == f'file://{tmp_path}/staging/key'
    assert stores.reserved['os_glance_tasks_store'].driver.SCHEMES == ('memory',)


def test_a_reserved_store_with_invalid_options_does_not_affect_others(build, ctx, caplog):
    core = build(text=RESERVED.replace('driver = memory', 'driver = glance_store'))

    assert [store.name for store in core.layers.stores.not_built] == ['os_glance_tasks_store']
    assert 'store os_glance_tasks_store cannot be used: ' in caplog.text


# --- sharing

def test_stores_that_share_receive_the_projects_that_may_read(core, ctx, active, monkeypatch):
    shared = []
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(type(driver), 'CAPABILITIES', driver.CAPABILITIES | {'share'})
    monkeypatch.setattr(driver, 'share', lambda url, *, public, projects, ctx:
                        shared.append((public, projects)), raising=False)
    image = active()
    core.use_cases.members.add(ctx, image.id, 'friend')
    core.use_cases.members.remove(ctx, image.id, 'friend')
    core.use_cases.images.update(ctx, image.id, patch.parse(
        [{'op': 'replace', 'path': '/visibility', 'value': 'community'}], patch.DRAFT_10,
        core.schema.validate_attribute))

    assert shared == [(False, []), (False, ['friend']), (False, []), (True, [])]


def test_a_failure_to_share_is_only_logged(core, ctx, active, monkeypatch, caplog):
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(type(driver), 'CAPABILITIES', driver.CAPABILITIES | {'share'})
    monkeypatch.setattr(driver, 'share', raising(contract.Unavailable('no answer')))

    assert active().status == 'active'
    assert 'was not updated in the store fast' in caplog.text


def test_members_are_not_read_if_no_store_shares(core, ctx, active, monkeypatch):
    monkeypatch.setattr(core.layers.database.members, 'list',
                        raising(AssertionError('members were read')))

    assert active().status == 'active'


@pytest.mark.parametrize(('accepts', 'kind'), [(True, memoryview), (False, bytes)])
def test_only_stores_that_accept_memoryviews_get_them(core, ctx, queued, monkeypatch, accepts,
                                                      kind):
    driver, received = core.layers.stores['fast'].driver, []
    write = driver.write

    def recording_write(key, chunks, **named):
        return write(
            key, (received.append(type(chunk)) or bytes(chunk) for chunk in chunks), **named)

    monkeypatch.setattr(driver, 'write', recording_write)
    monkeypatch.setattr(type(driver), 'ACCEPTS_MEMORYVIEW', accepts)

    monkeypatch.setattr('glancelite.services.stores.stores.COPY_SIZE', 600_000)
    image = core.use_cases.uploads.receive(
        ctx, queued().id, iter([memoryview(DATA)]), size=len(DATA))

    assert received == [kind] * (1 if accepts else 2)
    assert read_data(core, ctx, image) == DATA


# --- the strategy

def test_a_strategy_gets_the_image_and_the_caller(core, ctx, replicated):
    calls = []

    class Reversed(contract.LocationStrategy):
        def order(self, locations, weights, *, image=None, ctx=None):
            calls.append((image, ctx))
            return locations[::-1]

    stores = Stores(core.layers.stores, 'fast', strategy=Reversed(None, None))

    shown = stores.displayed(replicated, ctx)
    chunks = stores.read(replicated, offset=0, length=4, ctx=ctx)

    assert [one.store for one in shown] == ['cold', 'fast']
    assert b''.join(chunks) == b'data'
    assert calls == [(replicated, ctx)] * 2
