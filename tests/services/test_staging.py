"""Reading the staging area: in buffers if it is a file, as the store returns it otherwise."""

import os
import pathlib
import random

import pytest

from glancelite import contract
from glancelite.services import staging
from glancelite.services.staging import Staged
from glancelite.testing import service

SIZE = 3 * staging.CHUNK_SIZE + 5
DATA = random.Random(5).randbytes(SIZE)
FILES = """
[os_glance_staging_store]
driver = file
filesystem_store_datadir = {}
"""


@pytest.fixture
def area(tmp_path):
    """A staging area in a directory."""
    core = service.build(tmp_path, service.MEMORY + FILES.format(tmp_path / 'staging'))
    yield core.layers.staging
    core.close()


@pytest.fixture
def staged(area):
    return Staged((area.write('one', iter([DATA])), area.write('two', iter([DATA[:7]]))))


def test_a_file_is_read_in_views_of_memory(area, staged):
    read = area.read(staged, views=True)
    sizes = []
    content = bytearray()
    for chunk in read:
        assert isinstance(chunk, memoryview)
        sizes.append(len(chunk))
        content += chunk

    assert content == DATA + DATA[:7]
    assert sizes == [staging.CHUNK_SIZE] * 3 + [5, 7]


def test_chunks_that_are_kept_do_not_change(area, staged):
    assert b''.join(list(area.read(staged, views=True))) == DATA + DATA[:7]


def test_buffers_are_reused(area, staged):
    for chunk in area.read(staged, views=True):
        assert area._buffers._used <= 2 * staging.CHUNK_SIZE
        del chunk


def test_steps_and_importers_get_bytes(area, staged):
    assert {type(chunk) for chunk in area.read(staged)} == {bytes}


@pytest.mark.parametrize('size', [0, staging.CHUNK_SIZE, SIZE - 1])
def test_a_truncated_file_is_damaged(area, staged, size):
    os.truncate(pathlib.Path(staged.parts[0][0].removeprefix('file://')), size)

    with pytest.raises(contract.Unavailable, match='damaged'):
        for _ in area.read(staged, views=True):
            pass


def test_data_of_other_stores_is_read_as_it_is(tmp_path):
    core = service.build(tmp_path)
    area = core.layers.staging
    staged = Staged((area.write('one', iter([DATA])),))

    assert b''.join(area.read(staged, views=True)) == DATA
    core.close()


def test_programs_read_a_file_where_it_is(area, staged):
    first = Staged(staged.parts[:1])

    path = area.path(first)

    assert pathlib.Path(path).read_bytes() == DATA
    assert area.path(staged) is None    # it is in two files


def test_programs_need_a_copy_of_what_is_in_no_file(tmp_path):
    core = service.build(tmp_path, service.MEMORY)
    area = core.layers.staging

    assert area.path(Staged((area.write('one', iter([DATA])),))) is None
    core.close()
