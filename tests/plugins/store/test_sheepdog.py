"""The store ``sheepdog`` fulfils the contract, despite unreliable results of ``dog``."""

import logging
import os
import tempfile
import threading
import time

import pytest

from glancelite import contract
from glancelite.plugins.store.sheepdog import SheepdogStore
from glancelite.testing.contracts.store import StoreContract
from glancelite.testing.contracts.store.failures import (
    BrokenBackendContract,
    MissingRootContract,
    TwoStoresContract,
)
from glancelite.testing.contracts.store.toolbox import MIB, pattern
from tests.servers import process
from tests.servers import sheepdog as starter


@pytest.fixture(scope='session')
def sheepdog_cluster(sheepdog):
    return sheepdog.cluster()


@pytest.fixture(scope='session')
def other_cluster(sheepdog):
    return sheepdog.cluster()


@pytest.fixture(scope='session')
def fakes():
    with starter.factory(fake=True) as factory:
        yield factory


@pytest.fixture(scope='session')
def fake(fakes):
    """A fake cluster that can be full and slow, and whose reads can fail."""
    return fakes.cluster()


@pytest.fixture
def make_sheepdog(make_plugin, sheepdog, monkeypatch):
    """Build a store for a cluster; options without their prefix."""
    def make(cluster, *, factory=sheepdog, name='test', **options):
        monkeypatch.setenv('PATH', factory.path, prepend=os.pathsep)
        for key, value in factory.env.items():
            monkeypatch.setenv(key, value)
        given = {'address': [cluster.address], 'port': cluster.port, 'timeout': 10.0, **options}
        return make_plugin(SheepdogStore, name=name, **{
            f'sheepdog_store_{key}': value for key, value in given.items()})
    return make


@pytest.fixture
def store(make_sheepdog, sheepdog_cluster):
    return make_sheepdog(sheepdog_cluster)


@pytest.fixture
def fake_store(make_sheepdog, fakes, fake):
    """A store in the fake cluster."""
    return make_sheepdog(fake, factory=fakes, timeout=0.5)


@pytest.mark.long
class TestSheepdog(StoreContract):
    """Some of the data needs several runs of the program."""

    @pytest.fixture
    def store(self, make_sheepdog, sheepdog_cluster):
        self.cluster = sheepdog_cluster
        return make_sheepdog(sheepdog_cluster, chunk_size=4)

    def leftovers(self, store):
        return self.cluster.names()


class TestTwoClusters(TwoStoresContract):

    @pytest.fixture
    def store(self, make_sheepdog, sheepdog_cluster):
        return make_sheepdog(sheepdog_cluster, name='one')

    @pytest.fixture
    def other(self, make_sheepdog, other_cluster):
        return make_sheepdog(other_cluster, name='other')


class Broken(BrokenBackendContract):

    @pytest.fixture
    def broken_url(self, broken):
        port = broken.options.sheepdog_store_port
        return f'sheepdog://127.0.0.1:{port}:d5f0cb2c-0a4e-4d3b-9e1f-3f2f3e1c9f00'


class TestUnreachableDaemon(Broken):

    @pytest.fixture
    def broken(self, make_sheepdog, sheepdog_cluster):
        return make_sheepdog(sheepdog_cluster, port=process.free_port())


class TestStoppedDaemon(Broken):

    @pytest.fixture
    def broken(self, make_sheepdog, sheepdog_cluster):
        with sheepdog_cluster.stopped():
            yield make_sheepdog(sheepdog_cluster, timeout=0.5)


class TestUnformattedCluster(MissingRootContract):

    @pytest.fixture(autouse=True)
    def _cluster(self, fake):
        self.state = fake.state('unformatted')

    @pytest.fixture
    def store(self, make_sheepdog, fakes, fake):
        return make_sheepdog(fake, factory=fakes)

    def take_root_away(self, store):
        self.state.__enter__()

    def bring_root_back(self, store):
        self.state.__exit__(None, None, None)


# --- several daemons

@pytest.fixture
def nowhere():
    """The address of a daemon that does not run."""
    return f'127.0.0.1:{process.free_port()}'


@pytest.mark.parametrize('real', [True, False], ids=['this cluster', 'fake'])
def test_the_other_daemons_serve_when_the_first_one_is_dead(
        make_sheepdog, sheepdog, sheepdog_cluster, fakes, fake, nowhere, caplog, real):
    cluster, factory = (sheepdog_cluster, sheepdog) if real else (fake, fakes)
    second, third = (f'127.0.0.1:{port}' for port in cluster.ports[1:3])
    store = make_sheepdog(cluster, factory=factory, address=[nowhere, second, third])
    data = pattern(5 * MIB + 13)

    assert store.health().startswith('running')
    url = store.write('kept-alive', iter([data])).url

    assert url == f'sheepdog://{nowhere}:kept-alive'
    assert store.size(url) == len(data)
    assert b''.join(store.read(url)) == data
    assert store.owns(f'sheepdog://{third}:kept-alive')
    assert store.delete(f'sheepdog://{third}:kept-alive') is None
    assert store.discard('kept-alive') is None
    assert caplog.text.count('does not answer; another one is used') == 1


def test_a_daemon_that_dies_later_is_replaced(make_sheepdog, fakes, nowhere):
    cluster = fakes.cluster()
    first, second = (f'127.0.0.1:{port}' for port in cluster.ports[:2])
    store = make_sheepdog(cluster, factory=fakes, address=[second, first])
    url = store.write('kept', iter([b'12345'])).url
    assert url == f'sheepdog://{second}:kept'

    os.unlink(f'{cluster.folder.parent}/{second}')

    assert b''.join(store.read(url)) == b'12345'
    assert store.write('new', iter([b'1'])).size == 1
    store.delete(url)
    store.discard('new')


def test_after_a_timeout_the_next_command_goes_to_another_daemon(make_sheepdog, fakes, fake):
    silent = fakes.cluster()
    addresses = [f'127.0.0.1:{each.port}' for each in (silent, fake)]
    store = make_sheepdog(fake, factory=fakes, address=addresses, timeout=0.5)

    with silent.stopped():
        with pytest.raises(contract.Unavailable):
            store.health()
        assert store.health().startswith('running')


@pytest.mark.parametrize('address', [[], ['x:'], [':7000'], ['-x'], ['a b'], ['x', 'host:x']])
def test_malformed_hosts_prevent_the_start(make_sheepdog, sheepdog_cluster, address):
    with pytest.raises(contract.Misconfigured, match='sheepdog_store_address must'):
        make_sheepdog(sheepdog_cluster, address=address)


@pytest.mark.parametrize(('address', 'resources'), [
    (['a', 'b:1'], ['sheepdog://a:7', 'sheepdog://b:1']),
    (['::1', '[::1]', '[::2]:3'], ['sheepdog://::1:7', 'sheepdog://::2:3'])])
def test_the_port_is_for_hosts_without_one(make_sheepdog, sheepdog_cluster, address, resources):
    store = make_sheepdog(sheepdog_cluster, address=address, port=7)

    assert sorted(store.exclusive_resources()) == resources


# --- URLs and images of Glance

def test_images_have_the_form_of_glance(store, sheepdog_cluster):
    data = pattern(5 * MIB + 13)

    written = store.write('form', iter([data]))

    try:
        assert written.url == f'sheepdog://127.0.0.1:{sheepdog_cluster.port}:form'
        assert written.metadata == {}
        _, listed, _ = sheepdog_cluster.run('list', 'form', options=('-r',))
        assert listed.split(b' ')[3] == b'%d' % len(data)
        assert sheepdog_cluster.run('read', 'form') == (0, data, '')
    finally:
        store.delete(written.url)


@pytest.mark.parametrize('size', [0, 1, 4 * MIB, 4 * MIB + 7])
def test_images_of_glance_are_read_and_deleted(store, sheepdog_cluster, size):
    data = pattern(size)
    for url in ('sheepdog://kept-old', f'sheepdog://127.0.0.1:{sheepdog_cluster.port}:kept-old'):
        sheepdog_cluster.put('kept-old', data)

        assert store.owns(url)
        assert store.size(url) == size
        assert b''.join(store.read(url)) == data
        assert b''.join(store.read(url, offset=size // 2, length=3)) == data[size // 2:][:3]
        store.delete(url)

    assert 'kept-old' not in sheepdog_cluster.names()


def test_known_daemons_of_the_cluster_are_used(make_sheepdog, store, sheepdog_cluster):
    other = f'127.0.0.1:{sheepdog_cluster.ports[1]}'
    knowing = make_sheepdog(sheepdog_cluster, known_addresses=[other])
    url = store.write('kept-known', iter([b'12345'])).url
    there = f'sheepdog://{other}:kept-known'

    try:
        assert b''.join(knowing.read(there)) == b'12345'
        assert not store.owns(there)
        with pytest.raises(contract.Invalid):
            store.read(there)
        assert sorted(knowing.exclusive_resources()) == sorted(
            f'sheepdog://127.0.0.1:{port}' for port in sheepdog_cluster.ports[:2])
    finally:
        store.delete(url)


@pytest.mark.parametrize('url', [
    'sheepdog://-x', 'sheepdog://--help', 'sheepdog://127.0.0.1:{port}:-x',
    'sheepdog://-a:{port}:x', 'sheepdog://127.0.0.1:x', 'sheepdog://127.0.0.1:{port}:',
    'sheepdog://127.0.0.1:{port}:a b', 'sheepdog://127.0.0.1:{port}:$(id)',
    'sheepdog://127.0.0.1:{port}:../x', 'sheepdog://127.0.0.1:{port}:.x',
    'sheepdog://127.0.0.1:0{port}:x', 'sheepdog://127.0.0.1:+{port}:x',
    'sheepdog://127.0.0.2:{port}:x', 'sheepdog://127.0.0.1:1:x', 'sheepdog://evil.example:22:x',
    'sheepdog://127.0.0.1:{port}:' + 'x' * 256, 'sheepdog:x', 'http://127.0.0.1:{port}:x'])
def test_foreign_and_malformed_urls_are_refused(store, sheepdog_cluster, url):
    url = url.format(port=sheepdog_cluster.port)

    assert not store.owns(url)
    for ask in (store.read, store.size, store.delete):
        with pytest.raises(contract.Invalid):
            ask(url)


@pytest.mark.parametrize('key', ['', '-x', '--hyper', '.', '..', 'a b', 'a\n', 'a/b', 'x' * 256])
def test_invalid_keys_are_refused(store, sheepdog_cluster, key):
    for act in (lambda: store.write(key, iter([b'1'])), lambda: store.discard(key)):
        with pytest.raises(contract.Invalid):
            act()


def test_the_options_are_those_of_glance():
    found = {opt.dest.removeprefix('sheepdog_store_'): opt.default for opt in SheepdogStore.OPTS}

    assert found == {'address': ['127.0.0.1'], 'port': 7000, 'chunk_size': 64,
                     'known_addresses': [], 'timeout': 60}


@pytest.mark.parametrize('known', ['x', 'host', 'host:', ':7000', 'host:x', '-a:7000',
                                   'host:99999999', 'a b:7000'])
def test_malformed_addresses_prevent_the_start(make_sheepdog, sheepdog_cluster, known):
    with pytest.raises(contract.Misconfigured):
        make_sheepdog(sheepdog_cluster, known_addresses=[known])


# --- the program

def test_a_missing_program_prevents_the_start(make_plugin, monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))

    with pytest.raises(contract.Misconfigured, match='dog'):
        make_plugin(SheepdogStore)


def test_the_old_name_of_the_program_works(make_plugin, fake_store, fakes, monkeypatch, tmp_path):
    (tmp_path / 'collie').symlink_to(f'{fakes.path}/dog')
    with monkeypatch.context() as patch:
        patch.setenv('PATH', str(tmp_path))
        old = make_plugin(SheepdogStore, **vars(fake_store.options))

    assert old.health().startswith('running')


def test_a_daemon_that_stops_during_an_operation_is_abandoned(fake_store, fake):
    url = fake_store.write('kept-middle', iter([b'12345'])).url
    start = time.monotonic()

    def source():
        yield b'x' * MIB
        stopping.__enter__()

    stopping = fake.stopped()
    try:
        with pytest.raises(contract.Unavailable):
            fake_store.write('unlucky', source())
        with pytest.raises(contract.Unavailable):
            fake_store.read(url)
    finally:
        stopping.__exit__(None, None, None)
    assert time.monotonic() - start < 8

    fake_store.discard('unlucky')
    fake_store.delete(url)
    assert fake.names() == []


def test_a_slow_reader_is_not_a_timeout(fake_store, fake):
    data = pattern(12 * MIB)
    fake_store.write('slow', iter([data]))
    chunks = fake_store.read(f'sheepdog://127.0.0.1:{fake.port}:slow')

    seen = next(chunks)
    time.sleep(1)

    assert seen + b''.join(chunks) == data
    fake_store.discard('slow')


def test_a_slow_cluster_is_not_a_timeout(fake_store, fake):
    data = pattern(20 * MIB)

    with fake.state('slow'):
        url = fake_store.write('slow', iter([data])).url

    assert b''.join(fake_store.read(url)) == data
    fake_store.delete(url)


def test_a_full_cluster_is_reported_and_left_clean(fake_store, fake):
    with fake.state('full'), pytest.raises(contract.TooLarge):
        fake_store.write('full', iter([b'x' * MIB]))

    assert fake.names() == []


def test_a_cluster_without_a_free_vdi_is_full(fake_store, fake):
    with fake.state('crowded'), pytest.raises(contract.TooLarge):
        fake_store.write('crowded', iter([b'x']))


def test_a_read_that_fails_halfway_is_an_error(fake_store, fake):
    data = pattern(6 * MIB)
    url = fake_store.write('dies', iter([data])).url
    with fake.state('dies', str(5 * MIB)):
        chunks = fake_store.read(url)
        with pytest.raises(contract.Unavailable):
            b''.join(chunks)
    with fake.state('dies', '0'), pytest.raises(contract.Unavailable):
        fake_store.read(url)

    assert b''.join(fake_store.read(url)) == data
    fake_store.delete(url)


def test_a_failed_delete_with_exit_code_zero_is_noticed(make_sheepdog, fakes, fake, fake_store):
    gone = make_sheepdog(fake, factory=fakes, port=process.free_port())
    url = fake_store.write('quiet', iter([b'1'])).url

    for ask in (gone.delete, gone.size):
        with pytest.raises(contract.Unavailable):
            ask('sheepdog://quiet')
    fake_store.delete(url)
    with pytest.raises(contract.NotFound):
        fake_store.delete(url)


def test_an_image_with_the_unfinished_mark_has_no_data(store, sheepdog_cluster):
    sheepdog_cluster.put('kept-marked', b'12345')
    sheepdog_cluster.run('setattr', 'kept-marked', 'glancelite.unfinished', 'yes')
    for ask in (store.read, store.size):
        with pytest.raises(contract.NotFound):
            ask('sheepdog://kept-marked')

    store.discard('kept-marked')
    sheepdog_cluster.put('kept-marked', b'67890')

    assert b''.join(store.read('sheepdog://kept-marked')) == b'67890'
    store.delete('sheepdog://kept-marked')


def test_a_closed_download_leaves_no_process(fake_store):
    url = fake_store.write('closed', iter([pattern(12 * MIB)])).url
    readers = [fake_store.read(url) for _ in range(3)]
    processes = [reader._process for reader in readers]

    next(readers[0])
    readers[0].close()
    readers[1].close()
    del readers

    assert all(each.returncode is not None for each in processes)
    fake_store.delete(url)


def test_waiting_data_is_in_unnamed_files(fake_store, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    seen, ready = [], threading.Event()

    def source():
        yield b'x' * MIB
        seen.extend(os.listdir(tmp_path))
        ready.set()

    fake_store.write('waits', source())

    assert (ready.is_set(), seen) == (True, [])
    fake_store.discard('waits')


def test_a_failure_of_temporary_files_is_logged(fake_store, fake, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, 'tempdir', '/nonexistent')

    with caplog.at_level(logging.ERROR), pytest.raises(contract.Unavailable):
        fake_store.write('no-room', iter([b'1']))

    assert '/nonexistent' in caplog.text
    assert fake.names() == []
