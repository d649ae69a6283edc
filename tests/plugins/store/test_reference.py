"""The reference uses the real library."""

import pytest
from glance_store import exceptions

from tests.plugins.store.reference import reference


@pytest.mark.parametrize('size', [5, None], ids=['known', 'unknown'])
def test_the_file_driver_writes_reads_and_deletes(tmp_path, size):
    store = reference('file', filesystem_store_datadir=str(tmp_path))

    url = store.write('key', b'12345', size=size)

    assert url == f'file://{tmp_path}/key'
    assert (tmp_path / 'key').read_bytes() == b'12345'
    assert (store.read(url), store.size(url)) == (b'12345', 5)
    assert store.read(url, offset=1, chunk_size=3) == b'234'
    store.delete(url)
    with pytest.raises(exceptions.NotFound):
        store.size(url)


def test_two_references_are_independent(tmp_path):
    one, other = (reference('file', filesystem_store_datadir=str(tmp_path / name))
                  for name in ('one', 'other'))

    urls = [one.write('key', b'1'), other.write('key', b'2')]

    assert urls == [f'file://{tmp_path}/one/key', f'file://{tmp_path}/other/key']
    assert [store.url_prefix for store in (one, other)] == [
        f'file://{tmp_path}/one', f'file://{tmp_path}/other']


def test_invalid_options_are_reported(tmp_path):
    with pytest.raises(exceptions.BadStoreConfiguration):
        reference('file', filesystem_store_datadir=None)
    with pytest.raises(TypeError, match='has no option datadir'):
        reference('file', datadir='x')
