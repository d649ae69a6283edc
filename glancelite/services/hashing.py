"""Hashes data that users added as locations, in the background."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping

from glancelite import contract
from glancelite.contract import Context, Image, store_rules
from glancelite.services.stores import Stores
from glancelite.support import log_context

LOG = logging.getLogger(__name__)

#: images that one process reads at the same time
THREADS = 2
#: seconds between two checks whether the hash is still needed
CHECK_INTERVAL = 5.0
#: seconds that the end of the service waits for a store that does not answer
CLOSE_TIME = 5.0


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
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a background thread; exceptions are logged."""
        with self._lock:
            if self._closing.is_set():
                raise contract.Unavailable('The service is shutting down.')
            self._work.put(log_context.carried(work))
            if len(self._threads) < THREADS:
                # as a daemon: a store that does not answer must not keep the process
                thread = threading.Thread(target=self._run, daemon=True,
                                          name=f'hashing-{len(self._threads)}')
                self._threads.append(thread)
                thread.start()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if self._closing.is_set():
                continue
            try:
                work()
            except BaseException:       # a plugin may raise anything
                LOG.exception('hashing in the background failed')
            finally:
                del work        # the image and its caller are not kept until the next one

    def compute(self, image: Image, algorithm: str, ctx: Context,
                is_needed: Callable[[], bool]) -> Mapping[str, str | int]:
        """Read the data of an image and hash it.

        The size 0 stands for an unknown one.

        :param algorithm: for ``os_hash_value``.
        :param ctx: the caller, for stores that use the caller's rights.
        :param is_needed: called every few seconds.
        :returns: ``os_hash_algo`` and ``os_hash_value``, possibly ``checksum``, and ``size`` if
            it was unknown.
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
              is_needed: Callable[[], bool]) -> Mapping[str, str | int]:
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
        if image.size and size != image.size:
            raise contract.Unavailable(f'there are {size} bytes instead of {image.size}')
        return {'os_hash_algo': algorithm, 'os_hash_value': digest.hexdigest(),
                **({} if md5 is None else {'checksum': md5.hexdigest()}),
                **({} if image.size else {'size': size})}

    def close(self) -> None:
        """Abandon the work in progress."""
        with self._lock:
            self._closing.set()
            threads = list(self._threads)
        for _ in threads:
            self._work.put(None)
        deadline = time.monotonic() + CLOSE_TIME
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                LOG.warning('a store has not answered within %g s; the service ends while it '
                            'hashes an image, which the recovery continues', CLOSE_TIME)
