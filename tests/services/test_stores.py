"""Several stores: which one is asked, what happens when one fails, who may know what."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.contract import FileExtent, Location
from glancelite.services.chains import PolicyChain
from glancelite.services.discovery import Discovery
from glancelite.services.stores.configured import (
    LONGEST_PAUSE,
    SUSPECT_TIME,
    ConfiguredStore,
)
from glancelite.testing import service

DATA = bytes(range(256)) * 4096


class Breaking:
    """Passes some bytes on, and then breaks as told."""

    def __init__(self, chunks, after, failure):
        self._chunks = chunks
        self._left = after
        self._failure = failure

    def __iter__(self):
        return self

    def __next__(self):
        if not self._left:
            if self._failure is None:
                raise StopIteration
            raise self._failure
        self._left -= 1
        return next(self._chunks)


@pytest.fixture
def twice(core, ctx, queued, kept):
    """An image with a copy in ``fast`` and one in ``cold``, in pieces of 64 KiB."""
    def pieces():
        return (DATA[at:at + 65536] for at in range(0, len(DATA), 65536))

    image = core.use_cases.uploads.receive(ctx, queued().id, pieces(), size=len(DATA))
    location, _ = core.layers.stores.write('cold', image.id, pieces(), size=None, ctx=ctx)
    return core.layers.database.images.update(
        kept(image), {'locations': (*image.locations, location)})


@pytest.fixture
def download(core, ctx):
    def take(image, **asked):
        found = core.use_cases.downloads.open(ctx, image.id, **asked)
        return b''.join(found.chunks)
    return take


def fail(monkeypatch, store, failure):
    def refuse(*args, **named):
        raise failure
    for name in ('read', 'size', 'delete'):
        monkeypatch.setattr(store.driver, name, refuse)


# --- reading

@pytest.mark.parametrize('failure', [
    contract.Unavailable('gone fishing'), contract.NotFound('lost'),
    contract.Unsupported('not like this')], ids=lambda failure: type(failure).__name__)
def test_a_copy_that_does_not_open_is_followed_by_the_next(core, twice, download, monkeypatch,
                                                           failure):
    fail(monkeypatch, core.layers.stores['fast'], failure)

    assert download(twice) == DATA
    assert download(twice, range_header='bytes=70000-') == DATA[70000:]


@pytest.mark.parametrize('failure', [
    OSError(5, 'broken'), contract.Unavailable('gone'), RuntimeError('of a library'), None],
    ids=['os', 'contract', 'library', 'short'])
@pytest.mark.parametrize('after', [0, 1, 9])
@pytest.mark.parametrize('asked', [None, 'bytes=10-', 'bytes=100000-1000000'])
def test_a_copy_that_breaks_is_continued_by_the_next(core, twice, download, monkeypatch,
                                                     failure, after, asked):
    driver = core.layers.stores['fast'].driver
    read = driver.read
    monkeypatch.setattr(driver, 'read', lambda *args, **named: Breaking(
        iter(read(*args, **named)), after, failure))

    wanted = DATA if asked is None else DATA[10:] if asked.endswith('0-') else DATA[
        100_000:1_000_001]
    assert download(twice, range_header=asked) == wanted


def test_a_file_that_is_shorter_than_it_was_is_continued_by_the_next(core, twice, download,
                                                                    monkeypatch, tmp_path):
    short = tmp_path / 'short'
    short.write_bytes(DATA[:300_000])
    monkeypatch.setattr(
        core.layers.stores['fast'].driver, 'read',
        lambda *args, **named: FileExtent(short.open('rb'), 0, len(DATA), 65536))

    assert download(twice) == DATA


def test_without_a_hash_nobody_knows_that_another_copy_is_the_same(core, twice, download,
                                                                  monkeypatch):
    core.layers.database.images.update(twice, {'os_hash_value': None, 'checksum': None})
    driver = core.layers.stores['fast'].driver
    read = driver.read
    monkeypatch.setattr(driver, 'read', lambda *args, **named: Breaking(
        iter(read(*args, **named)), 1, OSError(5, 'broken')))

    with pytest.raises(OSError, match='broken'):
        download(twice)


@pytest.fixture
def breaks(core, twice, monkeypatch):
    """``twice``: the copy in ``fast`` breaks on the way, and ``cold`` cannot read parts."""
    fast, cold = core.layers.stores
    read, first = fast.driver.read, twice.locations[0].url
    monkeypatch.setattr(fast.driver, 'read', lambda url, **named: Breaking(
        iter(read(url, **named)), 1 if url == first else 99, OSError(5, 'broken')))
    monkeypatch.setattr(cold.driver, 'CAPABILITIES', frozenset({'write'}), raising=False)
    fail(monkeypatch, cold, AssertionError('asked for a part'))
    return twice


def test_a_copy_that_cannot_be_read_in_parts_is_passed_over(core, ctx, breaks, download):
    third, _ = core.layers.stores.write('fast', 'third', iter([DATA]), size=None, ctx=ctx)
    image = core.layers.database.images.update(
        breaks, {'locations': (*breaks.locations, third)})

    assert download(image) == DATA


def test_what_broke_is_the_answer_where_no_other_copy_goes_on(breaks, download):
    with pytest.raises(OSError, match='broken'):
        download(breaks)


def test_the_failure_of_the_last_copy_is_the_answer(core, twice, download, monkeypatch):
    fail(monkeypatch, core.layers.stores['fast'], contract.NotFound('lost'))
    fail(monkeypatch, core.layers.stores['cold'], contract.Unavailable('away'))

    with pytest.raises(contract.Unavailable):
        download(twice)


def test_a_store_that_did_not_answer_is_asked_last_for_a_while(core, twice, monkeypatch):
    stores, asked = core.layers.stores, []
    for name in ('fast', 'cold'):
        driver = stores[name].driver
        monkeypatch.setattr(driver, 'read', lambda *args, name=name, read=driver.read, **named:
                            asked.append(name) or read(*args, **named))

    stores['fast'].record_result(contract.Unavailable('away'))
    list(stores.read(twice, offset=0, length=len(DATA), ctx=None))
    stores['fast'].record_result(None)
    list(stores.read(twice, offset=0, length=len(DATA), ctx=None))

    assert asked == ['cold', 'fast']


@pytest.mark.parametrize(('prefer', 'first'), [
    (None, 'fast'), ('', 'fast'), (',', 'fast'), ('cold', 'cold'), ('cold,fast', 'cold'),
    ('fast, cold', 'fast')])
def test_a_caller_may_prefer_stores(core, ctx, twice, monkeypatch, prefer, first):
    asked = []
    for store in core.layers.stores:
        monkeypatch.setattr(store.driver, 'read', lambda *args, store=store,
                            read=store.driver.read, **named:
                            asked.append(store.name) or read(*args, **named))

    core.use_cases.downloads.open(ctx, twice.id, prefer=prefer)

    assert asked == [first]


@pytest.mark.parametrize('prefer', ['nowhere', 'cold,nowhere', 'cold nowhere'])
def test_stores_that_do_not_exist_cannot_be_preferred(core, ctx, twice, prefer):
    with pytest.raises(contract.Invalid, match='there is no store'):
        core.use_cases.downloads.open(ctx, twice.id, prefer=prefer)


def test_a_policy_may_refuse_the_choice_of_a_store_alone(core, ctx, twice):
    class NoChoice(contract.PolicyEngine):
        def enforce(self, ctx, action, image=None, *, member=None):
            if action == 'download_from_store':
                raise contract.Forbidden('not from there')
    strict = service.exchange(core, policy=PolicyChain([NoChoice(None, None)]))

    with pytest.raises(contract.Forbidden, match='not from there'):
        strict.use_cases.downloads.open(ctx, twice.id, prefer='cold')

    assert b''.join(strict.use_cases.downloads.open(ctx, twice.id).chunks) == DATA


def test_what_is_recorded_of_the_store_may_be_wrong(core, ctx, twice, download):
    stores = core.layers.stores
    changed = core.layers.database.images.update(twice, {'locations': tuple(
        dataclasses.replace(one, metadata={'store': 'renamed'}) for one in twice.locations)})

    assert download(changed) == DATA
    assert [one.store for one in stores.displayed(changed)] == ['fast', 'cold']


@pytest.mark.parametrize(('url', 'shown'), [
    ('swift+https://tenant:user:key@auth.example/v3/images/object',
     'swift+https://auth.example/v3/images/object'),
    ('swift+https://tenant:user:k@y@auth.example/v3/images/object',
     'swift+https://auth.example/v3/images/object'),
    ('s3+https://AKIA:se/cr@t/@s3.example/images/object', 's3+https://s3.example/images/object'),
    ('https://user:password@web.example/a@2x?b@c', 'https://web.example/a@2x?b@c'),
    ('https://web.example?to=a@b', 'https://web.example?to=a@b'),
    ('swift+config://ref1/images/an@object', 'swift+config://ref1/images/an@object')])
def test_no_secret_of_an_old_location_is_shown(core, url, shown):
    assert core.layers.stores.for_display(Location(url)).url == shown


# --- one store that fails is alone

class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_driver_that_cannot_be_built_is_tried_again_with_growing_pauses():
    clock, tried, failing = Clock(), [], [True]

    def make():
        tried.append(clock.now)
        if failing[0]:
            raise contract.Misconfigured('a word is missing')
        return object()

    store = ConfiguredStore('cold', contract.Store, make, clock=clock)
    for _ in range(60):
        with pytest.raises(contract.Misconfigured, match='a word is missing'):
            _ = store.driver
        clock.now += 1
    failing[0] = False
    clock.now += LONGEST_PAUSE

    assert [at - 100 for at in tried] == [0, 5, 15, 35]
    assert store.driver is not None
    assert store.is_built


@pytest.mark.parametrize(('failure', 'writing'), [
    (contract.Misconfigured('a word is missing'), contract.ReadOnly),
    (contract.Unavailable('does not answer'), contract.Unavailable)])
def test_without_a_driver_there_is_an_answer_for_everybody(failure, writing):
    def make():
        raise failure

    class Kind(contract.Store):
        CAPABILITIES = frozenset({'write'})

    store = ConfiguredStore('cold', Kind, make)

    with pytest.raises(writing):
        store.writer()
    with pytest.raises(contract.Unavailable):
        store.reader()
    assert not store.owns('cold://x')
    assert dict(store.properties()) == {}
    assert not store.is_healthy


def test_suspicion_ends_by_itself():
    clock = Clock()
    store = ConfiguredStore('cold', contract.Store, object, clock=clock)
    assert store.driver is not None

    store.record_result(contract.NotFound('no failure of the store'))
    assert store.is_healthy
    store.record_result(contract.Unavailable('away'))
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
    living = []

    def make(cold='', text=TWO):
        living.append(service.build(tmp_path, text.format(cold=cold, home=tmp_path)))
        return living[-1]
    yield make
    for core in living:
        core.close()


def test_a_store_with_wrong_options_leaves_the_others_alone(build, ctx, caplog):
    core = build('filesystem_store_datadir = not/absolute')
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))

    with pytest.raises(contract.ReadOnly):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), store='cold')

    assert core.use_cases.uploads.receive(ctx, image.id, iter([b'data'])).status == 'active'
    assert 'a data directory is an absolute path' in caplog.text
    assert [store.name for store in core.layers.stores.not_built] == ['cold']


def test_a_store_that_is_set_up_late_takes_nothing_that_is_anothers(build, tmp_path, caplog):
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


def test_the_default_store_must_be_right(build):
    with pytest.raises(contract.Misconfigured, match='an absolute path'):
        build('filesystem_store_datadir = not/absolute', TWO.replace(
            'default_backend = fast', 'default_backend = cold'))


def test_an_operator_can_close_a_store(build, ctx, tmp_path):
    core = build(f'filesystem_store_datadir = {tmp_path}/cold\nread_only = true')
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    (tmp_path / 'cold' / 'kept').write_bytes(b'kept')
    location = Location(f'file://{tmp_path}/cold/kept', {'store': 'cold'})

    with pytest.raises(contract.ReadOnly, match="images to the store 'cold' is disabled"):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), store='cold')
    core.layers.stores.delete(location)

    assert core.layers.stores.size(location) == 4
    assert [found['id'] for found in Discovery(core.layers).stores()
            if 'read-only' in found] == ['cold']


def test_a_default_store_that_is_closed_stops_the_start(build, tmp_path):
    with pytest.raises(contract.Misconfigured, match='cold is read-only'):
        build(f'filesystem_store_datadir = {tmp_path}/cold\nread_only = true', TWO.replace(
            'default_backend = fast', 'default_backend = cold'))


# --- the service's own stores

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


def test_reserved_stores_are_nobodys_business(build, tmp_path):
    core = build(text=RESERVED)
    stores = core.layers.stores

    assert set(stores.reserved) == {'os_glance_staging_store', 'os_glance_tasks_store'}
    assert stores.names == ('fast',)
    with pytest.raises(contract.Invalid):
        stores.choose('os_glance_staging_store')
    assert [found['id'] for found in Discovery(core.layers).stores()] == ['fast']
    staging = stores.reserved['os_glance_staging_store'].driver
    assert staging.write('key', iter([b'data'])).url == f'file://{tmp_path}/staging/key'
    assert stores.reserved['os_glance_tasks_store'].driver.SCHEMES == ('memory',)


# --- what is told of them

def test_everybody_may_know_the_names(core):
    assert Discovery(core.layers).stores() == [
        {'id': 'fast', 'default': 'true'}, {'id': 'cold'}]


def test_operators_know_more(core, ctx, admin, monkeypatch):
    fail(monkeypatch, core.layers.stores['cold'], contract.Unavailable('away'))

    def ill():
        raise contract.Unavailable('away')
    monkeypatch.setattr(core.layers.stores['cold'].driver, 'health', ill)
    fast, cold = Discovery(core.layers).detail(admin)

    assert fast == {'id': 'fast', 'default': 'true', 'type': 'memory', 'weight': 0,
                    'properties': {}, 'status': 'available'}
    assert cold['status'] == 'unavailable'
    with pytest.raises(contract.Forbidden):
        Discovery(core.layers).detail(ctx)


def test_a_store_is_not_asked_for_its_health_by_every_caller(core, admin, monkeypatch):
    asked = []
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'health',
                        lambda: asked.append(1) or 'ok')
    discovery = Discovery(core.layers)

    for _ in range(3):
        discovery.detail(admin)

    assert asked == [1]


# --- who may read is told to the stores that care

def test_stores_that_share_are_told_who_may_read(core, ctx, active, monkeypatch):
    told = []
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(type(driver), 'CAPABILITIES', driver.CAPABILITIES | {'share'})
    monkeypatch.setattr(driver, 'share', lambda url, *, public, projects, ctx:
                        told.append((public, projects)), raising=False)
    from glancelite.domain import patch

    image = active()
    core.use_cases.members.add(ctx, image.id, 'friend')
    core.use_cases.members.remove(ctx, image.id, 'friend')
    core.use_cases.images.update(ctx, image.id, patch.parse(
        [{'op': 'replace', 'path': '/visibility', 'value': 'community'}], patch.DRAFT_10,
        core.schema.validate_attribute))

    assert told == [(False, []), (False, ['friend']), (False, []), (True, [])]


def test_a_store_that_cannot_share_is_only_complained_of(core, ctx, active, monkeypatch, caplog):
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(type(driver), 'CAPABILITIES', driver.CAPABILITIES | {'share'})

    def refuse(url, **named):
        raise contract.Unavailable('away')
    monkeypatch.setattr(driver, 'share', refuse)

    assert active().status == 'active'
    assert 'was not updated in the store fast' in caplog.text


def test_nobody_is_asked_for_members_where_no_store_shares(core, ctx, active, monkeypatch):
    def refuse(image_id):
        raise AssertionError('asked for nothing')
    monkeypatch.setattr(core.layers.database.members, 'list', refuse)

    assert active().status == 'active'


@pytest.mark.parametrize(('takes', 'kind'), [(True, memoryview), (False, bytes)])
def test_only_stores_that_take_views_get_them(core, ctx, queued, monkeypatch, takes, kind):
    driver, given = core.layers.stores['fast'].driver, []
    write = driver.write

    def watched(key, chunks, **named):
        return write(key, (given.append(type(chunk)) or bytes(chunk) for chunk in chunks), **named)

    monkeypatch.setattr(driver, 'write', watched)
    monkeypatch.setattr(type(driver), 'ACCEPTS_MEMORYVIEW', takes)

    monkeypatch.setattr('glancelite.services.stores.stores.COPY_SIZE', 600_000)
    image = core.use_cases.uploads.receive(
        ctx, queued().id, iter([memoryview(DATA)]), size=len(DATA)
    )

    assert given == [kind] * (1 if takes else 2)
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == DATA
