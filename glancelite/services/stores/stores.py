"""The configured stores: which one takes the bytes, which ones have them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location
from glancelite.services.stores.backend import Backend
from glancelite.services.stores.failover import Reading

LOG = logging.getLogger(__name__)

#: bytes of a copy at most: as many as objects of Ceph have, so that nobody copies them again
COPY = 4 << 20


def suited(chunks: Iterator[bytes], driver: contract.Store) -> Iterator[bytes]:
    """``bytes`` for drivers that take no views of memory."""
    return chunks if driver.ACCEPTS_MEMORYVIEW else _copied(chunks)


def _copied(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, bytes):
            yield chunk
            continue
        for at in range(0, len(chunk), COPY):
            yield bytes(chunk[at:at + COPY])


class Stores:
    """Named stores with a default one.

    :param backends: in the operator's order.
    :param multi: whether the operator named the stores (``enabled_backends``):
        then callers may choose among them, and locations carry the name.
    :param reserved: stores of the service's own, such as for staging; users do not see them.
    :param installed: returns scheme -> driver, of those not configured as well; called when
        an image has a location that no configured store can have.
    """

    def __init__(self, backends: Iterable[Backend], default: str, *,
                 strategy: contract.LocationStrategy, multi: bool = True,
                 reserved: Iterable[Backend] = (),
                 installed: Callable[[], Mapping[str, type[contract.Store]]] = dict):
        self._backends = {backend.name: backend for backend in backends}
        self._reserved = {backend.name: backend for backend in reserved}
        self._default = default
        self._strategy = strategy
        self._weights = {name: backend.weight for name, backend in self._backends.items()}
        self._multi = multi
        self._installed = installed

    @property
    def multi(self) -> bool:
        """Did the operator name the stores?"""
        return self._multi

    @property
    def default(self) -> str:
        """The store that takes what nobody has named a store for."""
        return self._default

    @property
    def names(self) -> Sequence[str]:
        """All stores, in the operator's order."""
        return tuple(self._backends)

    @property
    def reserved(self) -> Mapping[str, Backend]:
        """The service's own stores by name."""
        return self._reserved

    @property
    def absent(self) -> Sequence[Backend]:
        """Those whose driver could not be built, reserved ones included."""
        return [backend for backend in (*self, *self._reserved.values()) if not backend.built]

    def __getitem__(self, name: str) -> Backend:
        return self._backends[name]

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    def choose(self, name: str | None) -> str:
        """The store that an upload goes to.

        :param name: what the caller asked for; None for the default one.
        :raises Invalid: there is no such store.
        """
        if name is None or not self._multi:
            return self._default
        return self._known(name).name

    def write(self, name: str, key: str, chunks: Iterator[bytes], *, size: int | None,
              ctx: Context) -> tuple[Location, int]:
        """Store the bytes in the store ``name``.

        :returns: where they are, and how many.
        :raises ReadOnly: the store takes no data.
        """
        backend = self[name]
        try:
            driver = backend.writer()
            written = driver.write(key, suited(chunks, driver), size=size, ctx=ctx)
        except contract.Unavailable as error:
            backend.note(error)
            raise
        backend.note(None)
        return self._location(written.url, written.metadata, name), written.size

    def read(self, image: Image, *, offset: int, length: int, ctx: Context | None,
             prefer: Sequence[str] = ()) -> Iterator[bytes] | None:
        """The bytes of an image, from the first copy that opens.

        Where there are other copies and the image has a hash, they take over when the
        first one breaks.

        :param prefer: names of stores to be tried before all others.
        :returns: an iterator with ``close()`` where needed; None if no
            store has them.
        :raises Unavailable: a store that should have them does not answer.
        :raises Unsupported: a part was asked for, and no store can.
        """
        return Reading(image, self._candidates(image, prefer), offset=offset, length=length,
                       ctx=ctx).start()

    def preferred(self, text: str) -> Sequence[str]:
        """The stores that ``?prefer=`` names.

        :raises Invalid: there is no such store, or there are no names for stores.
        """
        if not self._multi:
            raise contract.Invalid('This service has no stores to choose from.')
        names = filter(None, map(str.strip, text.split(',')))
        return tuple(dict.fromkeys(self._known(name).name for name in names))

    def _candidates(self, image: Image,
                    prefer: Sequence[str]) -> Iterable[tuple[Backend, Location]]:
        found = []
        for location in self._ordered(image.active_locations):
            backend = self.find(location)
            if backend is not None:
                found.append((backend, location))
        if not found and image.active_locations:
            raise contract.Unavailable('The store of this image is not configured here.')
        if len(found) > 1:
            # those that did not answer a moment ago come last, but they do come
            rank = {name: place for place, name in enumerate(prefer)}
            found.sort(key=lambda one: (rank.get(one[0].name, len(rank)), not one[0].well))
        return found

    def delete(self, location: Location, *, ctx: Context | None = None) -> None:
        """Remove one copy; bytes that are missing are as good as removed.

        :raises InUse, Forbidden, Unavailable: as the driver says.
        """
        backend = self.of(location)
        if not backend.takes_data:
            LOG.info('a copy stays in the store %s, which is read-only', backend.name)
            return
        try:
            backend.reader().delete(location.url, ctx=ctx)
        except contract.NotFound:
            LOG.warning('a copy was missing in the store %s', backend.name)

    def discard(self, key: str, *, ctx: Context | None = None) -> None:
        """Remove what an upload that died has left under ``key``, wherever that was.

        :param ctx: for whom, as far as that is known.
        :raises Unavailable: a store does not answer; to be tried again.
        """
        failure = None
        for backend in self._backends.values():
            if backend.takes_data:
                try:
                    backend.reader().discard(key, ctx=ctx)
                except contract.Error as error:
                    failure = error
        if failure is not None:
            raise failure

    def adopt(self, url: str, *, name: str | None = None, metadata: Mapping[str, object] =
              contract.EMPTY, ctx: Context | None = None) -> Location:
        """The location that a user's URL makes.

        :param name: the store that the user names, asked first; as in Glance, another one
            has it if that one does not take it.
        :raises Invalid: no store here reads it, or it leads where nobody may send us.
        """
        candidates = sorted(self._backends.values(),
                            key=lambda one: (one.name != name, not one.owns(url)))
        scheme, _, rest = url.partition('://')
        reason = contract.Invalid(f'No store here reads images from {scheme + "://"!r} URLs.'
                                  if rest else 'A location is a URL.')
        for backend in candidates:
            if 'adopt' in backend.abilities and scheme in backend.schemes:
                try:
                    return self._location(backend.reader().adopt(url, ctx=ctx), metadata,
                                          backend.name)
                except contract.Invalid as error:
                    reason = error
        raise reason

    def size(self, location: Location, *, ctx: Context | None = None) -> int:
        """Bytes of a copy; raises as the driver does."""
        return self.of(location).reader().size(location.url, ctx=ctx)

    def is_public(self, url: str) -> bool:
        """Return whether the data at this URL is public, be there a store for it or not."""
        scheme = _scheme(url)
        driver = self._driver_of(scheme)
        return driver is not None and scheme in driver.PUBLIC_SCHEMES

    def reads_public(self, url: str) -> bool:
        """Return whether the data is public, and a store here can read it."""
        return self.is_public(url) and any(_scheme(url) in backend.schemes for backend in self)

    @property
    def shares(self) -> bool:
        """Is there a store that wants to know who may read?"""
        return any('share' in backend.abilities for backend in self._backends.values())

    def share(self, image: Image, *, projects: Collection[str], ctx: Context) -> None:
        """Tell the stores that care who may read; their trouble is logged only."""
        public = image.visibility in ('public', 'community')
        for location in image.active_locations:
            backend = self.find(location)
            if backend is not None and 'share' in backend.abilities:
                try:
                    backend.reader().share(location.url, public=public,
                                           projects=sorted(projects), ctx=ctx)
                except contract.Error as error:
                    LOG.warning('the store %s does not know who may read image %s: %s',
                                backend.name, image.id, error)

    def of(self, location: Location) -> Backend:
        """The store which has this copy.

        :raises Unavailable: it is not among the configured ones.
        """
        found = self.find(location)
        if found is None:
            raise contract.Unavailable('The store of this image is not configured here.')
        return found

    def find(self, location: Location) -> Backend | None:
        """The store which has this copy, as recorded or else judged by the URL."""
        name = location.store
        if name in self._backends:
            return self._backends[name]
        for backend in self._backends.values():
            if backend.owns(location.url):
                return backend
        return None

    def placed(self, location: Location) -> Location:
        """A location with the name of its store set right, and a URL without secrets."""
        if location.store not in self._backends and self._multi:
            found = self.find(location)
            if found is not None:
                location = dataclasses.replace(
                    location, metadata={**location.metadata, 'store': found.name})
        url = self.redact(location)
        return location if url == location.url else dataclasses.replace(location, url=url)

    def redact(self, location: Location) -> str:
        """Return the URL of a location without its secrets."""
        url = location.url
        if '@' not in url:
            return url
        driver = self._driver_of(_scheme(url))
        if driver is not None:
            return driver.redact(url)
        # no driver here knows where the secrets of such a URL end
        return f'{_scheme(url)}://{url.rpartition("@")[2]}'

    def _driver_of(self, scheme: str) -> type[contract.Store] | None:
        for backend in self:
            if scheme in backend.schemes:
                return backend.kind
        return self._installed().get(scheme)

    def shown(self, image: Image) -> Sequence[Location]:
        """The copies as users see them, the one to try first in front."""
        return [self.placed(location) for location in self._ordered(image.active_locations)]

    def _ordered(self, locations: Sequence[Location]) -> Sequence[Location]:
        if len(locations) < 2:
            return locations
        return self._strategy.order(locations, self._weights)

    def _known(self, name: str) -> Backend:
        if name not in self._backends:
            raise contract.Invalid(f'there is no store {name!r}; '
                                   f'there are: {", ".join(self._backends)}')
        return self._backends[name]

    def _location(self, url: str, metadata: Mapping[str, object], name: str) -> Location:
        return Location(url, {**metadata, 'store': name} if self._multi else metadata)


def _scheme(url: str) -> str:
    return url.partition('://')[0]
