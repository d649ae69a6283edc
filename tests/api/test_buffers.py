"""Buffers of uploads are reused, and chunks do not change while they are referenced."""

import pytest

from glancelite.support import buffers

SIZE = 1 << 20


@pytest.fixture
def reader():
    """Reads ones, then twos, and so on."""
    numbers = iter(range(1, 256))

    def readinto(room):
        room[:] = bytes([next(numbers)]) * len(room)
        return len(room)

    return buffers.Reader(readinto, buffers.Pool())


def test_memory_is_reused_when_nothing_refers_to_it(reader):
    for number in range(1, 10):
        chunk = reader.read(SIZE)
        assert chunk[0] == chunk[-1] == number

    assert len(reader._buffers) == 2     # `chunk` refers to one while the other is filled


@pytest.mark.parametrize('keep', [
    lambda chunk: chunk, lambda chunk: chunk[5:10], lambda chunk: memoryview(chunk)[-1:]])
def test_a_chunk_does_not_change_while_it_is_referenced(reader, keep):
    held = [keep(reader.read(SIZE)) for _ in range(5)]

    for _ in range(5):
        reader.read(SIZE)

    assert [view[0] for view in held] == [1, 2, 3, 4, 5]


def test_chunks_are_read_only(reader):
    with pytest.raises(TypeError, match='read-only'):
        reader.read(SIZE)[0] = 7


def test_large_buffers_replace_small_ones(reader):
    reader.read(SIZE)
    reader.read(4 * SIZE)
    chunk = reader.read(SIZE)

    assert len(chunk) == SIZE
    assert list(map(len, reader._buffers)) == [4 * SIZE]


def test_the_last_chunk_may_be_short():
    remaining = [b'12345', b'']

    def readinto(room):
        data = remaining.pop(0)
        room[:len(data)] = data
        return len(data)

    reader = buffers.Reader(readinto, buffers.Pool())

    assert [bytes(reader.read(SIZE)), bytes(reader.read(SIZE))] == [b'12345', b'']


def test_slow_senders_get_small_pieces_until_they_are_quick_for_a_while(clock):
    seconds = iter([0.1, 1, 0.5, *[0.001] * 15, *[0.001] * 16, 0.1])

    def readinto(room):
        clock.now += next(seconds)
        return len(room)

    reader = buffers.Reader(readinto, buffers.Pool())
    sizes = [len(reader.read(SIZE)) for _ in range(35)]

    assert sizes == [SIZE] * 2 + [buffers.SMALL] * 32 + [SIZE]


def test_a_slow_sender_keeps_no_large_buffer(clock):
    seconds = iter([0.001, 10, 10])

    def readinto(room):
        clock.now += next(seconds)
        return len(room)

    reader = buffers.Reader(readinto, buffers.Pool())
    for _ in range(3):
        reader.read(8 * SIZE)

    assert list(map(len, reader._buffers)) == [buffers.SMALL]


def test_the_sum_of_all_buffers_is_limited():
    pool = buffers.Pool(limit=32 * SIZE)
    readers = [buffers.Reader(len, pool) for _ in range(20)]

    sizes = [[len(reader.read(8 * SIZE)) for reader in readers] for _ in range(3)]

    assert sizes[0] == [8 * SIZE] * 2 + [SIZE] * 16 + [buffers.SMALL] * 2
    assert sum(len(buffer) for reader in readers for buffer in reader._buffers) <= 33 * SIZE
    assert pool._used == sum(len(buffer) for reader in readers for buffer in reader._buffers)


def test_freed_buffers_make_room_for_others():
    pool = buffers.Pool(limit=2 * SIZE)
    reader = buffers.Reader(len, pool)
    held = [reader.read(SIZE) for _ in range(3)]
    other = buffers.Reader(len, pool)
    assert list(map(len, held)) == [SIZE, SIZE, buffers.SMALL]
    assert len(other.read(SIZE)) == buffers.SMALL

    del held, reader

    assert len(other.read(SIZE)) == SIZE
