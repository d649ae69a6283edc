"""Chunks are decoded however they are split, by every method of reading."""

import random

import pytest

from glancelite.server import body

SURPLUS = b'GET /next HTTP/1.1\r\nHost: lab\r\n'


class RandomPieces:
    """A connection on which ``data`` arrives in pieces of random sizes."""

    def __init__(self, data, rng, can_scatter=True):
        self._data = memoryview(data)
        self._dice = rng
        self.can_scatter = can_scatter

    def receive(self, size):
        some = min(size, self._dice.choice((1, 2, 9, 1000, 65545, 1 << 20)))
        data, self._data = bytes(self._data[:some]), self._data[some:]
        return data

    receive_all = receive

    def receive_into(self, buffer):
        data = self.receive(len(buffer))
        buffer[:len(data)] = data
        return len(data)

    fill = receive_into

    def scatter(self, buffers):
        data = self.receive(sum(map(len, buffers)))
        remaining = memoryview(data)
        for buffer in buffers:
            part, remaining = remaining[:len(buffer)], remaining[len(buffer):]
            buffer[:len(part)] = part
        return len(data)


def encoded(data, rng):
    out, at = [], 0
    while at < len(data):
        size = rng.choice((1, 65536, 65536, 65536, 65536, 4000, 300_000))
        for _ in range(rng.choice((1, 1, 20))):
            piece = data[at:at + size]
            if piece:
                out.append(b'%x\r\n%b\r\n' % (len(piece), piece))
                at += len(piece)
    return b''.join(out) + b'0\r\n\r\n' + SURPLUS


def by_pieces(source):
    return b''.join(iter(lambda: source.read(700_000), b''))


def by_lines(source):
    return b''.join(source)


def by_buffers(source):
    buffer, found = bytearray(1 << 20), []
    while some := source.readinto(buffer):
        found.append(bytes(buffer[:some]))
    return b''.join(found)


def in_turns(source):
    buffer, found = bytearray(200_000), []
    while line := source.readline(30_000):
        found += line, bytes(buffer[:source.readinto(buffer)]), source.read(70_000)
    return b''.join(found)


@pytest.mark.parametrize('can_scatter', [True, False])
@pytest.mark.parametrize('take', [by_pieces, by_lines, by_buffers, in_turns])
@pytest.mark.parametrize('seed', range(10))
def test_a_body_is_decoded_correctly_however_it_is_split(take, seed, can_scatter):
    rng = random.Random(seed)
    data = rng.randbytes(3_000_000)
    sent = encoded(data, rng)
    early = rng.randrange(0, 100_000)
    source = body.ChunkedBody(RandomPieces(sent[early:], rng, can_scatter), sent[:early])

    found = take(source)

    assert hash(found) == hash(data)
    assert source.finished
    assert SURPLUS.startswith(source.surplus)


def test_chunks_of_one_size_are_received_directly_into_the_buffer():
    rng = random.Random(1)
    data = rng.randbytes(16 << 20)
    sent = b''.join(b'10000\r\n%b\r\n' % data[at:at + 65536] for at in range(0, len(data), 65536))
    connection = AllArrived(sent + b'0\r\n\r\n')
    source = body.ChunkedBody(connection, b'')

    assert by_buffers(source) == data
    assert connection.scattered > 0.95 * len(data)


@pytest.mark.parametrize('take', [by_pieces, by_lines, by_buffers, in_turns])
@pytest.mark.parametrize('kind', ['sized', 'chunked'])
def test_an_error_of_a_look_ends_the_body(kind, take):
    rng = random.Random(1)
    data = bytes(3_000_000)
    source = (body.SizedBody(RandomPieces(data, rng), len(data), b'') if kind == 'sized'
              else body.ChunkedBody(RandomPieces(encoded(data, rng), rng), b''))
    looks = []

    def look():
        looks.append(source)
        if len(looks) == 3:
            raise LookupError
    source.watch(look)

    with pytest.raises(LookupError):
        take(source)
    for _ in range(2):
        with pytest.raises(body.BodyCutShort, match='ended'):
            source.read()
    assert not source.can_skip
    assert len(looks) == 3


class AllArrived:
    """A connection on which all data has arrived."""

    can_scatter = True

    def __init__(self, data):
        self._data = memoryview(data)
        self.scattered = 0

    def receive_into(self, buffer):
        part, self._data = self._data[:len(buffer)], self._data[len(buffer):]
        buffer[:len(part)] = part
        return len(part)

    fill = receive_into

    def scatter(self, buffers):
        came = sum(map(self.receive_into, buffers))
        self.scattered += came
        return came
