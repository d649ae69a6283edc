"""Hashing, in the background, data that users have put into a store themselves."""

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

#: images that are read at once, by one process
AT_ONCE = 2
#: seconds between two looks whether the image is still wanted
LOOK = 5.0


class Cancelled(Exception):
    """Nobody wants to know any more."""


class Hashing:
    """Reads images whose bytes did not come through us.

    What is under way when the process ends is given up; the lease of an
    image that waits for it runs out then, and the sweep sees to it.

    :param tries: how often the data of one image is read before it is given up.
    :param checksum: compute the md5, too.
    """

    def __init__(self, stores: Stores, *, tries: int = 3, checksum: bool = True):
        self._stores = stores
        self._checksum = checksum
        self._tries = tries
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Have ``work`` done soon, in a thread; what it raises is logged."""
        def run() -> None:
            try:
                work()
            except Exception:
                LOG.exception('hashing in the background failed')

        with self._lock:
            if self._closing.is_set():
                raise contract.Unavailable('The service is ending.')
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(
                    AT_ONCE, thread_name_prefix='hashing')
            self._pool.submit(run)

    def hashes(self, image: Image, algorithm: str, ctx: Context,
               wanted: Callable[[], bool]) -> Mapping[str, str]:
        """Read an image with its locations, and hash it.

        :param algorithm: for ``os_hash_value``.
        :param ctx: with whose rights, if the store asks.
        :param wanted: asked every few seconds whether to go on.
        :returns: ``os_hash_algo`` and ``os_hash_value``, and the ``checksum`` if that is wanted.
        :raises Cancelled: not to go on.
        :raises Unavailable: the data cannot be read, or is not as long as it was.
        """
        for left in reversed(range(self._tries)):
            try:
                return self._once(image, algorithm, ctx, wanted)
            except Cancelled:
                raise
            except Exception as error:  # whatever a driver or its library raises
                LOG.warning('the data of image %s could not be read to hash it: %s',
                            image.id, error)
                if not left:
                    raise contract.Unavailable('The data cannot be read.') from error
        raise AssertionError('the last try has returned or raised')

    def _once(self, image: Image, algorithm: str, ctx: Context,
              wanted: Callable[[], bool]) -> Mapping[str, str]:
        digest = hashlib.new(algorithm)
        md5 = hashlib.md5(usedforsecurity=False) if self._checksum else None
        size, look = 0, time.monotonic() + LOOK
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
                if time.monotonic() > look:
                    if not wanted():
                        raise Cancelled
                    look = time.monotonic() + LOOK
        finally:
            contract.store.close_chunks(chunks)
        if size != image.size:
            raise contract.Unavailable(f'there are {size} bytes instead of {image.size}')
        return {'os_hash_algo': algorithm, 'os_hash_value': digest.hexdigest(),
                **({} if md5 is None else {'checksum': md5.hexdigest()})}

    def close(self) -> None:
        """Give up what is under way."""
        self._closing.set()
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
