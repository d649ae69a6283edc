"""The store ``file`` and the driver of Glance read the images of each other."""

import itertools
import json
import os

import pytest
from glance_store import exceptions

from glancelite import contract
from glancelite.testing.contracts.store.toolbox import cut, pattern
from tests.plugins.store.reference import reference

KIB, MIB = 1 << 10, 1 << 20
NUMBERS = itertools.count()
SIZES = (0, 1, 64 * KIB, 64 * KIB + 1, 3 * MIB + 7)


@pytest.fixture(params=['one directory', 'several', 'thin', 'with timeout'])
def both(request, make_store, tmp_path):
    """This store and that of Glance, with the same options."""
    options = {
        'one directory': {'datadir': str(tmp_path)},
        'several': {'datadir': None, 'datadirs': [f'{tmp_path}/a:1', f'{tmp_path}/b:2']},
        'thin': {'datadir': str(tmp_path), 'thin': True, 'chunk_size': 4096},
        'with timeout': {'datadir': str(tmp_path), 'timeout': 30, 'thread_pool_size': 2},
    }[request.param]
    named = {f'filesystem_store_{key}': value for key, value in options.items() if key != 'thin'}
    return make_store(**options), reference(
        'file', filesystem_thin_provisioning=options.get('thin', False), **named)


def ranges(data):
    """Return the data and its ranges, as they are read below."""
    return [data, data[1:], data[1:1 + 100], data[:0]]


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES)
def test_images_of_glance_are_read(both, size, known):
    ours, glance = both
    data = pattern(size)

    url = glance.write(f'key{next(NUMBERS)}', data, size=size if known else None)

    assert ours.owns(url)
    assert ours.size(url) == size
    assert [b''.join(ours.read(url, **part)) for part in (
        {}, {'offset': min(1, size)}, {'offset': min(1, size), 'length': 100},
        {'length': 0})] == ranges(data)
    ours.delete(url)
    with pytest.raises(exceptions.NotFound):
        glance.size(url)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES)
def test_glance_reads_our_images(both, size, known):
    ours, glance = both
    data = pattern(size)

    written = ours.write(f'key{next(NUMBERS)}', cut(data, 100_000), size=size if known else None)

    assert glance.size(written.url) == size
    assert glance.read(written.url) == data
    if size:
        assert glance.read(written.url, offset=1, chunk_size=100) == data[1:101]
    glance.delete(written.url)
    with pytest.raises(contract.NotFound):
        ours.size(written.url)


def test_both_use_the_same_url_for_a_key(both):
    ours, glance = both
    key = f'key{next(NUMBERS)}'

    urls = [ours.write(key, iter([b'12345'])).url]
    with pytest.raises(exceptions.Duplicate):
        glance.write(key, b'12345')
    ours.delete(urls[0])
    urls.append(glance.write(key, b'12345'))
    with pytest.raises(contract.Conflict):
        ours.write(key, iter([b'12345']))

    assert urls[0] == urls[1]


def test_both_leave_the_same_holes(make_store, tmp_path):
    data = b'a' + bytes(MIB) + b'b' + bytes(MIB)
    options = {'filesystem_store_datadir': str(tmp_path), 'filesystem_store_chunk_size': 4096,
               'filesystem_thin_provisioning': True}
    ours, glance = make_store(thin=True, chunk_size=4096), reference('file', **options)

    urls = [ours.write('ours', iter([data])).url, glance.write('glance', data, size=len(data))]

    for name in 'ours', 'glance':
        assert os.stat(tmp_path / name).st_blocks * 512 <= 5 * 4096
    for url in urls:
        assert b''.join(ours.read(url)) == glance.read(url) == data


@pytest.mark.parametrize('several', [False, True], ids=['object', 'list'])
def test_both_record_the_same_metadata(make_store, tmp_path, several):
    entry = {'id': 'share', 'mountpoint': str(tmp_path)}
    described = tmp_path / 'metadata.json'
    described.write_text(json.dumps([entry, {'id': 'x', 'mountpoint': '/x'}] if several
                                    else entry))
    root = tmp_path / 'images'
    options = {'datadir': str(root), 'metadata_file': str(described), 'file_perm': 640}
    ours = make_store(**options)
    glance = reference('file', **{f'filesystem_store_{key}': value
                                  for key, value in options.items()})

    metadata = ours.write('ours', iter([b'1'])).metadata
    glance.write('glance', b'1')

    assert {**metadata, 'store': glance.metadata['store']} == glance.metadata
    assert (root / 'ours').stat().st_mode == (root / 'glance').stat().st_mode
