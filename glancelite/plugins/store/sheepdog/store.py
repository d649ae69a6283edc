"""Images in a Sheepdog cluster, one virtual disk (VDI) per image."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.sheepdog import location
from glancelite.plugins.store.sheepdog.client import Client
from glancelite.plugins.store.sheepdog.errors import CommandFailed, translate_error
from glancelite.plugins.store.sheepdog.options import OPTS
from glancelite.plugins.store.sheepdog.upload import upload

LOG = logging.getLogger(__name__)


class SheepdogStore(contract.Store):
    """One virtual disk per image, named by its key; ``dog`` transfers the data.

    A disk is visible under its name from the start. It has the attribute
    ``glancelite.unfinished`` until it is complete; only this driver checks it.

    If the first daemon of `sheepdog_store_address` cannot be reached, the next one is used.

    The size of an image is read when a location is added, and then Sheepdog looks at all its
    disks. Uploads, downloads and deletions do not need it.
    """

    OPTS = OPTS
    CAPABILITIES = frozenset({'write', 'range'})
    SCHEMES = (location.SCHEME,)

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'sheepdog',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        own = [location.parse_address(text, 'sheepdog_store_address', options.sheepdog_store_port)
               for text in options.sheepdog_store_address]
        if not own:
            raise contract.Misconfigured('sheepdog_store_address must name a daemon')
        known = [location.parse_address(text, 'sheepdog_store_known_addresses')
                 for text in options.sheepdog_store_known_addresses]
        self._addresses = tuple(dict.fromkeys((*own, *known)))
        self._client = Client(self._addresses, options.sheepdog_store_timeout)
        self._part_size = options.sheepdog_store_chunk_size << 20

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        store_rules.check_key(key)
        with self._translated_errors():
            try:
                self._client.create(key)
            except CommandFailed as failure:
                if failure.contains('exists already'):
                    raise store_rules.key_in_use() from failure
                raise
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(self._undo, key)
                self._client.mark_unfinished(key)
                written = upload(self._client, key, chunks, self._part_size)
                self._client.mark_finished(key)
                on_failure.pop_all()
        return contract.WriteResult(location.format_url(self._addresses[0], key), written)

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Iterator[bytes]:
        name = self._find(url)
        with self._translated_errors():
            self._check_finished(name)
            try:
                return self._client.read(name, offset, length)
            except CommandFailed as failure:
                if failure.contains('beyond the end'):
                    raise store_rules.beyond_end(self.size(url)) from failure
                raise

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        name = self._find(url)
        with self._translated_errors():
            self._check_finished(name)
            try:
                return self._client.size(name)
            except CommandFailed as failure:
                if failure.missing:     # so is every image of a cluster that does not run
                    self.health()
                raise

    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        name = self._find(url)
        with self._translated_errors():
            self._client.delete(name)

    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        store_rules.check_key(key)
        with self._translated_errors():
            try:
                self._client.mark_finished(key)
                self._client.delete(key)
            except CommandFailed as failure:
                if not failure.missing:
                    raise

    def owns(self, url: str) -> bool:
        return self._name(url) is not None

    def exclusive_resources(self) -> Collection[str]:
        return [f'sheepdog://{host}:{port}' for host, port in self._addresses]

    def properties(self) -> Mapping[str, object]:
        return {'chunk_size': self._part_size}

    def health(self) -> str:
        with self._translated_errors():
            status = self._client.status()
        if not status.startswith('running'):
            raise contract.Unavailable(f'Sheepdog: {status or "unknown status"}')
        return status

    def _check_finished(self, name: str) -> None:
        """
        :raises NotFound: the image is not complete.
        """
        if self._client.is_unfinished(name):
            raise store_rules.no_data()

    def _undo(self, key: str) -> None:
        """Delete an incomplete image; a failure must not replace the one of the upload."""
        try:
            self.discard(key)
        except contract.Error as error:
            LOG.error('store %s: cannot delete the incomplete data of %s: %s', self.name, key,
                      error)

    def _name(self, url: str) -> str | None:
        """Return the name in the URL, or None if it is not the URL of this cluster."""
        parsed = location.parse_url(url)
        if parsed is None:
            return None
        address, name = parsed
        return name if address is None or address in self._addresses else None

    def _find(self, url: str) -> str:
        """
        :raises Invalid: the store does not own the URL.
        """
        name = self._name(url)
        if name is None:
            raise store_rules.foreign_url()
        return name

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except CommandFailed as failure:
            raise translate_error(self.name, failure) from failure
