"""Hashes data that users added as locations, in the background."""

from __future__ import annotations

import concurrent.futures
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

from glancelite import contract
from glancelite.contract import Context, Image, store_rules
from glancelite.services.stores import Stores

LOG = logging.getLogger(__name__)

#: images that one process reads at the same time
THREADS = 2
#: seconds between two checks whether the hash is still needed
CHECK_INTERVAL = 5.0


class Cancelled(Exception):
    """The hash is not needed any more."""


class Hashing:
    """Reads image data that was not uploaded through the service.

    Work in progress is abandoned when the process ends.  Then the lease of the image
    expires, and the recovery takes it up.

    :param tries: how often the data of one image is read after failures.
    :param checksum: also compute the md5.
    """

    def __init__(self, stores: Stores, *, tries: int = 3, checksum: bool = True):
        self._stores = stores
        self._checksum = checksum
        self._tries = tries
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a background thread; exceptions are logged."""
        def run() -> None:
            try:
                work()
            except Exception:
                LOG.exception('hashing in the background failed')

        with self._lock:
            if self._closing.is_set():
                raise contract.Unavailable('The service is shutting down.')
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(
                    THREADS, thread_name_prefix='hashing')
            self._pool.submit(run)

    def compute(self, image: Image, algorithm: str, ctx: Context,
                is_needed: Callable[[], bool]) -> Mapping[str, str]:
        """Read the data of an image and hash it.

        :param algorithm: for ``os_hash_value``.
        :param ctx: the caller, for stores that use the caller's rights.
        :param is_needed: called every few seconds.
        :returns: ``os_hash_algo`` and ``os_hash_value``, and possibly ``checksum``.
        :raises Cancelled: the hash is not needed any more, or the service shuts down.
        :raises Unavailable: the data cannot be read, or its size has changed.
        """
        for remaining in reversed(range(self._tries)):
            try:
                return self._read(image, algorithm, ctx, is_needed)
            except Cancelled:
                raise
            except Exception as error:  # whatever a driver or its library raises
                LOG.warning('the data of image %s could not be read to hash it: %s',
                            image.id, error)
                if not remaining:
                    raise contract.Unavailable('The data cannot be read.') from error
        raise AssertionError('the last try has returned or raised')

    def _read(self, image: Image, algorithm: str, ctx: Context,
              is_needed: Callable[[], bool]) -> Mapping[str, str]:
        digest = hashlib.new(algorithm)
        md5 = hashlib.md5(usedforsecurity=False) if self._checksum else None
        size, check_at = 0, time.monotonic() + CHECK_INTERVAL
        chunks = self._stores.read(image, offset=0, length=image.size or 0, ctx=ctx)
        if chunks is None:
            raise store_rules.no_data()
        try:
            for chunk in chunks:
                digest.update(chunk)
                if md5 is not None:
                    md5.update(chunk)
                size += len(chunk)
                if self._closing.is_set():
                    raise Cancelled
                if time.monotonic() > check_at:
                    if not is_needed():
                        raise Cancelled
                    check_at = time.monotonic() + CHECK_INTERVAL
        finally:
            contract.store.close_chunks(chunks)
        if size != image.size:
            raise contract.Unavailable(f'there are {size} bytes instead of {image.size}')
        return {'os_hash_algo': algorithm, 'os_hash_value': digest.hexdigest(),
                **({} if md5 is None else {'checksum': md5.hexdigest()})}

    def close(self) -> None:
        """Abandon the work in progress."""
        self._closing.set()
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
