"""Bytes on their way into a store are counted, limited and hashed, and nothing else."""

import hashlib
import random
import threading
import time

import pytest

from glancelite import contract
from glancelite.services import stream
from glancelite.services.stream import Digests, Exact, InspectedStream, Limit
from glancelite.testing.fakes import ClientWentAway, broken_source

MIB = 1 << 20
DATA = random.Random(0).randbytes(5 * MIB + 17)


def cut(data, length):
    return (data[start:start + length] for start in range(0, len(data), length))


def helpers():
    return [thread for thread in threading.enumerate() if thread.name == 'glancelite-hash']


def expected(data, algorithm='sha512'):
    return {'size': len(data), 'checksum': hashlib.md5(data).hexdigest(),
            'os_hash_algo': algorithm, 'os_hash_value': hashlib.new(algorithm, data).hexdigest()}


class Spy(contract.Inspection):
    """Writes down what happens to it; raises where it is told to."""

    def __init__(self, log, name='', *, at_finish=None, facts=()):
        self._log, self._name, self._at_finish = log, name, at_finish
        self._facts = dict(facts)

    def feed(self, chunk):
        self._log.append((self._name, chunk))

    def finish(self):
        self._log.append((self._name, 'finish'))
        if self._at_finish:
            raise self._at_finish
        return self._facts

    def close(self):
        self._log.append((self._name, 'close'))


# --- the way

def test_every_tap_sees_a_chunk_before_the_store_does():
    log = []

    with InspectedStream([b'1', b'2'], [Spy(log, 'a'), Spy(log, 'b')]) as chunks:
        for chunk in chunks:
            log.append(('store', chunk))

    assert log == [('a', b'1'), ('b', b'1'), ('store', b'1'), ('a', b'2'), ('b', b'2'),
                   ('store', b'2'), ('a', 'finish'), ('b', 'finish'), ('a', 'close'),
                   ('b', 'close')]


def test_chunks_pass_as_they_are_and_empty_ones_do_not():
    given = [b'1', b'', b'x' * MIB, b'']

    with InspectedStream(given, [Digests()]) as chunks:
        passed = list(chunks)

    assert [id(chunk) for chunk in passed] == [id(given[0]), id(given[2])]


def test_views_pass_as_they_are_to_whom_takes_them():
    class Modern(Spy):
        ACCEPTS_MEMORYVIEW = True

    log, view = [], memoryview(b'12')

    with InspectedStream([view], [Spy(log, 'old'), Modern(log, 'new')]) as chunks:
        assert list(chunks) == [view]

    assert [type(chunk) for _, chunk in log[:2]] == [bytes, memoryview]
    assert log[0][1] == log[1][1] == b'12'


def test_facts_of_all_taps_come_together():
    with InspectedStream(
        [b'1'], [Spy([], facts={'a': 1, 'b': 1}), Spy([], facts={'b': 2})]
    ) as chunks:
        list(chunks)

    assert chunks.facts == {'a': 1, 'b': 2}


def test_there_are_no_facts_of_data_that_was_not_pulled_to_the_end():
    with InspectedStream([b'1'], [Digests()]) as chunks:
        next(chunks)

    with pytest.raises(RuntimeError):
        _ = chunks.facts


def test_a_verdict_is_spoken_before_the_store_sees_the_end():
    verdict = contract.WrongContent('not what it claims')

    with (InspectedStream([b'1'], [Spy([], at_finish=verdict)]) as chunks,
          pytest.raises(contract.WrongContent) as raised):
        list(chunks)

    assert raised.value is verdict


@pytest.mark.parametrize('pulled', [0, 1, 2])
def test_taps_are_closed_once_however_it_ends(pulled):
    log = []

    with InspectedStream([b'1', b'2'], [Spy(log)]) as chunks:
        for _ in range(pulled):
            next(chunks)
    chunks.close()

    assert log.count(('', 'close')) == 1


def test_a_broken_source_breaks_through():
    with (
        InspectedStream(broken_source(b'1'), [Digests()]) as chunks,
        pytest.raises(ClientWentAway),
    ):
        list(chunks)


# --- limits

def test_what_is_within_the_limit_passes():
    with InspectedStream([b'123', b'45'], [Limit(5)]) as chunks:
        assert b''.join(chunks) == b'12345'


@pytest.mark.parametrize('error', [contract.TooLarge, contract.QuotaExceeded])
def test_what_goes_beyond_the_limit_never_reaches_the_store(error):
    stored = []

    with (InspectedStream([b'123', b'45', b'6'], [Limit(4, error)]) as chunks,
          pytest.raises(error, match='4 bytes')):
        stored.extend(chunks)

    assert stored == [b'123']


@pytest.mark.parametrize('given', [[], [b'12'], [b'12', b'3456']])
def test_another_size_than_announced_is_refused(given):
    with (
        InspectedStream(given, [Exact(5)]) as chunks,
        pytest.raises(contract.Invalid, match='announced'),
    ):
        list(chunks)


@pytest.mark.parametrize('given', [[], [b'12', b'345']])
def test_the_announced_size_is_a_fact(given):
    size = len(b''.join(given))

    with InspectedStream(given, [Exact(size)]) as chunks:
        list(chunks)

    assert chunks.facts == {'size': size}


# --- hashes

@pytest.mark.parametrize('length', [1 << 10, 1 << 16, 100_001, MIB, 5 * MIB])
@pytest.mark.parametrize('size', [0, 1, MIB - 1, MIB, MIB + 1, len(DATA)])
def test_hashes_are_right_however_the_bytes_are_cut(size, length):
    data = DATA[:size]

    with InspectedStream(cut(data, length), [Digests()]) as chunks:
        assert b''.join(chunks) == data

    assert chunks.facts == expected(data)
    assert helpers() == []


@pytest.mark.parametrize('algorithm', ['sha256', 'sha3_256', 'md5', 'blake2b'])
def test_the_algorithm_can_be_chosen(algorithm):
    with InspectedStream(cut(DATA, MIB), [Digests(algorithm)]) as chunks:
        list(chunks)

    assert chunks.facts == expected(DATA, algorithm)


@pytest.mark.parametrize('size', [10, len(DATA)])
def test_md5_can_be_left_out(size):
    with InspectedStream(cut(DATA[:size], MIB), [Digests(checksum=False)]) as chunks:
        list(chunks)

    wanted = expected(DATA[:size])
    del wanted['checksum']
    assert chunks.facts == wanted


def test_an_unknown_algorithm_is_a_mistake():
    with pytest.raises(ValueError):
        Digests('md17')


def test_small_uploads_start_no_thread():
    with InspectedStream(cut(DATA[:MIB - 1], 1 << 16), [Digests()]) as chunks:
        for _ in chunks:
            assert helpers() == []


@pytest.mark.parametrize('pulled', [2, 4])
def test_an_upload_that_breaks_off_leaves_no_thread(pulled):
    with InspectedStream(cut(DATA, MIB), [Digests()]) as chunks:
        for _ in range(pulled):
            next(chunks)
        assert len(helpers()) == 1

    assert helpers() == []


class Slow:
    """An algorithm that takes its time, or breaks."""

    def __init__(self, *, breaks=False):
        self.seen = 0
        self.go = threading.Event()
        self._breaks = breaks

    def update(self, chunk):
        self.go.wait(10)
        if self._breaks:
            raise MemoryError('no room to hash')
        self.seen += len(chunk)

    def hexdigest(self):
        return f'{self.seen}'


@pytest.fixture
def slow(monkeypatch):
    def put(**named):
        algorithm = Slow(**named)
        monkeypatch.setattr(stream.hashlib, 'new', lambda name, **_: algorithm)
        return algorithm
    return put


def test_a_source_that_is_faster_than_the_hash_has_to_wait(slow):
    algorithm = slow()
    pulled = []

    def source():
        for number in range(10):
            pulled.append(number)
            yield DATA[:MIB]

    with InspectedStream(source(), [Digests()]) as chunks:
        thread = threading.Thread(target=list, args=(chunks,))
        thread.start()
        time.sleep(0.3)
        in_flight = len(pulled)
        algorithm.go.set()
        thread.join()

    assert in_flight <= 3
    assert algorithm.seen == 10 * MIB


@pytest.mark.parametrize('size', [3 * MIB, 20 * MIB])
def test_a_hash_that_breaks_stops_the_upload(slow, size):
    slow(breaks=True).go.set()

    with InspectedStream(cut(bytes(size), MIB), [Digests()]) as chunks, pytest.raises(MemoryError):
        list(chunks)

    assert helpers() == []


def test_many_uploads_at_once_are_all_right():
    contents = [DATA[number:3 * MIB + number] for number in range(64)]
    found = {}

    def upload(number):
        with InspectedStream(cut(contents[number], 1 << 16), [Digests()]) as chunks:
            for _ in chunks:
                pass
        found[number] = chunks.facts

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {number: expected(data) for number, data in enumerate(contents)}
    assert helpers() == []
