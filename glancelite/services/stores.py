"""The configured stores: which one takes the bytes, which one has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location, Store

LOG = logging.getLogger(__name__)


class Stores:
    """Named drivers with a default one.

    :param stores: name -> driver, in the operator's order.
    :param weights: name -> weight.
    :param multi: whether the operator named the stores (``enabled_backends``):
        then callers may choose among them, and locations carry the name.
    """

    def __init__(self, stores: Mapping[str, Store], default: str, *,
                 strategy: contract.LocationStrategy,
                 weights: Mapping[str, int] | None = None, multi: bool = True):
        self._stores = dict(stores)
        self._default = default
        self._strategy = strategy
        self._weights = dict(weights or {})
        self._multi = multi

    @property
    def multi(self) -> bool:
        """Did the operator name the stores?"""
        return self._multi

    @property
    def names(self) -> Sequence[str]:
        """All stores, in the operator's order."""
        return tuple(self._stores)

    def choose(self, name: str | None) -> str:
        """The store that an upload goes to.

        :param name: what the caller asked for; None for the default one.
        :raises Invalid: there is no such store.
        """
        if name is None or not self._multi:
            return self._default
        if name not in self._stores:
            raise contract.Invalid(f'there is no store {name!r}; '
                                   f'there are: {", ".join(self._stores)}')
        return name

    def write(self, name: str, key: str, chunks: Iterator[bytes], *, size: int | None,
              ctx: Context) -> tuple[Location, int]:
        """Store the bytes in the store ``name``.

        :returns: where they are, and how many.
        :raises ReadOnly: the store takes no data.
        """
        store = self._stores[name]
        if 'write' not in store.CAPABILITIES:
            raise contract.ReadOnly(f'adding images to the store {name!r} is disabled')
        written = store.write(key, chunks, size=size, ctx=ctx)
        metadata = {**written.metadata, 'store': name} if self._multi else written.metadata
        return Location(written.url, metadata), written.size

    def read(self, image: Image, *, offset: int, length: int,
             ctx: Context) -> Iterator[bytes] | None:
        """The bytes of an image, from the first copy that opens.

        :returns: an iterator with ``close()`` where needed; None if no
            store has them.
        :raises Unavailable: a store that should have them does not answer.
        :raises Unsupported: a part was asked for, and no store can.
        """
        reason: contract.Error | None = None
        whole = offset == 0 and length == image.size
        for location in self.order(image.locations):
            try:
                store = self.of(location)
                if whole:
                    return store.read(location.url, ctx=ctx)
                if 'range' not in store.CAPABILITIES:
                    raise contract.Unsupported('this image can only be read as a whole')
                return store.read(location.url, offset=offset, length=length, ctx=ctx)
            except contract.NotFound:
                LOG.error('the bytes of image %s are missing in the store %s',
                          image.id, location.store or self._default)
            except contract.Error as error:
                LOG.warning('image %s cannot be read from the store %s: %s',
                            image.id, location.store or self._default, error)
                reason = error
        if reason is not None:
            raise reason
        return None

    def delete(self, location: Location, *, ctx: Context | None = None) -> None:
        """Remove one copy; bytes that are missing are as good as removed.

        :raises InUse, Forbidden, Unavailable: as the driver says.
        """
        store = self.of(location)
        if 'write' not in store.CAPABILITIES:
            LOG.info('a copy stays in a store that is read-only')
            return
        try:
            store.delete(location.url, ctx=ctx)
        except contract.NotFound:
            LOG.warning('a copy was missing in the store %s', location.store or self._default)

    def discard(self, key: str) -> None:
        """Remove what an upload that died has left under ``key``, wherever that was.

        :raises Unavailable: a store does not answer; to be tried again.
        """
        for store in self._stores.values():
            if 'write' in store.CAPABILITIES:
                store.discard(key)

    def of(self, location: Location) -> Store:
        """The driver which has this copy.

        :raises Unavailable: it is not among the configured ones.
        """
        if location.store in self._stores:
            return self._stores[location.store]
        for store in self._stores.values():
            if store.owns(location.url):
                return store
        raise contract.Unavailable('the store of this image is not configured here')

    def order(self, locations: Sequence[Location]) -> Sequence[Location]:
        """The copies, the one to try first in front."""
        if len(locations) < 2:
            return locations
        return self._strategy.order(locations, self._weights)

    def __iter__(self) -> Iterator[tuple[str, Store]]:
        return iter(self._stores.items())
