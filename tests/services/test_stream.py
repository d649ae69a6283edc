"""The data of uploads is counted, limited, hashed and inspected, but not changed."""

import hashlib
import random
import threading
import time
import types

import pytest

from glancelite import contract
from glancelite.services import stream
from glancelite.services.stream import BATCH, Digests, Exact, InspectedStream, Limit
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.services.conftest import Watchable

MIB = 1 << 20
DATA = random.Random(0).randbytes(5 * MIB + 17)


def chunks_of(data, length):
    return (data[start:start + length] for start in range(0, len(data), length))


def hash_threads():
    return [thread for thread in threading.enumerate() if thread.name == 'glancelite-hash']


def expected(data, algorithm='sha512'):
    return {'size': len(data), 'checksum': hashlib.md5(data).hexdigest(),
            'os_hash_algo': algorithm, 'os_hash_value': hashlib.new(algorithm, data).hexdigest()}


class Recording(contract.Inspection):
    """Records its calls; ``finish`` raises ``at_finish``."""

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


# --- inspections

def test_every_inspection_gets_a_chunk_before_the_store():
    log = []

    with InspectedStream([b'1', b'2'], [Recording(log, 'a'), Recording(log, 'b')]) as chunks:
        for chunk in chunks:
            log.append(('store', chunk))

    assert log == [('a', b'1'), ('b', b'1'), ('store', b'1'), ('a', b'2'), ('b', b'2'),
                   ('store', b'2'), ('a', 'finish'), ('b', 'finish'), ('a', 'close'),
                   ('b', 'close')]


def test_chunks_pass_unchanged_and_empty_ones_are_skipped():
    source = [b'1', b'', b'x' * MIB, b'']

    with InspectedStream(source, [Digests()]) as chunks:
        passed = list(chunks)

    assert [id(chunk) for chunk in passed] == [id(source[0]), id(source[2])]


def test_memoryviews_pass_unchanged_to_inspections_that_accept_them():
    class AcceptsViews(Recording):
        ACCEPTS_MEMORYVIEW = True

    log, view = [], memoryview(b'12')

    with InspectedStream([view], [Recording(log, 'old'), AcceptsViews(log, 'new')]) as chunks:
        assert list(chunks) == [view]

    assert [type(chunk) for _, chunk in log[:2]] == [bytes, memoryview]
    assert log[0][1] == log[1][1] == b'12'


def test_the_facts_of_all_inspections_are_merged():
    with InspectedStream(
        [b'1'], [Recording([], facts={'a': 1, 'b': 1}), Recording([], facts={'b': 2})]
    ) as chunks:
        list(chunks)

    assert chunks.facts == {'a': 1, 'b': 2}


def test_there_are_no_facts_before_all_data_was_read():
    with InspectedStream([b'1'], [Digests()]) as chunks:
        next(chunks)

    with pytest.raises(RuntimeError):
        _ = chunks.facts


def test_an_error_of_finish_is_raised_before_the_store_sees_the_end():
    error = contract.WrongContent('not what it claims')

    with (InspectedStream([b'1'], [Recording([], at_finish=error)]) as chunks,
          pytest.raises(contract.WrongContent) as raised):
        list(chunks)

    assert raised.value is error


@pytest.mark.parametrize('reads', [0, 1, 2])
def test_inspections_are_closed_once_however_the_upload_ends(reads):
    log = []

    with InspectedStream([b'1', b'2'], [Recording(log)]) as chunks:
        for _ in range(reads):
            next(chunks)
    chunks.close()

    assert log.count(('', 'close')) == 1


def test_an_error_of_the_source_is_raised_unchanged():
    with (InspectedStream(broken_source(b'1'), [Digests()]) as chunks,
          pytest.raises(ClientWentAway)):
        list(chunks)


# --- limits

def test_data_within_the_limit_passes():
    with InspectedStream([b'123', b'45'], [Limit(5)]) as chunks:
        assert b''.join(chunks) == b'12345'


@pytest.mark.parametrize('error', [contract.TooLarge, contract.QuotaExceeded])
def test_data_beyond_the_limit_never_reaches_the_store(error):
    stored = []

    with (InspectedStream([b'123', b'45', b'6'], [Limit(4, error)]) as chunks,
          pytest.raises(error, match='4 bytes')):
        stored.extend(chunks)

    assert stored == [b'123']


@pytest.mark.parametrize('source', [[], [b'12'], [b'12', b'3456']])
def test_another_size_than_announced_is_refused(source):
    with (InspectedStream(source, [Exact(5)]) as chunks,
          pytest.raises(contract.Invalid, match='announced')):
        list(chunks)


@pytest.mark.parametrize('source', [[], [b'12', b'345']])
def test_the_announced_size_is_a_fact(source):
    size = len(b''.join(source))

    with InspectedStream(source, [Exact(size)]) as chunks:
        list(chunks)

    assert chunks.facts == {'size': size}


# --- hashes

@pytest.mark.parametrize('length', [1 << 10, 1 << 16, 100_001, MIB, 5 * MIB])
@pytest.mark.parametrize('size', [0, 1, MIB - 1, MIB, MIB + 1, len(DATA)])
def test_hashes_are_right_for_any_size_of_chunks(size, length):
    data = DATA[:size]

    with InspectedStream(chunks_of(data, length), [Digests()]) as chunks:
        assert b''.join(chunks) == data

    assert chunks.facts == expected(data)
    assert hash_threads() == []


@pytest.mark.parametrize('ahead', [0, 3])
@pytest.mark.parametrize('algorithm', ['sha256', 'sha3_256', 'md5', 'blake2b'])
def test_the_algorithm_can_be_chosen(algorithm, ahead):
    with InspectedStream(chunks_of(DATA, MIB), [Digests(algorithm, ahead=ahead)]) as chunks:
        list(chunks)

    assert chunks.facts == expected(DATA, algorithm)


@pytest.mark.parametrize('size', [10, len(DATA)])
def test_md5_can_be_left_out(size):
    with InspectedStream(chunks_of(DATA[:size], MIB), [Digests(checksum=False)]) as chunks:
        list(chunks)

    facts = expected(DATA[:size])
    del facts['checksum']
    assert chunks.facts == facts


def test_an_unknown_algorithm_raises_a_value_error():
    with pytest.raises(ValueError):
        Digests('md17')


def test_small_uploads_start_no_thread():
    with InspectedStream(chunks_of(DATA[:BATCH - 1], 1 << 16), [Digests()]) as chunks:
        for _ in chunks:
            assert hash_threads() == []


@pytest.mark.parametrize(('ahead', 'threads'), [(0, 1), (3, 2)])
@pytest.mark.parametrize('reads', [2, 4])
def test_an_interrupted_upload_leaves_no_thread(reads, ahead, threads):
    with InspectedStream(chunks_of(DATA, MIB), [Digests(ahead=ahead)]) as chunks:
        for _ in range(reads):
            next(chunks)
        assert len(hash_threads()) == threads

    assert hash_threads() == []


class Slow:
    """A hash algorithm that waits for ``go``, or fails."""

    def __init__(self, *, fails=False):
        self.seen = 0
        self.go = threading.Event()
        self._fails = fails

    def update(self, chunk):
        self.go.wait(10)
        if self._fails:
            raise MemoryError('no memory to hash')
        self.seen += len(chunk)

    def hexdigest(self):
        return f'{self.seen}'


@pytest.fixture
def slow(monkeypatch):
    def replace(**named):
        algorithm = Slow(**named)
        monkeypatch.setattr(stream.hashlib, 'new', lambda name, **_: algorithm)
        return algorithm
    return replace


def test_a_source_that_is_faster_than_the_hash_waits(slow):
    algorithm = slow()
    reads = []

    def source():
        for number in range(10):
            reads.append(number)
            yield DATA[:MIB]

    with InspectedStream(source(), [Digests()]) as chunks:
        thread = threading.Thread(target=list, args=(chunks,))
        thread.start()
        time.sleep(0.3)
        in_flight = len(reads)
        algorithm.go.set()
        thread.join()

    assert in_flight <= 3
    assert algorithm.seen == 10 * MIB


@pytest.mark.parametrize('size', [3 * MIB, 20 * MIB])
def test_a_failing_hash_stops_the_upload(slow, size):
    slow(fails=True).go.set()

    with (InspectedStream(chunks_of(bytes(size), MIB), [Digests()]) as chunks,
          pytest.raises(MemoryError)):
        list(chunks)

    assert hash_threads() == []


def test_concurrent_uploads_have_the_right_hashes():
    contents = [DATA[number:3 * MIB + number] for number in range(64)]
    facts = {}

    def upload(number):
        with InspectedStream(chunks_of(contents[number], 1 << 16), [Digests()]) as chunks:
            for _ in chunks:
                pass
        facts[number] = chunks.facts

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert facts == {number: expected(data) for number, data in enumerate(contents)}
    assert hash_threads() == []


# --- whether a transfer is still wanted

@pytest.fixture
def clock(monkeypatch):
    """The seconds that have passed, for the looks only."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(stream, 'time', types.SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_data_that_flows_is_checked_every_two_seconds(clock):
    checked = []

    def source():
        for number in range(20):
            clock.now += 0.5
            yield number
    chunks = stream.watched(source(), lambda: checked.append(clock.now))

    assert list(chunks) == list(range(20))
    assert checked == [2, 4, 6, 8, 10]


def test_a_source_that_can_looks_while_it_waits(clock):
    checked = []

    def source(look):
        for _ in range(10):
            clock.now += 1
            look()
        yield b'data'
    chunks = stream.watched(Watchable(source), lambda: checked.append(clock.now))

    assert list(chunks) == [b'data']
    assert checked == [2, 4, 6, 8, 10]


def test_a_database_that_is_away_does_not_end_a_transfer(clock):
    checked = []

    def source():
        for _ in range(3):
            clock.now += 3
            yield b'data'

    def check():
        checked.append(clock.now)
        clock.now += 10
        raise contract.Unavailable('away')

    assert list(stream.watched(source(), check)) == [b'data'] * 3
    assert checked == [3, 16, 29]


def test_other_errors_of_a_check_end_a_transfer(clock):
    def source(look):
        yield b'data'
        clock.now += 2
        look()
        yield b'more'

    def check():
        raise contract.Gone('deleted')
    chunks = stream.watched(Watchable(source), check)

    assert next(chunks) == b'data'
    with pytest.raises(contract.Gone):
        next(chunks)
