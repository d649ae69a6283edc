"""The configured stores: where data is written, and which store has which location."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location
from glancelite.services import border
from glancelite.services.stores.configured import ConfiguredStore
from glancelite.services.stores.failover import FailoverRead

LOG = logging.getLogger(__name__)

#: most bytes per copy of a view: the size of Ceph's objects, so that no driver copies again
COPY_SIZE = 4 << 20


def acceptable(chunks: Iterator[bytes], driver: contract.Store) -> Iterator[bytes]:
    """Return the chunks as ``bytes`` if the driver does not accept views of memory."""
    return chunks if driver.ACCEPTS_MEMORYVIEW else _as_bytes(chunks)


def _as_bytes(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, bytes):
            yield chunk
            continue
        for start in range(0, len(chunk), COPY_SIZE):
            yield bytes(chunk[start:start + COPY_SIZE])


class Stores:
    """Named stores with a default one.

    :param stores: in the order of the configuration.
    :param multi: True if the operator named the stores (``enabled_backends``): then callers
        may choose among them, and locations have the name.
    :param reserved: stores of the service's own, such as for staging; users do not see them.
    :param installed: returns scheme -> driver, of those not configured as well; called when
        an image has a location that no configured store can have.
    """

    def __init__(self, stores: Iterable[ConfiguredStore], default: str, *,
                 strategy: contract.LocationStrategy, multi: bool = True,
                 reserved: Iterable[ConfiguredStore] = (),
                 installed: Callable[[], Mapping[str, type[contract.Store]]] = dict):
        self._stores = {store.name: store for store in stores}
        self._reserved = {store.name: store for store in reserved}
        self._default = default
        self._strategy = strategy
        self._weights = {name: store.weight for name, store in self._stores.items()}
        self._multi = multi
        self._installed = installed

    @property
    def multi(self) -> bool:
        """True if the operator named the stores."""
        return self._multi

    @property
    def default(self) -> str:
        """The name of the store for uploads that name none."""
        return self._default

    @property
    def names(self) -> Sequence[str]:
        """The names of all stores, in the order of the configuration."""
        return tuple(self._stores)

    @property
    def reserved(self) -> Mapping[str, ConfiguredStore]:
        """The service's own stores by name."""
        return self._reserved

    @property
    def not_built(self) -> Sequence[ConfiguredStore]:
        """The stores whose driver could not be built, reserved ones included."""
        return [store for store in (*self, *self._reserved.values()) if not store.is_built]

    def __getitem__(self, name: str) -> ConfiguredStore:
        return self._stores[name]

    def __iter__(self) -> Iterator[ConfiguredStore]:
        return iter(self._stores.values())

    def choose(self, name: str | None) -> str:
        """Return the name of the store for an upload.

        :param name: what the caller requested; None for the default store.
        :raises Invalid: there is no such store.
        """
        if name is None or not self._multi:
            return self._default
        return self._known(name).name

    def write(self, name: str, key: str, chunks: Iterator[bytes], *, size: int | None,
              ctx: Context) -> tuple[Location, int]:
        """Write data into the store ``name``.

        :returns: the location, and the number of bytes.
        :raises ReadOnly: the store accepts no data.
        """
        store = self[name]
        try:
            written = store.write(key, acceptable(chunks, store.writer()), size=size, ctx=ctx)
        except contract.Unavailable as error:
            store.record_result(error)
            raise
        store.record_result(None)
        return self._location(written.url, written.metadata, name), written.size

    def read(self, image: Image, *, offset: int, length: int, ctx: Context | None,
             prefer: Sequence[str] = ()) -> Iterator[bytes] | None:
        """Read the data of an image from the first location that opens.

        If the image has a hash, its other locations take over when one fails.

        :param prefer: names of stores to try before all others.
        :returns: an iterator, with ``close()`` if it needs one; None if no store has the data.
        :raises Unavailable: a store that should have the data does not answer.
        :raises Unsupported: a range was requested, and no store can read one.
        """
        return FailoverRead(image, self._candidates(image, prefer, ctx), offset=offset,
                            length=length, ctx=ctx).start()

    def parse_preference(self, text: str) -> Sequence[str]:
        """Return the names of stores in ``?prefer=``.

        :raises Invalid: there is no such store, or stores have no names here.
        """
        if not self._multi:
            raise contract.Invalid('This service has no stores to choose from.')
        names = filter(None, map(str.strip, text.split(',')))
        return tuple(dict.fromkeys(self._known(name).name for name in names))

    def _candidates(self, image: Image, prefer: Sequence[str],
                    ctx: Context | None) -> Iterable[tuple[ConfiguredStore, Location]]:
        candidates = []
        for location in self._ordered(image, ctx):
            store = self.find(location)
            if store is not None:
                candidates.append((store, location))
        if not candidates and image.active_locations:
            raise contract.Unavailable('The store of this image is not configured here.')
        if len(candidates) > 1:
            # stores that failed a moment ago are tried last
            rank = {name: position for position, name in enumerate(prefer)}
            candidates.sort(key=lambda candidate: (
                rank.get(candidate[0].name, len(rank)), not candidate[0].is_healthy))
        return candidates

    def delete(self, location: Location, *, ctx: Context | None = None) -> None:
        """Delete the data at one location; missing data counts as deleted.

        :raises InUse, Forbidden, Unavailable: as the driver does.
        """
        store = self.store_of(location)
        if not store.is_writable:
            LOG.info('data stays in the store %s, which is read-only', store.name)
            return
        try:
            store.delete(location.url, ctx=ctx)
        except contract.NotFound:
            LOG.warning('data to be deleted was missing in the store %s', store.name)

    def discard(self, key: str, *, store: str | None = None, ctx: Context | None = None) -> None:
        """Delete what an abandoned upload left under ``key``.

        :param store: the name of the store; None for any store.
        :param ctx: on whose behalf it was written, as far as known.
        :raises Unavailable: a store does not answer; try again later.
        """
        failure = None
        for each in self._stores.values() if store is None else (self[store],):
            if each.is_writable:
                try:
                    each.discard(key, ctx=ctx)
                except contract.Error as error:
                    failure = error
        if failure is not None:
            raise failure

    def adopt(self, url: str, *, name: str | None = None, metadata: Mapping[str, object] =
              contract.EMPTY, ctx: Context | None = None) -> Location:
        """Return the location for a URL that a user adds.

        :param name: the store that the user names, which is tried first; as in Glance,
            another store may accept the URL.
        :raises Invalid: no store here reads it, or access to its address is not allowed.
        """
        candidates = sorted(self._stores.values(),
                            key=lambda store: (store.name != name, not store.owns(url)))
        scheme, _, rest = url.partition('://')
        reason = contract.Invalid(f'No store here reads images from {scheme + "://"!r} URLs.'
                                  if rest else 'A location must be a URL.')
        for store in candidates:
            if 'adopt' in store.capabilities and scheme in store.schemes:
                try:
                    return self._location(store.adopt(url, ctx=ctx), metadata, store.name)
                except contract.Invalid as error:
                    reason = error
        raise reason

    def size(self, location: Location, *, ctx: Context | None = None) -> int:
        """Return the size of the data at a location in bytes; raises as the driver does."""
        return self.store_of(location).size(location.url, ctx=ctx)

    def size_of(self, image: Image, *, ctx: Context | None = None) -> int | None:
        """Return the size of the data of an image; None if no store has the data.

        :raises Unavailable: a store that should have the data does not answer.
        """
        failure: contract.Error | None = None
        for location in self._ordered(image, ctx):
            try:
                return self.size(location, ctx=ctx)
            except contract.NotFound:
                LOG.error('the data of image %s is missing in a store', image.id)
            except contract.Error as error:
                failure = error
        if failure is not None:
            raise failure
        return None

    def is_public(self, url: str) -> bool:
        """Return whether the data at this URL is public, whether or not a store reads it."""
        scheme = _scheme(url)
        driver = self._driver_of(scheme)
        return driver is not None and scheme in driver.PUBLIC_SCHEMES

    def reads_public(self, url: str) -> bool:
        """Return whether the data is public, and a store here can read it."""
        return self.is_public(url) and any(_scheme(url) in store.schemes for store in self)

    @property
    def any_shares(self) -> bool:
        """True if a store has the capability ``share``."""
        return any('share' in store.capabilities for store in self._stores.values())

    def share(self, image: Image, *, projects: Collection[str], ctx: Context) -> None:
        """Update read access in stores with the capability ``share``; failures are logged."""
        public = image.visibility in ('public', 'community')
        for location in image.active_locations:
            store = self.find(location)
            if store is not None and 'share' in store.capabilities:
                try:
                    store.share(location.url, public=public, projects=sorted(projects),
                                ctx=ctx)
                except contract.Error as error:
                    LOG.warning('read access to image %s was not updated in the store %s: %s',
                                image.id, store.name, error)

    def store_of(self, location: Location) -> ConfiguredStore:
        """Return the store that has this location.

        :raises Unavailable: it is not configured.
        """
        store = self.find(location)
        if store is None:
            raise contract.Unavailable('The store of this image is not configured here.')
        return store

    def find(self, location: Location) -> ConfiguredStore | None:
        """Return the store that has this location, by its recorded name or else by the URL."""
        name = location.store
        if name in self._stores:
            return self._stores[name]
        for store in self._stores.values():
            if store.owns(location.url):
                return store
        return None

    def for_display(self, location: Location) -> Location:
        """Return a location with the right name of its store, and a URL without secrets."""
        if location.store not in self._stores and self._multi:
            store = self.find(location)
            if store is not None:
                location = dataclasses.replace(
                    location, metadata={**location.metadata, 'store': store.name})
        url = self.redact(location)
        return location if url == location.url else dataclasses.replace(location, url=url)

    def redact(self, location: Location) -> str:
        """Return the URL of a location without its secrets."""
        url = location.url
        if '@' not in url:
            return url
        driver = self._driver_of(_scheme(url))
        if driver is not None:
            try:
                redacted: object = driver.redact(url)
                if isinstance(redacted, str):
                    return redacted
            except BaseException as error:
                if border.passes(error) and not isinstance(error, contract.Error):
                    raise
            # without the error, whose text may contain the URL
            LOG.error('the driver %s failed to redact a URL', driver.__qualname__)
        return _redact_unknown(url)

    def _driver_of(self, scheme: str) -> type[contract.Store] | None:
        """Return the driver of a scheme, even if none of its stores is configured.

        A store may have schemes that its class does not define, such as those of another
        driver: the class that defines a scheme is preferred.
        """
        for store in self:
            if scheme in store.kind.SCHEMES:
                return store.kind
        driver = self._installed().get(scheme)
        if driver is not None:
            return driver
        return next((store.kind for store in self if scheme in store.schemes), None)

    def displayed(self, image: Image, ctx: Context | None = None) -> Sequence[Location]:
        """Return the active locations as users see them, the one to read first in front."""
        return [self.for_display(location) for location in self._ordered(image, ctx)]

    def _ordered(self, image: Image, ctx: Context | None) -> Sequence[Location]:
        locations = image.active_locations
        if len(locations) < 2:
            return locations
        strategy = self._strategy
        try:
            with border.Calling(strategy):
                answer = strategy.order(locations, self._weights, image=image, ctx=ctx)
            return border.check_order(strategy, answer, locations)
        except (contract.Error, border.PluginFailed):
            LOG.exception('the locations are used as they are listed')
            return locations

    def _known(self, name: str) -> ConfiguredStore:
        if name not in self._stores:
            raise contract.Invalid(f'there is no store {name!r}; '
                                   f'there are: {", ".join(self._stores)}')
        return self._stores[name]

    def _location(self, url: str, metadata: Mapping[str, object], name: str) -> Location:
        return Location(url, {**metadata, 'store': name} if self._multi else metadata)


def _scheme(url: str) -> str:
    return url.partition('://')[0]


def _redact_unknown(url: str) -> str:
    """Return a URL that no driver here knows without what may be secrets."""
    scheme, separator, rest = url.partition('://')
    if not separator:
        return url.rpartition('@')[2]
    authority = re.split('[/?#]', rest, maxsplit=1)[0]
    if '@' in authority:
        return scheme + separator + rest.removeprefix(authority.rpartition('@')[0] + '@')
    # a colon that is not followed by a port: a secret with a slash is before the last @
    if re.fullmatch(r'[^:]*(:[0-9]*)?|\[.*\](:[0-9]*)?', authority):
        return url
    return scheme + separator + rest.rpartition('@')[2]
