"""The connection to a Ceph cluster that all threads share."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from glancelite import contract
from glancelite.plugins.store.rbd import errors
from glancelite.plugins.store.rbd.bindings import load_bindings

LOG = logging.getLogger(__name__)

#: seconds after a failed connection during which no new one is tried
RETRY_DELAY = 2.0
#: seconds to wait for the answer of a pool in a health check
HEALTH_TIMEOUT = 5.0


class PoolSession:
    """The use of a pool for one operation; the owner closes it."""

    def __init__(self, connection: Connection, ioctx: Any):
        self.ioctx = ioctx
        self._connection: Connection | None = connection

    def __enter__(self) -> Any:
        return self.ioctx

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self.ioctx.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


class Connection:
    """A connected ``rados.Rados``, which is shut down when its last user releases it."""

    def __init__(self, rados_client: Any):
        self.rados_client = rados_client
        self._lock = threading.Lock()
        self._users = 1

    def acquire(self) -> bool:
        """Add a user; return False if the connection was shut down."""
        with self._lock:
            if self._users:
                self._users += 1
            return self._users > 0

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self.rados_client.shutdown()  # librados does not when it is dropped


class Client:
    """Connects to a cluster on the first use, and again after the connection was lost.

    :param store: the name of the store, for the log.
    :param conf: path of ``ceph.conf``; '' for the default locations.
    :param user: name of the cephx user without ``client.``; None for the default.
    :param timeout: seconds for all timeouts of librados; None to keep those of ``ceph.conf``.
    :param connect_timeout: seconds for connections and monitors, if neither ``timeout`` nor
        ``ceph.conf`` sets it.
    :param operation_timeout: seconds for OSDs, likewise.
    """

    def __init__(self, store: str, *, conf: str, user: str | None, timeout: int | None,
                 connect_timeout: int, operation_timeout: int):
        self.rados, self.rbd = load_bindings()
        self._store = store
        self._conf = conf
        self._user = user
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._operation_timeout = operation_timeout
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._failure: str | None = None
        self._failed_at = 0.0
        self._fsid: str | None = None
        if conf and not os.access(conf, os.R_OK):
            raise contract.Misconfigured(f'rbd_store_ceph_conf must be a readable file: {conf}')

    def session(self, pool: str) -> PoolSession:
        """Open a pool.

        :raises Unavailable: the cluster cannot be reached, or the pool does not exist.
        """
        connection = self._acquire()
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(connection.release)
            with self.translated_errors():
                try:
                    ioctx = connection.rados_client.open_ioctx(pool)
                except self.rados.ObjectNotFound:
                    raise self._no_pool(pool) from None
                # Writes to a full pool fail instead of waiting; deletions are possible.
                ioctx.set_osdmap_full_try()
            on_failure.pop_all()
        return PoolSession(connection, ioctx)

    @contextlib.contextmanager
    def existing_pool(self, pool: str) -> Iterator[None]:
        """Check, if the block raises ``NotFound``, that not the whole pool is missing.

        A client learns later that a pool was deleted; until then, all its objects are missing.

        :raises Unavailable: the pool does not exist.
        """
        try:
            yield
        except contract.NotFound:
            self.check_pool_exists(pool)
            raise

    def check_pool_exists(self, pool: str) -> None:
        """
        :raises Unavailable: the pool does not exist.
        """
        def exists(rados_client: Any) -> bool:
            rados_client.wait_for_latest_osdmap()
            return rados_client.pool_exists(pool)

        if not self._query(exists):
            raise self._no_pool(pool)

    def _no_pool(self, pool: str) -> contract.Unavailable:
        LOG.error('store %s: the pool %s does not exist', self._store, pool)
        return contract.Unavailable('The pool of the store does not exist.')

    def open_image(self, ioctx: Any, name: str | None = None, *, image_id: str | None = None,
                   snapshot: str | None = None, read_only: bool = False) -> Any:
        """Open an image by its name or its id.

        librbd 16 sometimes crashes the process when it fails to open an image. So an image
        that does not exist is found here, before librbd is asked, and the snapshot is selected
        after the image was opened.

        :raises rbd.ImageNotFound: there is no such image or snapshot.
        """
        try:
            if name is None:
                ioctx.stat(f'rbd_header.{image_id}')
            else:
                self._check_header(ioctx, name)
        except self.rados.ObjectNotFound as error:
            raise self.rbd.ImageNotFound(str(error), errno=errno.ENOENT) from error
        image = self.rbd.Image(ioctx, name, image_id=image_id, read_only=read_only)
        if snapshot is not None:
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(image.close)
                image.set_snap(snapshot)
                on_failure.pop_all()
        return image

    def _check_header(self, ioctx: Any, name: str) -> None:
        try:
            # the id follows its length, which takes four bytes
            image_id = ioctx.read(f'rbd_id.{name}')[4:].decode()
        except self.rados.ObjectNotFound:
            ioctx.stat(f'{name}.rbd')    # of the first format of RBD
        else:
            ioctx.stat(f'rbd_header.{image_id}')

    def has_remains(self, ioctx: Any, name: str) -> bool:
        """Return whether anything has this name, even if it cannot be opened as an image."""
        with contextlib.suppress(self.rados.ObjectNotFound):
            ioctx.stat(f'rbd_id.{name}')
            return True
        with contextlib.suppress(self.rados.ObjectNotFound), \
                self.rados.ReadOpCtx() as operation:
            entries, _ = ioctx.get_omap_vals_by_keys(operation, (f'name_{name}',))
            ioctx.operate_read_op(operation, 'rbd_directory')
            return any(entries)
        return False

    def setting(self, name: str) -> str:
        """Return the value of a Ceph option, including the cluster's configuration."""
        return self._query(lambda rados_client: rados_client.conf_get(name))

    def free_space(self) -> int:
        """Return the free bytes of the cluster."""
        return self._query(
            lambda rados_client: rados_client.get_cluster_stats()['kb_avail']) << 10

    def fsid(self) -> str:
        """Return the id of the cluster, from ``ceph.conf`` or the cluster.

        :raises Unavailable: it cannot be determined.
        """
        if self._fsid is None:
            try:
                rados_client = self._create()
                fsid = rados_client.conf_get('fsid') or ''
                rados_client.shutdown()
            except self.rados.Error as error:
                raise contract.Unavailable(errors.connection_failure(error.errno)) from error
            if fsid.strip('0-'):
                self._fsid = fsid
            else:
                self._acquire().release()   # sets it
        assert self._fsid is not None
        return self._fsid

    def disconnect(self) -> None:
        """Drop the connection; it is shut down when its last user releases it."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _query(self, function: Callable[[Any], Any]) -> Any:
        connection = self._acquire()
        try:
            with self.translated_errors():
                return function(connection.rados_client)
        finally:
            connection.release()

    def _acquire(self) -> Connection:
        """Return the connection, which the caller releases; connect if necessary."""
        while True:
            connection = self._connection
            if connection is None:
                with self._lock:
                    if self._connection is None:
                        self._connection = self._connect_locked()
                    connection = self._connection
            if connection.acquire():
                return connection

    def _connect_locked(self) -> Connection:
        # all threads that waited for the lock share the failure of the first one
        if self._failure and time.monotonic() < self._failed_at + RETRY_DELAY:
            raise contract.Unavailable(self._failure)
        rados_client = None
        try:
            rados_client = self._create()
            rados_client.connect()
            self._fsid = rados_client.get_fsid()
        except self.rados.Error as error:
            LOG.error('store %s: no connection to Ceph as client.%s: %s', self._store,
                      self._user or 'admin', error)
            if rados_client is not None:
                rados_client.shutdown()
            self._failure = errors.connection_failure(error.errno)
            self._failed_at = time.monotonic()
            raise contract.Unavailable(self._failure) from error
        self._failure = None
        return Connection(rados_client)

    def _create(self) -> Any:
        """Return a ``rados.Rados`` that is configured, but not connected."""
        rados_client = self.rados.Rados(conffile=self._conf, rados_id=self._user)
        # The cache would cost a copy and report failures late.
        rados_client.conf_set('rbd_cache', 'false')
        if self._timeout is not None:
            for option in 'rados_osd_op_timeout', 'rados_mon_op_timeout', 'client_mount_timeout':
                rados_client.conf_set(option, str(self._timeout))
            return rados_client
        # By default, librados waits for OSDs forever and for monitors five minutes.
        for option, default, seconds in (
                ('rados_osd_op_timeout', 0, self._operation_timeout),
                ('rados_mon_op_timeout', 0, self._connect_timeout),
                ('client_mount_timeout', 300, self._connect_timeout)):
            if _number(rados_client.conf_get(option)) == default:
                rados_client.conf_set(option, str(seconds))
        return rados_client

    @contextlib.contextmanager
    def translated_errors(
            self, forbidden: type[contract.Error] = contract.Unavailable) -> Iterator[None]:
        """Translate errors of Ceph in a ``with`` block.

        :param forbidden: class for a lack of permissions.
        """
        try:
            yield
        except (self.rados.Error, self.rbd.Error) as error:
            code = getattr(error, 'errno', None) or 0
            raise self.translate_error(code, error, forbidden) from error

    def translate_error(self, code: int, error: object,
                        forbidden: type[contract.Error] = contract.Unavailable,
                        ) -> contract.Error:
        """As ``errors.translate_error``; drops the connection if it was lost."""
        if errors.is_connection_lost(code):
            self.disconnect()
        return errors.translate_error(self._store, code, error, forbidden)


def check_pool(ioctx: Any) -> None:
    """Check that the OSDs serve a pool, without waiting for their usual timeout.

    :raises Unavailable: no answer in ``HEALTH_TIMEOUT`` seconds.
    """
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    ioctx.aio_stat('rbd_directory', lambda completion, *result: codes.put(
        completion.get_return_value()))
    try:
        code = codes.get(timeout=HEALTH_TIMEOUT)
    except queue.Empty:
        code = -errno.ETIMEDOUT
    if code not in (0, -errno.ENOENT):
        raise errors.ClusterTimeout(f'The pool does not answer: {os.strerror(-code)}.')


def _number(text: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
