"""Chunks are decoded wherever the network cuts them, in a bounded number of buffers."""

import random

import pytest

from glancelite.server import body

SURPLUS = b'GET /next HTTP/1.1\r\n'


class Wire:
    """A connection on which ``data`` arrives in pieces that do not suit anybody."""

    def __init__(self, data, dice):
        self._data = memoryview(data)
        self._dice = dice

    def receive(self, size):
        some = min(size, self._dice.choice((1, 2, 9, 1000, 65545, 1 << 20)))
        data, self._data = bytes(self._data[:some]), self._data[some:]
        return data

    receive_all = receive

    def receive_into(self, room):
        data = self.receive(len(room))
        room[:len(data)] = data
        return len(data)


def encoded(data, dice):
    out, at = [], 0
    while at < len(data):
        size = dice.choice((1, 65536, 65536, 65536, 65536, 4000, 300_000))
        piece = data[at:at + size]
        out.append(b'%x\r\n%b\r\n' % (len(piece), piece))
        at += len(piece)
    return b''.join(out) + b'0\r\n\r\n' + SURPLUS


def by_pieces(source):
    return b''.join(iter(lambda: source.read(700_000), b''))


def by_lines(source):
    return b''.join(source)


@pytest.mark.parametrize('take', [by_pieces, by_lines])
@pytest.mark.parametrize('seed', range(10))
def test_a_body_is_the_same_however_it_is_cut(monkeypatch, take, seed):
    monkeypatch.setattr(body, 'RAW', 3 * body.LOOK_AHEAD)
    dice = random.Random(seed)
    data = dice.randbytes(3_000_000)
    sent = encoded(data, dice)
    early = dice.randrange(0, 100_000)
    source = body.ChunkedBody(Wire(sent[early:], dice), sent[:early])

    found = take(source)

    assert hash(found) == hash(data)
    assert source.finished
    assert SURPLUS.startswith(source.surplus)
    assert len(source._spare) + len(source._full) < 10
