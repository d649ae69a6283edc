"""Which uploads are alive, and what to do about those that are not.

An upload holds a lease on its image; a thread of this process renews the
leases of all its uploads.  When a process dies its leases run out,
and any other process puts the images back to ``queued`` and removes the bytes.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location
from glancelite.services.stores import Stores

LOG = logging.getLogger(__name__)

#: images that a sweep looks up at once
PAGE = 100


class Leases:
    """The uploads of this process, and the sweeping after others.

    Two threads, since a sweep takes as long as the stores do and a lease must
    not run out meanwhile.

    :param seconds: how long a lease lasts; four rounds of renewing and
        sweeping fit into it.
    :param delay: seconds that the bytes of what is deleted are kept at least, and then left to
        the sweep; None if they go at once.
    """

    def __init__(self, database: contract.Database, stores: Stores, host: contract.Host, *,
                 seconds: float = 120, delay: float | None = None):
        self._images = database.images
        self._stores = stores
        self._host = host
        self._lease = datetime.timedelta(seconds=seconds)
        #: whether the bytes of what is deleted are left to the sweep
        self.delayed = delay is not None
        # a deletion that is this old is nobody's work in progress any more
        self._removal = max(2.5 * self._lease, datetime.timedelta(seconds=delay or 0))
        self._interval = seconds / 4
        self._held: collections.Counter[str] = collections.Counter()
        self._seen: Image | None = None     # the last one that the sweep has come to
        #: reads an image whose hash somebody was about to find out when he died
        self.learn: Callable[[Image], object] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def until(self) -> datetime.datetime:
        """When a lease that is taken now runs out."""
        return self._host.now() + self._lease

    def until_swept(self) -> datetime.datetime:
        """When a copy that is marked now as leaving is to be removed by the sweep."""
        return self._host.now() + self._removal

    def swept_before(self) -> datetime.datetime:
        """Images that were deleted before this time are the sweep's by now."""
        return self._host.now() - self._removal

    def safe_after(self) -> datetime.datetime:
        """Images that were deleted after this time are left alone by the sweep for a while."""
        return self.swept_before() + self._lease

    @contextlib.contextmanager
    def hold(self, image: Image) -> Iterator[None]:
        """Keep the lease of ``image`` alive."""
        with self._lock:
            self._held[image.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[image.id] -= 1
                if not self._held[image.id]:
                    del self._held[image.id]

    def start(self) -> None:
        """Renew and sweep from now on."""
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=work.__name__, daemon=True)
            for work in (self.renew, self.sweep)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(self._interval)

    def _run(self, work: Callable[[], object]) -> None:
        while True:
            try:
                work()
            except Exception:
                LOG.exception('to %s leases has failed; trying again in %s s', work.__name__,
                              self._interval)
            if self._stop.wait(self._interval):
                return

    def renew(self) -> None:
        """Renew every lease held here."""
        with self._lock:
            held = tuple(self._held)
        if held:
            self._images.renew_leases(held, until=self.until())

    def sweep(self) -> int:
        """Finish what processes that died have begun, for about as long as a round may take.

        Images that cannot be finished now, because their store is away, do not stand in the
        way of others: the next round goes on where this one has come to.

        :returns: how many images were put in order.
        """
        end, done = time.monotonic() + self._interval, 0
        while True:
            images = self._images.unfinished(
                now=self._host.now(), deleted_before=self.swept_before(), limit=PAGE,
                after=self._seen)
            for image in images:
                self._seen = image
                done += self._try(image)
                if self._stop.is_set() or time.monotonic() > end:
                    return done
            if len(images) < PAGE:
                self._seen = None
                return done

    def _try(self, image: Image) -> bool:
        try:
            return self._finish(image)
        except contract.Error as error:
            LOG.warning('image %s could not be put in order yet: %s', image.id, error)
        except Exception:
            LOG.exception('image %s could not be put in order', image.id)
        return False

    def _finish(self, image: Image) -> bool:
        if image.status == 'saving':
            try:
                # from the first write on the upload cannot finish any more; until the
                # second one the image is found again, should we die as well; not at
                # once, or a store that is away would get it a name more each time
                image = self._images.update(image, {'attempt': image.attempt + 1,
                                                    'lease_until': self.until()},
                                            status={'saving'})
                self._discard(image, image.keys[:-1])
                self._images.update(image, REQUEUED, status={'saving'})
            except (contract.Conflict, contract.NotFound):
                return False  # somebody else was faster, or it lives
            LOG.warning('the upload of image %s had died; it is queued again', image.id)
        elif image.deleted_at is None:
            return self._settle(image)
        else:
            for location in image.locations:
                self._stores.delete(location, ctx=on_behalf_of(image))
            self._discard(image, image.keys[:-1] if image.locations else image.keys)
            self._images.complete_delete(image)
            LOG.info('the deletion of image %s is complete', image.id)
        return True

    def _discard(self, image: Image, keys: Sequence[str]) -> None:
        for key in keys:
            self._stores.discard(key, ctx=on_behalf_of(image))

    def _settle(self, image: Image) -> bool:
        """Finish what somebody else has begun with an image that is not being uploaded."""
        changes: dict[str, object] = {'lease_until': None}
        if image.status == 'importing':     # its data was to be looked at first
            changes = dict(REQUEUED)
        learn = None
        try:
            if any(location.status != 'active' for location in image.locations):
                # nobody else is to be at it meanwhile: a store may say of a copy that is just
                # being removed that it is in use
                image = self._images.update(image, {'lease_until': self.until()})
            with self.hold(image):
                left = self._left(image)
                changes['locations'] = left
                if image.status != 'importing' and left and not (
                        image.checksum or image.os_hash_value):
                    learn = self.learn
                if learn is not None:
                    changes['lease_until'] = self.until()
                elif any(location.status != 'active' for location in left):
                    changes['lease_until'] = self.until_swept()
                image = self._images.update(image, changes)
        except (contract.Conflict, contract.NotFound):
            return False
        if learn is not None:
            learn(image)
            return True
        LOG.warning('image %s: what had been begun is finished', image.id)
        return True

    def _left(self, image: Image) -> tuple[Location, ...]:
        """Remove the copies that were to be removed.

        :returns: the others, and what a store does not give up: those are copies as before, but
            not where deletions are delayed, as nobody has been told that they stay.
        """
        left = []
        for location in image.locations:
            if location.status != 'active':
                try:
                    self._stores.delete(location, ctx=on_behalf_of(image))
                    continue
                except (contract.InUse, contract.Forbidden) as error:
                    LOG.warning('a copy of image %s stays: %s', image.id, error)
                    if not self.delayed:
                        location = dataclasses.replace(location, status='active')
            left.append(location)
        return tuple(left)


def on_behalf_of(image: Image) -> Context:
    """Nobody calls, but where each project has its own bytes it is known whose they are."""
    return Context(project=image.owner)


#: what an image without data looks like
REQUEUED = {'status': 'queued', 'size': None, 'virtual_size': None, 'lease_until': None}
