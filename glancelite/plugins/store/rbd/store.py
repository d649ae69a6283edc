"""Images in a Ceph pool, which Nova and Cinder can clone."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.rbd.client import Client, PoolSession, check_pool
from glancelite.plugins.store.rbd.deletion import SNAPSHOT, Deleter, create_snapshot
from glancelite.plugins.store.rbd.download import Download
from glancelite.plugins.store.rbd.errors import ClusterTimeout
from glancelite.plugins.store.rbd.location import SCHEME, Location, format_url, parse_url
from glancelite.plugins.store.rbd.options import OPTS
from glancelite.plugins.store.rbd.upload import Upload

LOG = logging.getLogger(__name__)

MIB = 1 << 20


class RBDStore(contract.Store):
    """One RBD image per image, named by its key; Nova and Cinder clone it.

    An image is complete when it has its protected snapshot, which is created after the data
    was written. Readers open the snapshot.

    The cephx user needs `profile rbd` for mon and for the pool, and `profile rbd-read-only`
    for the pools with clones.

    A full pool is reported at once, a cluster that does not answer after the timeouts. Partial
    data that remains then is deleted when the cluster answers again.

    Deleted images with clones (v2) are moved to the trash of RBD. They are removed from there
    by a later deletion, after the last clone is gone.
    """

    OPTS = OPTS
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})
    SCHEMES = (SCHEME,)

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'rbd',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        timeout = options.rados_connect_timeout
        self._client = Client(
            name, conf=options.rbd_store_ceph_conf, user=options.rbd_store_user or None,
            timeout=None if timeout < 0 else timeout,
            connect_timeout=options.rbd_connect_timeout,
            operation_timeout=options.rbd_operation_timeout)
        self._rbd = self._client.rbd
        self._pool = options.rbd_store_pool
        self._pools = {self._pool, *options.rbd_store_former_pools}
        self._former_fsids = frozenset(options.rbd_store_former_fsids)
        self._chunk_size = options.rbd_store_chunk_size * MIB
        self._order = self._chunk_size.bit_length() - 1
        self._parallel = options.rbd_store_parallel
        self._deleter = Deleter(self._client, trash=options.rbd_in_use_delete == 'trash')
        if not self._pool:
            raise contract.Misconfigured('rbd_store_pool must be the name of a pool')

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        with contextlib.ExitStack() as on_failure:
            session = self._client.session(self._pool)
            on_failure.callback(session.close)
            with self._client.existing_pool(self._pool):
                self._create(session.ioctx, key, size or 0)
            on_failure.pop_all()
        image = None
        try:
            image = self._open(session.ioctx, Location(None, self._pool, key, None), self._pool)
            written = self._upload(image, size or 0, chunks)
            with self._client.translated_errors():
                image.close()
        except BaseException as failure:
            self._undo(session, image, key, failure)
            raise
        session.close()
        url = format_url(self._client.fsid(), self._pool, key, SNAPSHOT)
        return contract.WriteResult(url, written)

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Iterator[bytes]:
        pool, location = self._location(url)
        with contextlib.ExitStack() as on_failure:
            session = self._client.session(pool)
            on_failure.callback(session.close)
            image = self._open(session.ioctx, location, pool)
            on_failure.callback(image.close)
            with self._client.translated_errors():
                size = image.size()
            if offset > size:
                raise store_rules.beyond_end(size)
            available = size - offset
            download = Download(
                self._client, session, image, location.snapshot, offset,
                available if length is None else min(length, available),
                parallel=self._parallel)
            on_failure.pop_all()
        return download

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        pool, location = self._location(url)
        with self._client.session(pool) as ioctx, \
                self._open(ioctx, location, pool) as image, self._client.translated_errors():
            size: int = image.size()
            return size

    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        pool, location = self._location(url)
        with self._client.session(pool) as ioctx, self._client.existing_pool(pool):
            self._deleter.delete(ioctx, location.image, location.snapshot)
            self._deleter.sweep(ioctx, pool)
            self._deleter.delete_pending(ioctx)

    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        with self._client.session(self._pool) as ioctx:
            self._client.check_pool_exists(self._pool)
            try:
                self._deleter.discard(ioctx, key)
            except contract.InUse as error:
                # the watch of a dead writer expires after half a minute
                raise contract.Unavailable(str(error)) from error

    def owns(self, url: str) -> bool:
        try:
            location = parse_url(url)
            if location.pool is None:    # the short form: look whether the image exists
                return self.size(url) >= 0
        except contract.Error:
            return False
        # if the id is unknown now, assume that it matches: reading reports the failure
        return location.pool in self._pools and (
            location.fsid in self._former_fsids or self._fsid() in (location.fsid, None))

    def adopt(self, url: str, *, ctx: contract.Context | None = None) -> str:
        _, location = self._location(url)
        fsid, pool, image, snapshot = location
        if fsid is None or pool is None or snapshot is None:
            raise contract.Invalid('This location lacks the id of its cluster.')
        return format_url(fsid, pool, image, snapshot)

    def exclusive_resources(self) -> Collection[str]:
        return [f'rbd {self.options.rbd_store_ceph_conf} {self._pool}']

    def properties(self) -> Mapping[str, object]:
        return {'chunk_size': self._chunk_size, 'pool': self._pool,
                'thin_provisioning': self.options.rbd_thin_provisioning, 'fsid': self._fsid()}

    def health(self) -> str:
        with self._client.session(self._pool) as ioctx:
            check_pool(ioctx)
            self._client.check_pool_exists(self._pool)
            self._deleter.delete_pending(ioctx)
        free = self._client.free_space()
        return f'{free / (1 << 30):.1f} GiB free' if free else 'ok'    # 0 in a new cluster

    def close(self) -> None:
        self._client.disconnect()

    # writing

    def _create(self, ioctx: Any, key: str, size: int) -> None:
        self._deleter.prepare(ioctx)
        self._deleter.delete_pending(ioctx)
        with self._client.translated_errors():
            self._rbd.RBD().create(ioctx, key, size, self._order, old_format=False,
                                   features=self._features())

    def _features(self) -> int:
        """Return the default features of the cluster, with layering for clones."""
        setting = self._client.setting('rbd_default_features') or '0'
        if not setting.isdecimal():
            setting = self._rbd.RBD().features_from_string(setting)
        return int(setting) | self._rbd.RBD_FEATURE_LAYERING

    def _upload(self, image: Any, size: int, chunks: Iterator[bytes]) -> int:
        """Write all data and complete the image; return the number of bytes."""
        upload = Upload(
            self._client, image, size, chunk_size=self._chunk_size, parallel=self._parallel,
            thin=self.options.rbd_thin_provisioning)
        write = upload.write
        for chunk in chunks:
            write(chunk)
        upload.finish()
        with self._client.translated_errors():
            create_snapshot(image)
        return upload.size

    def _undo(self, session: PoolSession, image: Any, key: str, failure: BaseException) -> None:
        """Delete an incomplete image."""
        if isinstance(failure, ClusterTimeout):
            # in the background, because each step may wait for its own timeout
            threading.Thread(target=self._discard, args=(session, image, key),
                             daemon=True).start()
        else:
            self._discard(session, image, key)

    def _discard(self, session: PoolSession, image: Any, key: str) -> None:
        image_id = None
        try:
            # closing fails only with the connection, which releases everything when it ends
            with session, contextlib.suppress(contract.Error), self._client.translated_errors():
                if image is not None:
                    image_id = image.id()
                    image.close()
            with self._client.session(self._pool) as ioctx:
                self._deleter.discard(ioctx, key)
        except contract.Error as error:
            LOG.error('store %s: partial data of %s remains in the pool for now: %s',
                      self.name, key, error)
            if image_id:
                self._deleter.add_pending(key, image_id)

    # locations

    def _fsid(self) -> str | None:
        """Return the id of the cluster, or None if it is unknown now."""
        try:
            return self._client.fsid()
        except contract.Unavailable:
            return None

    def _location(self, url: str) -> tuple[str, Location]:
        """Return the pool and the parts of a URL.

        :raises Invalid: it is in no pool of this store.
        """
        location = parse_url(url)
        if location.pool is None:
            return self._pool, location
        if location.pool not in self._pools or (
                location.fsid not in self._former_fsids
                and location.fsid != self._client.fsid()):
            raise store_rules.foreign_url()
        return location.pool, location

    def _open(self, ioctx: Any, location: Location, pool: str) -> Any:
        """Open an image: read-only at its snapshot; without a snapshot writable, with a watch."""
        with self._client.existing_pool(pool), self._client.translated_errors():
            return self._client.open_image(ioctx, location.image, snapshot=location.snapshot,
                                           read_only=location.snapshot is not None)
