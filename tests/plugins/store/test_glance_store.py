"""The store ``glance_store`` fulfils the contract with the drivers of the library."""

import functools
import http.server
import os
import threading

import pytest

from glancelite import contract
from glancelite.testing.contracts.store import StoreContract
from glancelite.testing.contracts.store.failures import MissingRootContract, TwoStoresContract
from glancelite.testing.contracts.store.reading import ReadingContract
from glancelite.testing.contracts.store.toolbox import MIB, die_while_writing, pattern
from tests.plugins.store.reference import reference

FILE = """
[old]
glance_store_driver = file
filesystem_store_datadir = {folder}
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'images'


class VisibleContract(StoreContract):
    """The contract, except that data of a dead writer is visible until it is discarded."""

    def test_data_of_a_killed_process_is_discarded(self, store, box, patience):
        """Others can read the data before that, under its final name."""
        key = box.key()
        assert die_while_writing(store, key, iter([pattern(MIB)] * 24), patience)

        store.discard(key)

        assert box.absent(key)


class TestFileDriver(VisibleContract):
    """Also except the wrong size as a hint."""

    @pytest.fixture
    def store(self, make_bridge, folder):
        return make_bridge(FILE.format(folder=folder))

    def leftovers(self, store):
        return os.listdir(store.properties()['data_dir'])

    @pytest.mark.parametrize('promised', [1, 100, 10 << 20])
    def test_a_wrong_size_is_a_hint_only(self, store, box, promised):
        """The library refuses it; the core announces correct sizes only."""
        key = box.key()

        with pytest.raises(contract.Invalid):
            box.write(key, iter([b'12', b'345']), size=promised)

        assert box.absent(key)


class TestMovedDirectory(MissingRootContract):

    @pytest.fixture(autouse=True)
    def _folder(self, folder):
        self.folder = folder

    @pytest.fixture
    def store(self, make_bridge, folder):
        return make_bridge(FILE.format(folder=folder))

    def take_root_away(self, store):
        self.folder.rename(f'{self.folder}.away')

    def bring_root_back(self, store):
        os.rename(f'{self.folder}.away', self.folder)


class TestTwoFileDrivers(TwoStoresContract):

    @pytest.fixture
    def store(self, make_bridge, tmp_path):
        return make_bridge(FILE.format(folder=tmp_path / 'images'))

    @pytest.fixture
    def other(self, make_bridge, tmp_path):
        text = FILE.format(folder=tmp_path / 'images2').replace('[old]', '[new]')
        return make_bridge(text, 'new')


class Files(http.server.SimpleHTTPRequestHandler):

    def list_directory(self, path):
        self.send_error(404)

    def log_message(self, *arguments):
        pass


class TestHTTPDriver(ReadingContract):

    @pytest.fixture
    def store(self, make_bridge):
        return make_bridge('[old]\nglance_store_driver = http\n')

    @pytest.fixture
    def base(self, folder):
        """URL of a web server with a file."""
        folder.mkdir()
        (folder / 'image').write_bytes(pattern(300_000))
        handler = functools.partial(Files, directory=folder)
        with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield f'http://127.0.0.1:{server.server_port}'
            server.shutdown()
            thread.join()

    @pytest.fixture
    def sample(self, base):
        return f'{base}/image', pattern(300_000)

    @pytest.fixture
    def missing(self, base):
        return f'{base}/missing'

    def test_it_has_no_capabilities(self, store):
        assert frozenset() == store.CAPABILITIES


@pytest.mark.parametrize('size', [0, 5, 500_000, None], ids=str)
def test_the_bridge_and_the_library_read_the_images_of_each_other(make_bridge, make_store, folder,
                                                                 size):
    ours = make_bridge(FILE.format(folder=folder))
    theirs = reference('file', filesystem_store_datadir=str(folder))
    data = pattern(100 if size is None else size)

    urls = [ours.write('ours', iter([data] if data else []), size=size).url,
            theirs.write('theirs', data, size)]

    assert urls == [f'file://{folder}/ours', f'file://{folder}/theirs']
    for url in urls:
        assert [b''.join(ours.read(url)), theirs.read(url)] == [data, data]
        assert [ours.size(url), theirs.size(url)] == [len(data)] * 2
    theirs.delete(urls[0])
    ours.delete(urls[1])
    assert os.listdir(folder) == []
    assert ours.properties() == {'data_dir': str(folder), 'chunk_size': 65536,
                                 'thin_provisioning': False}
    theirs = make_store(datadir=str(folder))
    assert set(ours.exclusive_resources()) == set(theirs.exclusive_resources())


def test_the_store_owns_images_in_all_its_directories(make_bridge, tmp_path):
    folders = [tmp_path / 'one', tmp_path / 'two']
    store = make_bridge('[old]\nglance_store_driver = file\nfilesystem_store_datadir =\n'
                        f'filesystem_store_datadirs = {folders[0]}:5\n'
                        f'filesystem_store_datadirs = {folders[1]}\n')

    for folder in folders:
        (folder / 'image').write_bytes(b'12345')
        for scheme in 'file', 'filesystem':
            assert store.owns(f'{scheme}://{folder}/image')
            assert b''.join(store.read(f'{scheme}://{folder}/image')) == b'12345'

    assert store.write('key', iter([b'1'])).url == f'file://{folders[0]}/key'


def test_a_driver_with_the_password_in_its_urls_is_refused(make_bridge):
    with pytest.raises(contract.Misconfigured, match='enabled_backends = old:swift') as failure:
        make_bridge('[old]\nglance_store_driver = swift\n'
                    'swift_store_auth_address = http://127.0.0.1:9\n'
                    'swift_store_user = me:myself\nswift_store_key = not-for-you\n')

    assert 'not-for-you' not in str(failure.value)


def test_a_driver_without_the_password_in_its_urls_is_accepted(make_bridge, tmp_path):
    (tmp_path / 'swift.conf').write_text(
        '[r1]\nauth_address = http://127.0.0.1:9\nuser = me:myself\nkey = not-for-you\n')
    store = make_bridge('[old]\nglance_store_driver = swift\ndefault_swift_reference = r1\n'
                        'swift_store_config_file = swift.conf\n'
                        '[backend_defaults]\nswift_store_container = images\n')

    assert store.owns('swift+config://r1/images/key')
    assert not store.owns('swift+config://r1/images2/key')
    assert not store.owns('swift+config://r1/images')
    assert {'write', 'adopt'} == store.CAPABILITIES
    assert store.properties() == {'container': 'images', 'large_object_size': 5120 * 1_024_000,
                                  'large_object_chunk_size': 200 * 1_024_000}
    with pytest.raises(contract.Invalid):
        store.adopt('swift+config://r1/images/key')
    with pytest.raises(contract.Unavailable):
        store.read('swift+config://r1/images/key')
