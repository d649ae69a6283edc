"""Claims about reading: the whole suite of a read-only store."""

from __future__ import annotations

import concurrent.futures
import json

import pytest

from glancelite import contract
from glancelite.testing.contracts.store.capabilities import (
    CapabilitiesContract,
    failed_urls,
    rejects,
)
from glancelite.testing.contracts.store.toolbox import same, within

RANGES = ((0, 1), (0, 100), (1, None), (65_535, 2), (65_536, 65_536), (100_000, None),
          (0, 0), (5, 0))


class ReadingContract(CapabilitiesContract):
    """Override ``store``, ``sample`` and ``missing`` for a store without ``write``."""

    @pytest.fixture
    def store(self):
        raise NotImplementedError('override the `store` fixture')

    @pytest.fixture
    def sample(self, store):
        """``(url, data)``: more than 192 KiB of data in the store."""
        raise NotImplementedError('override the `sample` fixture')

    @pytest.fixture
    def missing(self, store):
        """A URL of this store without data."""
        raise NotImplementedError('override the `missing` fixture')

    @pytest.fixture
    def pause(self):
        """Seconds for which a source or a reader pauses."""
        return 0.3

    @pytest.fixture
    def patience(self):
        """Time limit in seconds for small operations, and for a backend that does not answer."""
        return 30

    def test_reads_all_data_in_chunks(self, store, sample):
        url, data = sample

        chunks = list(store.read(url))

        assert same(b''.join(chunks), data)
        assert all(isinstance(chunk, bytes) and chunk for chunk in chunks)

    def test_reports_the_size(self, store, sample):
        url, data = sample

        assert store.size(url) == len(data)

    @pytest.mark.parametrize(('offset', 'length'), RANGES)
    def test_reads_a_range_or_is_unsupported(self, store, sample, offset, length):
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

    def test_missing_data_is_reported_before_the_first_chunk(self, store, missing):
        for ask in (store.read, store.size):
            with pytest.raises(contract.NotFound):
                ask(missing)    # not next(store.read(...))

    def test_a_reader_may_stop_early(self, store, sample):
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

    def test_owns_only_its_own_urls(self, store, sample):
        url, _ = sample

        assert store.owns(url)
        for other in ('', 'none://x/y', f'x{url}', url.partition('://')[2]):
            assert not store.owns(other)

    def test_hostile_urls_are_rejected(self, store, sample):
        url, data = sample
        methods = [store.read, store.size]
        if 'write' in store.CAPABILITIES:
            methods.append(store.delete)

        def check(hostile):
            for method in methods:
                assert rejects(store, method, hostile, url)
            assert store.size(url) == len(data)     # not deleted

        assert failed_urls(check, url) == {}
        assert same(b''.join(store.read(url)), data)

    def test_reports_properties_and_health(self, store, patience):
        properties = dict(store.properties())

        assert json.loads(json.dumps(properties)) == properties
        assert within(patience, store.health)
