"""What every store must do when it is read; all that read-only stores have to do."""

from __future__ import annotations

import concurrent.futures
import json

import pytest

from glancelite import contract
from glancelite.testing.contracts.store.capabilities import (
    AbilitiesContract,
    failed_urls,
    rejects,
)
from glancelite.testing.contracts.store.toolbox import same, within

RANGES = ((0, 1), (0, 100), (1, None), (65_535, 2), (65_536, 65_536), (100_000, None),
          (0, 0), (5, 0))


class ReadingContract(AbilitiesContract):
    """Override ``store``, ``sample`` and ``missing`` for a store that takes no data."""

    @pytest.fixture
    def store(self):
        raise NotImplementedError('override the `store` fixture')

    @pytest.fixture
    def sample(self, store):
        """``(url, data)``: more than 192 KiB that are in the store."""
        raise NotImplementedError('override the `sample` fixture')

    @pytest.fixture
    def missing(self, store):
        """A URL of this store with nothing behind it."""
        raise NotImplementedError('override the `missing` fixture')

    @pytest.fixture
    def pause(self):
        """Seconds for which a source, or a reader, stands still."""
        return 0.3

    @pytest.fixture
    def patience(self):
        """Seconds in which the backend does what a user waits for, or is given up."""
        return 30

    def test_reads_the_whole_in_chunks(self, store, sample):
        url, data = sample

        chunks = list(store.read(url))

        assert same(b''.join(chunks), data)
        assert all(isinstance(chunk, bytes) and chunk for chunk in chunks)

    def test_knows_the_size(self, store, sample):
        url, data = sample

        assert store.size(url) == len(data)

    @pytest.mark.parametrize(('offset', 'length'), RANGES)
    def test_reads_a_part_or_says_that_it_cannot(self, store, sample, offset, length):
        url, data = sample

        if 'range' in store.CAPABILITIES:
            part = b''.join(store.read(url, offset=offset, length=length))
            assert same(part, data[offset:][:length])
        else:
            with pytest.raises(contract.Unsupported):
                store.read(url, offset=offset, length=length)

    def test_reads_to_the_end_and_not_beyond(self, store, sample):
        url, data = sample

        if 'range' in store.CAPABILITIES:
            assert b''.join(store.read(url, offset=len(data))) == b''
            assert same(b''.join(store.read(url, offset=len(data) - 3, length=3)), data[-3:])
            assert same(b''.join(store.read(url, offset=len(data) - 3, length=9)), data[-3:])
            with pytest.raises(contract.RangeNotSatisfiable):
                store.read(url, offset=len(data) + 1)
        else:
            with pytest.raises(contract.Unsupported):
                store.read(url, offset=len(data))

    def test_what_is_missing_is_reported_before_the_first_chunk(self, store, missing):
        for ask in (store.read, store.size):
            with pytest.raises(contract.NotFound):
                ask(missing)    # not next(store.read(...))

    def test_a_reader_may_give_up(self, store, sample):
        url, data = sample
        chunks = store.read(url)
        next(iter(chunks))

        if hasattr(chunks, 'close'):
            chunks.close()
        del chunks

        assert same(b''.join(store.read(url)), data)

    def test_readers_do_not_disturb_each_other(self, store, sample):
        url, data = sample
        one, other = iter(store.read(url)), iter(store.read(url))

        start = next(one)
        assert same(b''.join(other), data)
        assert same(start + b''.join(one), data)

    def test_many_read_at_once(self, store, sample):
        url, data = sample

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            read = list(pool.map(lambda _: b''.join(store.read(url)), range(32)))

        assert same(read, [data] * 32)

    def test_knows_its_own(self, store, sample):
        url, _ = sample

        assert store.owns(url)
        for other in ('', 'none://x/y', f'x{url}', url.partition('://')[2]):
            assert not store.owns(other)

    def test_a_hostile_address_leads_nowhere(self, store, sample):
        url, data = sample
        methods = [store.read, store.size]
        if 'write' in store.CAPABILITIES:
            methods.append(store.delete)

        def check(hostile):
            for method in methods:
                assert rejects(store, method, hostile)
            assert store.size(url) == len(data)     # not deleted

        assert failed_urls(check, url) == {}
        assert same(b''.join(store.read(url)), data)

    def test_describes_itself(self, store, patience):
        properties = dict(store.properties())

        assert json.loads(json.dumps(properties)) == properties
        assert within(patience, store.health)
