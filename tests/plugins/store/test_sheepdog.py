"""The store ``sheepdog`` keeps the contract, whatever ``dog`` says and does not say."""

import logging
import os
import tempfile
import threading
import time

import pytest

from glancelite import contract
from glancelite.plugins.store.sheepdog import SheepdogStore
from glancelite.testing.contracts.store import StoreContract
from glancelite.testing.contracts.store.toolbox import MIB, pattern
from glancelite.testing.contracts.store.trouble import BrokenBackendContract, TwoStoresContract
from tests.servers import process
from tests.servers import sheepdog as starter


@pytest.fixture(scope='session')
def sheepdog_cluster(sheepdog):
    return sheepdog.cluster()


@pytest.fixture(scope='session')
def other_cluster(sheepdog):
    return sheepdog.cluster()


@pytest.fixture(scope='session')
def stand_ins():
    with starter.farm(stand_in=True) as farm:
        yield farm


@pytest.fixture(scope='session')
def stand_in(stand_ins):
    """A cluster that can be full, and whose reads can fail in the middle."""
    return stand_ins.cluster()


@pytest.fixture
def make_sheepdog(make_plugin, sheepdog, monkeypatch):
    """Builds a store for a cluster; options without their prefix."""
    def make(cluster, *, farm=sheepdog, name='test', **options):
        monkeypatch.setenv('PATH', farm.path, prepend=os.pathsep)
        for key, value in farm.env.items():
            monkeypatch.setenv(key, value)
        given = {'address': cluster.address, 'port': cluster.port, 'timeout': 10.0, **options}
        return make_plugin(SheepdogStore, name=name, **{
            f'sheepdog_store_{key}': value for key, value in given.items()})
    return make


@pytest.fixture
def store(make_sheepdog, sheepdog_cluster):
    return make_sheepdog(sheepdog_cluster)


@pytest.fixture
def frail(make_sheepdog, stand_ins, stand_in):
    """A store in the cluster that stands in for a real one."""
    return make_sheepdog(stand_in, farm=stand_ins, timeout=0.5)


class TestSheepdog(StoreContract):
    """With data, some of it, that does not fit into one run of the program."""

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


class TestDaemonThatIsAway(Broken):

    @pytest.fixture
    def broken(self, make_sheepdog, sheepdog_cluster):
        return make_sheepdog(sheepdog_cluster, port=process.free_port())


class TestDaemonThatIsStopped(Broken):

    @pytest.fixture
    def broken(self, make_sheepdog, sheepdog_cluster):
        with sheepdog_cluster.stopped():
            yield make_sheepdog(sheepdog_cluster, timeout=0.5)


# --- URLs and forms of Glance

def test_the_form_is_the_one_of_glance(store, sheepdog_cluster):
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
def test_images_that_glance_wrote_are_read_and_removed(store, sheepdog_cluster, size):
    data = pattern(size)
    for url in ('sheepdog://kept-old', f'sheepdog://127.0.0.1:{sheepdog_cluster.port}:kept-old'):
        sheepdog_cluster.put('kept-old', data)

        assert store.owns(url)
        assert store.size(url) == size
        assert b''.join(store.read(url)) == data
        assert b''.join(store.read(url, offset=size // 2, length=3)) == data[size // 2:][:3]
        store.delete(url)

    assert 'kept-old' not in sheepdog_cluster.names()


def test_other_daemons_of_the_cluster_are_asked_if_they_are_known(make_sheepdog, store,
                                                                  sheepdog_cluster):
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
def test_what_we_would_not_have_written_is_no_address(store, sheepdog_cluster, url):
    url = url.format(port=sheepdog_cluster.port)

    assert not store.owns(url)
    for ask in (store.read, store.size, store.delete):
        with pytest.raises(contract.Invalid):
            ask(url)


@pytest.mark.parametrize('key', ['', '-x', '--hyper', '.', '..', 'a b', 'a\n', 'a/b', 'x' * 256])
def test_what_is_no_key_is_no_name(store, sheepdog_cluster, key):
    for act in (lambda: store.write(key, iter([b'1'])), lambda: store.discard(key)):
        with pytest.raises(contract.Invalid):
            act()


def test_the_options_are_those_of_glance():
    found = {opt.dest.removeprefix('sheepdog_store_'): opt.default for opt in SheepdogStore.OPTS}

    assert found == {'address': '127.0.0.1', 'port': 7000, 'chunk_size': 64,
                     'known_addresses': [], 'timeout': 60}


@pytest.mark.parametrize('known', ['x', 'host', 'host:', ':7000', 'host:x', '-a:7000',
                                   'host:99999999', 'a b:7000'])
def test_addresses_that_are_none_stop_the_start(make_sheepdog, sheepdog_cluster, known):
    with pytest.raises(contract.Misconfigured):
        make_sheepdog(sheepdog_cluster, known_addresses=[known])


# --- the program

def test_without_the_program_nothing_starts(make_plugin, monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))

    with pytest.raises(contract.Misconfigured, match='dog'):
        make_plugin(SheepdogStore)


def test_its_old_name_will_do(make_plugin, frail, stand_ins, monkeypatch, tmp_path):
    (tmp_path / 'collie').symlink_to(f'{stand_ins.path}/dog')
    with monkeypatch.context() as patch:
        patch.setenv('PATH', str(tmp_path))
        old = make_plugin(SheepdogStore, **vars(frail.options))

    assert old.health().startswith('running')


def test_a_daemon_that_stops_in_the_middle_is_given_up(frail, stand_in):
    url = frail.write('kept-middle', iter([b'12345'])).url
    start = time.monotonic()

    def source():
        yield b'x' * MIB
        stopping.__enter__()

    stopping = stand_in.stopped()
    try:
        with pytest.raises(contract.Unavailable):
            frail.write('unlucky', source())
        with pytest.raises(contract.Unavailable):
            frail.read(url)
    finally:
        stopping.__exit__(None, None, None)
    assert time.monotonic() - start < 8

    frail.discard('unlucky')
    frail.delete(url)
    assert stand_in.names() == []


def test_a_slow_client_is_no_slow_cluster(frail, stand_in):
    data = pattern(12 * MIB)
    frail.write('slow', iter([data]))
    chunks = frail.read(f'sheepdog://127.0.0.1:{stand_in.port}:slow')

    seen = next(chunks)
    time.sleep(1)

    assert seen + b''.join(chunks) == data
    frail.discard('slow')


def test_a_slow_cluster_is_no_silent_one(frail, stand_in):
    data = pattern(20 * MIB)

    with stand_in.state('slow'):
        url = frail.write('slow', iter([data])).url

    assert b''.join(frail.read(url)) == data
    frail.delete(url)


def test_a_full_cluster_is_said_to_be_full_and_left_clean(frail, stand_in):
    with stand_in.state('full'), pytest.raises(contract.TooLarge):
        frail.write('full', iter([b'x' * MIB]))

    assert stand_in.names() == []


def test_what_ends_in_the_middle_is_an_error_and_not_the_end(frail, stand_in):
    data = pattern(6 * MIB)
    url = frail.write('dies', iter([data])).url
    with stand_in.state('dies', str(5 * MIB)):
        chunks = frail.read(url)
        with pytest.raises(contract.Unavailable):
            b''.join(chunks)
    with stand_in.state('dies', '0'), pytest.raises(contract.Unavailable):
        frail.read(url)

    assert b''.join(frail.read(url)) == data
    frail.delete(url)


def test_a_removal_that_failed_quietly_is_noticed(make_sheepdog, stand_ins, stand_in, frail):
    gone = make_sheepdog(stand_in, farm=stand_ins, port=process.free_port())
    url = frail.write('quiet', iter([b'1'])).url

    for ask in (gone.delete, gone.size):
        with pytest.raises(contract.Unavailable):
            ask('sheepdog://quiet')
    frail.delete(url)
    with pytest.raises(contract.NotFound):
        frail.delete(url)


def test_an_image_without_its_mark_is_whole_and_one_with_it_is_not(store, sheepdog_cluster):
    sheepdog_cluster.put('kept-marked', b'12345')
    sheepdog_cluster.run('setattr', 'kept-marked', 'glancelite.unfinished', 'yes')
    for ask in (store.read, store.size):
        with pytest.raises(contract.NotFound):
            ask('sheepdog://kept-marked')

    store.discard('kept-marked')
    sheepdog_cluster.put('kept-marked', b'67890')

    assert b''.join(store.read('sheepdog://kept-marked')) == b'67890'
    store.delete('sheepdog://kept-marked')


def test_a_reader_that_gives_up_leaves_no_process(frail):
    url = frail.write('given-up', iter([pattern(12 * MIB)])).url
    readers = [frail.read(url) for _ in range(3)]
    processes = [reader._process for reader in readers]

    next(readers[0])
    readers[0].close()
    readers[1].close()
    del readers

    assert all(each.returncode is not None for each in processes)
    frail.delete(url)


def test_data_that_waits_is_in_files_without_names(frail, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    seen, ready = [], threading.Event()

    def source():
        yield b'x' * MIB
        seen.extend(os.listdir(tmp_path))
        ready.set()

    frail.write('waits', source())

    assert (ready.is_set(), seen) == (True, [])
    frail.discard('waits')


def test_no_room_for_data_that_waits_is_said(frail, stand_in, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, 'tempdir', '/nonexistent')

    with caplog.at_level(logging.ERROR), pytest.raises(contract.Unavailable):
        frail.write('no-room', iter([b'1']))

    assert '/nonexistent' in caplog.text
    assert stand_in.names() == []
