"""What arrives stays as it is while somebody looks at it, in memory that is used again."""

import pytest

from glancelite.api import buffers

SIZE = 1 << 20


@pytest.fixture
def reader():
    """Everything it reads is full of ones, then twos, and so on."""
    numbers = iter(range(1, 256))

    def readinto(room):
        room[:] = bytes([next(numbers)]) * len(room)
        return len(room)

    return buffers.Reader(readinto)


def test_memory_is_used_again_when_nothing_refers_to_it(reader):
    for number in range(1, 10):
        piece = reader.read(SIZE)
        assert piece[0] == piece[-1] == number

    assert len(reader._buffers) == 2     # `piece` held the one while the other was filled


@pytest.mark.parametrize('keep', [
    lambda piece: piece, lambda piece: piece[5:10], lambda piece: memoryview(piece)[-1:]])
def test_what_somebody_holds_does_not_change(reader, keep):
    held = [keep(reader.read(SIZE)) for _ in range(5)]

    for _ in range(5):
        reader.read(SIZE)

    assert [view[0] for view in held] == [1, 2, 3, 4, 5]


def test_nobody_can_change_what_has_arrived(reader):
    with pytest.raises(TypeError, match='read-only'):
        reader.read(SIZE)[0] = 7


def test_small_buffers_make_way_for_large_ones(reader):
    reader.read(SIZE)
    reader.read(4 * SIZE)
    piece = reader.read(SIZE)

    assert len(piece) == SIZE
    assert list(map(len, reader._buffers)) == [4 * SIZE]


def test_at_the_end_there_is_less():
    left = [b'12345', b'']

    def readinto(room):
        data = left.pop(0)
        room[:len(data)] = data
        return len(data)

    reader = buffers.Reader(readinto)

    assert [bytes(reader.read(SIZE)), bytes(reader.read(SIZE))] == [b'12345', b'']
