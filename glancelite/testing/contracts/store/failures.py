"""Suites that need more than one store: a backend that is down, a root that is away, two stores.

They are suites of their own, not part of ``StoreContract``.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import uuid

import pytest

from glancelite import contract
from glancelite.testing.contracts.store.toolbox import MIB, internals, secrets_in, within


class BrokenBackendContract:
    """Raises ``Unavailable`` in time when the backend does not answer.

    Override ``broken`` with a store whose configuration is valid, but whose endpoint does not
    answer, and ``broken_url`` with a URL that it owns.
    """

    @pytest.fixture
    def broken(self):
        raise NotImplementedError('override the `broken` fixture')

    @pytest.fixture
    def broken_url(self, broken):
        raise NotImplementedError('override the `broken_url` fixture')

    @pytest.fixture
    def patience(self):
        """Time limit in seconds for each call."""
        return 30

    @pytest.fixture
    def refused(self, broken, patience):
        """Call a method, which must raise ``Unavailable`` in time."""
        def ask(method, *args, **named):
            with pytest.raises(contract.Unavailable) as raised:
                within(patience, method, *args, **named)
            assert str(raised.value).strip()
            # the text of health is for the operator only
            assert not (secrets_in(broken, raised.value) if method == broken.health
                        else internals(broken, raised.value))
        return ask

    def test_without_a_backend_health_fails(self, broken, refused, patience):
        if 'write' in broken.CAPABILITIES:
            refused(broken.health)
            return

        with contextlib.suppress(contract.Unavailable):     # a store of many servers is never down
            assert within(patience, broken.health)

    def test_without_a_backend_nothing_is_read(self, broken, broken_url, refused):
        refused(broken.read, broken_url)
        refused(broken.size, broken_url)

    @pytest.mark.parametrize('size', [None, 64 * MIB], ids=['unknown', 'known'])
    def test_without_a_backend_nothing_is_written(self, broken, refused, size):
        if 'write' not in broken.CAPABILITIES:
            with pytest.raises(contract.ReadOnly):
                broken.write('key', iter([b'12345']), size=size)
            return

        refused(broken.write, 'key', itertools.repeat(bytes(MIB), 64), size=size)

    def test_without_a_backend_nothing_is_reported_as_deleted(self, broken, broken_url, refused):
        if 'write' not in broken.CAPABILITIES:
            with pytest.raises(contract.ReadOnly):
                broken.delete(broken_url)
            return

        refused(broken.delete, broken_url)
        refused(broken.discard, 'key')

    def test_without_a_backend_nothing_is_reported_as_shared(self, broken, broken_url, refused):
        if 'share' not in broken.CAPABILITIES:
            with pytest.raises(contract.Unsupported):
                broken.share(broken_url, public=True, projects=())
            return

        refused(broken.share, broken_url, public=True, projects=())

    def test_concurrent_calls_without_a_backend_wait_no_longer_than_one(self, broken, broken_url,
                                                                 refused):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            calls = [pool.submit(refused, broken.size, broken_url) for _ in range(16)]

        assert [call.result() for call in calls] == [None] * 16

    def test_calls_that_need_no_backend_work_without_it(self, broken, broken_url, patience):
        assert within(patience, broken.owns, broken_url)
        names = sorted(within(patience, broken.exclusive_resources))
        assert names == sorted(broken.exclusive_resources())
        assert isinstance(dict(within(patience, broken.properties)), dict)
        if 'adopt' in broken.CAPABILITIES:
            assert within(patience, broken.adopt, broken_url)


class MissingRootContract:
    """Does not take data for deleted while the root of the store is away.

    The root is what contains all data: a directory, a bucket, a container, a pool.  It is away
    if it was moved or deleted, or if its file system is not mounted.

    Override ``store`` with a store that accepts data, and the two methods.
    """

    @pytest.fixture
    def store(self):
        raise NotImplementedError('override the `store` fixture')

    def take_root_away(self, store: contract.Store) -> None:
        """Move or delete the root of the store, with the data in it."""
        raise NotImplementedError('override `take_root_away`')

    def bring_root_back(self, store: contract.Store) -> None:
        """Restore the root, so that the next test can use it; the data may be lost."""
        raise NotImplementedError('override `bring_root_back`')

    @pytest.fixture
    def patience(self):
        """Time limit in seconds for each call."""
        return 30

    @pytest.fixture
    def rootless(self, store):
        """``(key, URL)`` of data that was written before the root went away."""
        key = str(uuid.uuid4())
        url = store.write(key, iter([b'12345'])).url
        self.take_root_away(store)
        yield key, url
        self.bring_root_back(store)
        with contextlib.suppress(contract.NotFound):
            store.delete(url)

    @pytest.fixture
    def unavailable(self, store, rootless, patience):
        """Call a method, which must raise ``Unavailable``."""
        def ask(method, *args):
            with pytest.raises(contract.Unavailable) as raised:
                within(patience, method, *args)
            assert not internals(store, raised.value)
        return ask

    def test_without_its_root_no_data_is_reported_as_missing(self, store, rootless, unavailable):
        _, url = rootless

        unavailable(store.read, url)
        unavailable(store.size, url)

    def test_without_its_root_nothing_is_reported_as_deleted(self, store, rootless, unavailable):
        key, url = rootless

        unavailable(store.delete, url)
        unavailable(store.discard, key)

    def test_without_its_root_nothing_is_written(self, store, unavailable):
        unavailable(store.write, str(uuid.uuid4()), iter([b'12345']))

    def test_without_its_root_health_fails(self, store, rootless, patience):
        with pytest.raises(contract.Unavailable):
            within(patience, store.health)


class TwoStoresContract:
    """Two stores of one driver do not affect each other.

    Override ``store`` and ``other``: instances with different names and options.
    """

    @pytest.fixture
    def store(self):
        raise NotImplementedError('override the `store` fixture')

    @pytest.fixture
    def other(self):
        raise NotImplementedError('override the `other` fixture')

    @pytest.fixture
    def key(self):
        return str(uuid.uuid4())

    @pytest.fixture
    def both(self, store, other, key):
        """``(store, URL)`` of each: the same key, with the name of the store as data."""
        written = [(each, each.write(key, iter([each.name.encode()])).url)
                   for each in (store, other)]
        yield written
        for each, url in written:
            with contextlib.suppress(contract.NotFound):
                each.delete(url)
            each.discard(key)

    def test_two_stores_own_different_urls(self, both):
        (one, its), (other, others) = both

        assert its != others
        assert [one.owns(its), one.owns(others)] == [True, False]
        assert [other.owns(its), other.owns(others)] == [False, True]

    def test_two_stores_have_different_data(self, both):
        for store, url in both:
            assert b''.join(store.read(url)) == store.name.encode()

    def test_two_stores_reject_the_urls_of_each_other(self, both):
        (one, its), (other, others) = both

        for store, foreign in ((one, others), (other, its)):
            asks = [store.read, store.size, store.delete]
            if 'adopt' in store.CAPABILITIES:
                asks.append(store.adopt)
            for ask in asks:
                with pytest.raises((contract.Invalid, contract.NotFound)):
                    ask(foreign)

        assert [b''.join(store.read(url)) for store, url in both] == [
            one.name.encode(), other.name.encode()]

    def test_data_deleted_in_one_of_two_stores_stays_in_the_other(self, both, key):
        (one, its), (other, others) = both

        one.delete(its)
        one.discard(key)

        assert b''.join(other.read(others)) == other.name.encode()

    def test_two_stores_have_no_exclusive_resource_in_common(self, store, other):
        assert not set(store.exclusive_resources()) & set(other.exclusive_resources())
