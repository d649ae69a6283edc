"""Chunks are decoded wherever the network cuts them, into whatever asks for them."""

import random

import pytest

from glancelite.server import body

SURPLUS = b'GET /next HTTP/1.1\r\n'


class Wire:
    """A connection on which ``data`` arrives in pieces that do not suit anybody."""

    def __init__(self, data, dice, can_scatter=True):
        self._data = memoryview(data)
        self._dice = dice
        self.can_scatter = can_scatter

    def receive(self, size):
        some = min(size, self._dice.choice((1, 2, 9, 1000, 65545, 1 << 20)))
        data, self._data = bytes(self._data[:some]), self._data[some:]
        return data

    receive_all = receive

    def receive_into(self, room):
        data = self.receive(len(room))
        room[:len(data)] = data
        return len(data)

    fill = receive_into

    def scatter(self, rooms):
        data = self.receive(sum(map(len, rooms)))
        left = memoryview(data)
        for room in rooms:
            part, left = left[:len(room)], left[len(room):]
            room[:len(part)] = part
        return len(data)


def encoded(data, dice):
    out, at = [], 0
    while at < len(data):
        size = dice.choice((1, 65536, 65536, 65536, 65536, 4000, 300_000))
        for _ in range(dice.choice((1, 1, 20))):
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
    room, found = bytearray(1 << 20), []
    while some := source.readinto(room):
        found.append(bytes(room[:some]))
    return b''.join(found)


def in_turns(source):
    room, found = bytearray(200_000), []
    while line := source.readline(30_000):
        found += line, bytes(room[:source.readinto(room)]), source.read(70_000)
    return b''.join(found)


@pytest.mark.parametrize('can_scatter', [True, False])
@pytest.mark.parametrize('take', [by_pieces, by_lines, by_buffers, in_turns])
@pytest.mark.parametrize('seed', range(10))
def test_a_body_is_the_same_however_it_is_cut(take, seed, can_scatter):
    dice = random.Random(seed)
    data = dice.randbytes(3_000_000)
    sent = encoded(data, dice)
    early = dice.randrange(0, 100_000)
    source = body.ChunkedBody(Wire(sent[early:], dice, can_scatter), sent[:early])

    found = take(source)

    assert hash(found) == hash(data)
    assert source.finished
    assert SURPLUS.startswith(source.surplus)


def test_chunks_of_one_size_are_received_straight_into_the_buffer():
    dice = random.Random(1)
    data = dice.randbytes(16 << 20)
    sent = b''.join(b'10000\r\n%b\r\n' % data[at:at + 65536] for at in range(0, len(data), 65536))
    wire = Fast(sent + b'0\r\n\r\n')
    source = body.ChunkedBody(wire, b'')

    assert by_buffers(source) == data
    assert wire.scattered > 0.95 * len(data)


class Fast:
    """A connection on which everything has arrived."""

    can_scatter = True

    def __init__(self, data):
        self._data = memoryview(data)
        self.scattered = 0

    def receive_into(self, room):
        part, self._data = self._data[:len(room)], self._data[len(room):]
        room[:len(part)] = part
        return len(part)

    fill = receive_into

    def scatter(self, rooms):
        came = sum(map(self.receive_into, rooms))
        self.scattered += came
        return came
