"""The suite for stores.  Subclass ``StoreContract`` and override the fixture ``store``.

Override ``leftovers`` as well if you can list the data in the backend: each test then also
checks that no data is left behind.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import string
import threading
import tracemalloc
import uuid
from collections.abc import Collection, Iterator

import pytest

from glancelite import contract
from glancelite.testing.contracts.store.interruptions import InterruptionContract
from glancelite.testing.contracts.store.toolbox import (
    KIB,
    MIB,
    Box,
    cut,
    internals,
    pattern,
    same,
    secrets,
    twin,
    views,
)
from glancelite.testing.fakes import ClientWentAway, broken_source

SIZES = (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 3 * 64 * KIB + 7, MIB, 5 * MIB + 13)
#: lengths of chunks
CUTS = (1, 7, 4096, 65537, MIB)


class StoreContract(InterruptionContract):

    @pytest.fixture
    def store(self):
        raise NotImplementedError('override the `store` fixture')

    def leftovers(self, store: contract.Store) -> Collection[str]:
        """Return the names of data in the backend; called after all data was deleted."""
        return ()

    @pytest.fixture(autouse=True)
    def box(self, store):
        """Writes and deletes data; fails the test if data is left behind."""
        box = Box(store)
        yield box
        box.clean()
        assert not self.leftovers(store)

    @pytest.fixture
    def sample(self, box):
        data = pattern(3 * 64 * KIB + 7)
        return box.put(data).url, data

    @pytest.fixture
    def missing(self, store, box):
        url = box.put(b'soon gone').url
        store.delete(url)
        return url

    # --- writing

    @pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
    @pytest.mark.parametrize('size', SIZES)
    def test_reads_back_what_was_written(self, store, box, size, known):
        data = pattern(size)

        written = box.write(box.key(), cut(data, 256 * KIB), size=size if known else None)

        assert written.size == size == store.size(written.url)
        assert same(box.bytes(written.url), data)

    @pytest.mark.parametrize('length', CUTS)
    def test_the_sizes_of_chunks_do_not_matter(self, box, length):
        data = pattern(length * 3 + 5) if length > 7 else pattern(70_000)

        assert same(box.bytes(box.write(box.key(), cut(data, length)).url), data)

    def test_accepts_memoryviews_if_declared(self, store, box):
        data = pattern(MIB) + bytes(MIB) + pattern(3 * 64 * KIB + 7)
        chunks = cut(data, 100_000)

        url = box.write(box.key(), views(chunks) if store.ACCEPTS_MEMORYVIEW else chunks).url

        assert same(box.bytes(url), data)
        assert all(type(chunk) is bytes for chunk in store.read(url))

    def test_zeros_are_data(self, box):
        data = bytes(200 * KIB) + b'x' + bytes(2 * MIB) + b'y' + bytes(3)

        assert same(box.bytes(box.write(box.key(), cut(data, 100_000)).url), data)

    @pytest.mark.parametrize('promised', [1, 100, 10 * MIB])
    def test_a_wrong_size_is_a_hint_only(self, store, box, promised):
        written = box.write(box.key(), iter([b'12', b'345']), size=promised)

        assert (written.size, store.size(written.url)) == (5, 5)
        assert box.bytes(written.url) == b'12345'

    def test_the_source_is_read_exactly_to_its_end(self, box):
        class Source(Iterator):
            def __init__(self):
                self.left = [b'1', b'2']
                self.ended = 0

            def __next__(self):
                if self.left:
                    return self.left.pop(0)
                self.ended += 1
                raise StopIteration

        source = Source()

        box.write(box.key(), source)

        assert (source.left, source.ended) == ([], 1)

    def test_accepts_a_caller(self, store, box, context):
        written = box.write(box.key(), iter([b'12345']), size=5, ctx=context())

        assert b''.join(store.read(written.url, ctx=context())) == b'12345'
        assert store.size(written.url, ctx=context()) == 5
        assert store.delete(written.url, ctx=context()) is None

    def test_another_instance_has_the_data_unless_it_is_volatile(self, store, box):
        url = box.put(b'12345').url
        other = twin(store)

        try:
            if store.VOLATILE:
                with pytest.raises(contract.NotFound):
                    other.read(url)
            else:
                assert b''.join(other.read(url)) == b'12345'
                assert other.owns(url)
        finally:
            other.close()

    # --- keys

    @pytest.mark.parametrize('text', ['', '.2', '_', '-', '.', 'UP', '.' * 200, 'x' * 219,
                                      string.ascii_letters + string.digits + '._-'])
    def test_every_valid_key_can_be_used(self, box, text):
        key = box.key(text)

        assert box.bytes(box.put(b'12345', key=key).url) == b'12345'

    def test_similar_keys_are_distinct(self, box):
        start = box.key()
        keys = [box.key() and f'{start}{end}' for end in ('a', 'A', '.a', '-a', 'aa', '')]

        urls = [box.put(key.encode(), key=key).url for key in keys]

        assert [box.bytes(url) for url in urls] == [key.encode() for key in keys]
        for url in urls:
            box._store.delete(url)

    def test_never_overwrites(self, box):
        key = box.key()
        first = box.put(b'first', key=key)

        with pytest.raises(contract.Conflict):
            box.put(b'second', key=key)

        assert box.bytes(first.url) == b'first'

    def test_one_of_many_writers_of_a_key_wins(self, box):
        key, writers = box.key(), 8
        ready = threading.Barrier(writers)

        def write(number):
            def source():
                yield b'%d' % number * KIB
                with contextlib.suppress(threading.BrokenBarrierError):
                    ready.wait(10)
                yield b'%d' % number * KIB
            try:
                return number, box.write(key, source())
            except contract.Conflict:
                ready.abort()       # refused early: the others need not wait
                return None

        with concurrent.futures.ThreadPoolExecutor(writers) as pool:
            won = [each for each in pool.map(write, range(writers)) if each]

        assert len(won) == 1
        assert same(box.bytes(won[0][1].url), b'%d' % won[0][0] * 2 * KIB)

    def test_many_write_at_once(self, box):
        contents = [pattern(300 * KIB + number) for number in range(16)]
        keys = [box.key() for _ in contents]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            written = list(pool.map(lambda key, data: box.write(key, cut(data, 10_000)),
                                    keys, contents))

        assert len({each.url for each in written}) == 16
        assert same([box.bytes(each.url) for each in written], contents)

    # --- failures

    @pytest.mark.parametrize('size', [None, 10 * MIB], ids=['unknown', 'known'])
    @pytest.mark.parametrize('before', [(), (b'1',), (b'x' * MIB,) * 3], ids=['0', '1', '3M'])
    def test_a_broken_source_leaves_nothing_behind(self, box, before, size):
        key = box.key()

        with pytest.raises(ClientWentAway):
            box.write(key, broken_source(*before), size=size)

        assert box.absent(key)

    @pytest.mark.parametrize('failure', [
        contract.TooLarge('too much'), contract.NotFound('of the source'), OSError(28, 'full'),
        FileExistsError(17, 'of the source'), StopAsyncIteration(), KeyboardInterrupt()],
        ids=lambda failure: type(failure).__name__)
    def test_errors_of_the_source_pass_through_unchanged(self, box, failure):
        def source():
            yield b'x' * 100_000
            raise failure

        key = box.key()

        with pytest.raises(type(failure)) as raised:
            box.write(key, source())

        assert raised.value is failure
        assert box.absent(key)

    def test_incomplete_data_cannot_be_read(self, store, box):
        key, seen = box.key(), []
        url = box.guess(key)

        def source():
            yield b'x' * 2 * MIB
            try:
                store.read(url)
            except (contract.NotFound, contract.Invalid):
                seen.append('nothing')
            yield b'y'

        box.write(key, source())

        assert seen == ['nothing']

    # --- deleting

    def test_deleted_data_is_gone(self, store, box):
        url = box.put(b'12345').url

        store.delete(url)

        for ask in (store.read, store.size, store.delete):
            with pytest.raises(contract.NotFound):
                ask(url)

    def test_only_the_given_data_is_deleted(self, store, box):
        start = box.key()
        kept = [box.put(b'kept', key=box.key()).url, box.put(b'kept', key=start).url]
        meant = box.put(b'meant', key=start + '.2').url

        store.delete(meant)

        assert [box.bytes(url) for url in kept] == [b'kept', b'kept']

    def test_a_reader_never_gets_wrong_bytes_because_of_a_delete(self, store, box):
        data = pattern(3 * MIB)
        url = box.put(data).url
        chunks = iter(store.read(url))
        seen = next(chunks)

        store.delete(url)
        try:
            seen += b''.join(chunks)
            whole = True
        except (contract.Error, OSError):
            whole = False

        assert data.startswith(seen)
        assert not whole or same(seen, data)

    def test_discards_the_data_of_a_key(self, store, box):
        key, other = box.key(), box.key()
        url, kept = box.put(b'12345', key=key).url, box.put(b'kept', key=other).url

        store.discard(key)

        with pytest.raises(contract.NotFound):
            store.read(url)
        assert box.bytes(kept) == b'kept'

    def test_discarding_without_data_succeeds(self, store, box):
        key = box.key()
        with pytest.raises(ClientWentAway):
            box.write(key, broken_source(b'x' * MIB))

        assert [store.discard(key), store.discard(key)] == [None, None]
        assert box.absent(key)

    # --- URLs, metadata, secrets

    def test_urls_and_metadata_can_be_stored_and_shown(self, store, box):
        written = box.put(b'12345')

        assert written.url.partition('://')[0] in store.SCHEMES
        assert written.url.isprintable()
        assert store.owns(written.url)
        assert json.loads(json.dumps(dict(written.metadata))) == written.metadata
        assert 'store' not in written.metadata    # reserved for the core

    def test_shows_no_secrets(self, store, box, missing):
        written = box.put(b'12345')
        with pytest.raises(contract.NotFound) as failure:
            store.read(missing)

        shown = [written.url, str(written.metadata), str(store.properties()), repr(store),
                 store.health(), str(failure.value), str(failure.value.details)]

        assert [text for text in shown for secret in secrets(store) if secret in text] == []

    def test_errors_show_no_paths_or_secrets(self, store, box, missing):
        key = box.key()
        url = box.put(b'12345', key=key).url
        shown = []
        for fail in (lambda: store.read(missing), lambda: store.size(missing),
                     lambda: store.delete(missing), lambda: store.read('none://a/b'),
                     lambda: store.read(url, offset=6), lambda: store.write(key, iter([b'1']))):
            with pytest.raises(contract.Error) as failure:
                fail()
            shown += internals(store, failure.value)

        assert shown == []

    # --- memory

    @pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
    def test_memory_does_not_grow_with_the_image(self, store, box, known):
        chunk, count = b'x' * MIB, 64
        box.put(b'warm up')
        tracemalloc.start()

        try:
            url = box.write(box.key(), itertools.repeat(chunk, count),
                            size=count * MIB if known else None).url
            read = sum(map(len, store.read(url)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert read == count * MIB
        assert peak < 48 * MIB


class LargeImageContract:
    """Writes one image of more than 4 GiB."""

    @pytest.fixture
    def store(self):
        raise NotImplementedError('override the `store` fixture')

    def test_an_image_of_more_than_4_gib_is_kept(self, store):
        zeros, end = bytes(8 * MIB), b'the end'
        size = (1 << 32) + len(end)
        written = store.write(str(uuid.uuid4()), itertools.chain(
            itertools.repeat(zeros, (1 << 32) // len(zeros)), [end]), size=size)

        try:
            assert (written.size, store.size(written.url)) == (size, size)
            if 'range' in store.CAPABILITIES:
                tail = store.read(written.url, offset=(1 << 32) - 3, length=8)
                assert b''.join(tail) == b'\0\0\0the e'
        finally:
            store.delete(written.url)
