"""The store ``glance_store`` keeps the contract with the library's own drivers."""

import functools
import http.server
import os
import threading

import pytest

from glancelite import contract
from glancelite.testing.contracts.store import StoreContract
from glancelite.testing.contracts.store_reading import HOSTILE, ReadingContract, pattern

FILE = """
[old]
glance_store_driver = file
filesystem_store_datadir = {folder}
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'images'


class TestFileDriver(StoreContract):
    """All that the kit asks, but for the hint of the size."""

    @pytest.fixture
    def store(self, make_bridge, folder):
        return make_bridge(FILE.format(folder=folder))

    def leftovers(self, store):
        return os.listdir(store.properties()['data_dir'])

    @pytest.mark.parametrize('promised', [1, 100, 10 << 20])
    def test_a_wrong_size_is_a_hint_only(self, store, box, promised):
        """The library refuses it; what the core writes has the size that it says."""
        key = box.key()

        with pytest.raises(contract.Invalid):
            box.write(key, iter([b'12', b'345']), size=promised)

        assert box.absent(key)


class Files(http.server.SimpleHTTPRequestHandler):

    def list_directory(self, path):
        self.send_error(404)

    def log_message(self, *told):
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

    @pytest.mark.parametrize('address', [
        address for address in HOSTILE if not address.startswith('http:')], ids=ascii)
    def test_a_hostile_address_leads_nowhere(self, store, sample, address):
        """But for other hosts: this driver has no idea which of them are its own."""
        super().test_a_hostile_address_leads_nowhere(store, sample, address)

    def test_nobody_chooses_an_address_for_it(self, store, sample):
        assert frozenset() == store.CAPABILITIES
        with pytest.raises(contract.Invalid):
            store.adopt(sample[0])
