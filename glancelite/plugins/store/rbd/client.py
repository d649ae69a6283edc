"""Ceph's Python bindings, and one connection to a cluster that many threads share."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import logging
import os
import pathlib
import queue
import sys
import sysconfig
import threading
import time

from glancelite import contract
from glancelite.contract import store_rules

LOG = logging.getLogger(__name__)

#: where distributions keep the bindings, which are not on PyPI
SYSTEM = ('/usr/lib/python3/dist-packages',
          f'/usr/lib64/python{sysconfig.get_python_version()}/site-packages')
#: seconds for which nobody tries again after a connection has failed
PAUSE = 2.0
#: seconds that the operator waits for an answer about the health
PATIENCE = 5.0

_IMPORT = threading.Lock()
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
#: the cluster has thrown this client out, and only a new one is let in; or it was silent, and
#: there may be locks and watches that this client cannot give back
_LOST = {errno.ESHUTDOWN, errno.ENOTCONN, errno.ETIMEDOUT}


def bindings():
    """The modules ``rados`` and ``rbd``.

    A virtual environment does not see those of the distribution, so they are looked for where
    that keeps them, and these two alone: the whole directory on the path would hide the
    environment's own packages.

    :raises Misconfigured: they are not installed for this Python.
    """
    with _IMPORT:
        # the second cannot be loaded without the first
        return tuple(_module(name) for name in ('rados', 'rbd'))


def _module(name):
    with contextlib.suppress(ImportError):
        return importlib.import_module(name)
    file = name + (sysconfig.get_config_var('EXT_SUFFIX') or '.so')
    for folder in SYSTEM:
        path = pathlib.Path(folder, file)
        if path.is_file():
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module      # the other one imports it by this name
            try:
                spec.loader.exec_module(module)
            except ImportError as error:
                del sys.modules[name]
                raise contract.Misconfigured(f'{path} cannot be loaded: {error}') from error
            return module
    version = sysconfig.get_python_version()
    raise contract.Misconfigured(
        f'the rbd store needs the Python bindings of Ceph for Python {version}: install the '
        f'Debian package python3-{name}, or another one that has {file}')


class NoAnswer(contract.Unavailable):
    """The cluster was asked, and was silent for too long."""


class Session:
    """One operation's use of a pool; closed by whoever opened it."""

    def __init__(self, connection, ioctx):
        self.ioctx = ioctx
        self._connection = connection

    def __enter__(self):
        return self.ioctx

    def __exit__(self, *failure):
        self.close()

    def close(self):
        self.ioctx.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


class Connection:
    """A client of the cluster; it ends when the last of those who took it releases it."""

    def __init__(self, client):
        self.client = client
        self._lock = threading.Lock()
        self._users = 1

    def take(self):
        """Count one user more; False if it is over."""
        with self._lock:
            if self._users:
                self._users += 1
            return self._users > 0

    def release(self):
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self.client.shutdown()  # librados does not do it by itself


class Cluster:
    """Connects when first asked, again when the cluster has thrown us out or was silent.

    :param conf: path of ``ceph.conf``; '' for where librados looks by itself.
    :param user: name of the cephx user without ``client.``; None for the library's.
    :param timeouts: seconds for all that librados knows timeouts for; None to keep what
        ``ceph.conf`` says.
    :param connect: seconds to connect, and for the monitors' answers, where ``timeouts`` is
        None and ``ceph.conf`` says nothing.
    :param operation: the same for what the OSDs are asked.
    """

    def __init__(self, name, *, conf, user, timeouts, connect, operation):
        self.rados, self.rbd = bindings()
        self._name = name
        self._conf = conf
        self._user = user
        self._timeouts = timeouts
        self._connect_timeout = connect
        self._operation_timeout = operation
        self._lock = threading.Lock()
        self._connection = None
        self._failure = None
        self._failed_at = 0.0
        self._fsid = None
        if conf and not os.access(conf, os.R_OK):
            raise contract.Misconfigured(f'rbd_store_ceph_conf must name a file that can be '
                                         f'read, but {conf} is none')

    # connection

    def session(self, pool):
        """A :class:`Session` with the pool.

        :raises NotFound: there is no such pool.
        :raises Unavailable: the cluster cannot be reached.
        """
        connection = self._taken()
        try:
            with self.meanings():
                ioctx = connection.client.open_ioctx(pool)
                # What does not fit shall fail, and not wait until there is room; and what
                # gives room may be done.
                ioctx.set_osdmap_full_try()
                return Session(connection, ioctx)
        except BaseException:
            connection.release()
            raise

    def setting(self, name):
        """What an option of Ceph is, with all that the cluster says about it."""
        return self._ask(lambda client: client.conf_get(name))

    def free(self):
        """Bytes that are free in the cluster, as it counts them."""
        return self._ask(lambda client: client.get_cluster_stats()['kb_avail']) << 10

    def fsid(self):
        """The id of the cluster: asked for once, from the file if that has it.

        :raises Unavailable: nobody says.
        """
        if self._fsid is None:
            try:
                client = self._prepared()
                said = client.conf_get('fsid') or ''
                client.shutdown()
            except self.rados.Error as error:
                raise contract.Unavailable(_why_not(error.errno)) from error
            if said.strip('0-'):
                self._fsid = said
            else:
                self._taken().release()
        return self._fsid

    def forget(self):
        """Let go of the connection; it ends when nobody uses it any more."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _ask(self, question):
        connection = self._taken()
        try:
            with self.meanings():
                return question(connection.client)
        finally:
            connection.release()

    def _taken(self):
        """The connection, made if there is none; to be released."""
        while True:
            connection = self._connection
            if connection is None:
                with self._lock:
                    if self._connection is None:
                        self._connection = self._connect()
                    connection = self._connection
            if connection.take():
                return connection

    def _connect(self):
        # all who have waited for the lock learn what one has found out
        if self._failure and time.monotonic() < self._failed_at + PAUSE:
            raise contract.Unavailable(self._failure)
        client = None
        try:
            client = self._prepared()
            client.connect()
            self._fsid = client.get_fsid()
        except self.rados.Error as error:
            LOG.error('store %s: no connection to Ceph as client.%s: %s', self._name,
                      self._user or 'admin', error)
            if client is not None:
                client.shutdown()
            self._failure = _why_not(error.errno)
            self._failed_at = time.monotonic()
            raise contract.Unavailable(self._failure) from error
        self._failure = None
        return Connection(client)

    def _prepared(self):
        """A client that is configured and not connected."""
        client = self.rados.Rados(conffile=self._conf, rados_id=self._user)
        # A cache between us and the cluster costs a copy, and tells of failures late.
        client.conf_set('rbd_cache', 'false')
        if self._timeouts is not None:
            for option in 'rados_osd_op_timeout', 'rados_mon_op_timeout', 'client_mount_timeout':
                client.conf_set(option, str(self._timeouts))
            return client
        # Left alone, librados waits for ever for an OSD and for five minutes for a monitor.
        for option, silent, seconds in (
                ('rados_osd_op_timeout', 0, self._operation_timeout),
                ('rados_mon_op_timeout', 0, self._connect_timeout),
                ('client_mount_timeout', 300, self._connect_timeout)):
            if _number(client.conf_get(option)) == silent:
                client.conf_set(option, str(seconds))
        return client

    # failures

    @contextlib.contextmanager
    def meanings(self, refused=contract.Unavailable):
        """Failures of Ceph, by what they mean to our callers.

        :param refused: what it means that we may not do it.
        """
        try:
            yield
        except (self.rados.Error, self.rbd.Error) as error:
            raise self.meaning(getattr(error, 'errno', None) or 0, error, refused) from error

    def meaning(self, code, error, refused=contract.Unavailable):
        """What the ``errno`` of a failure means to our callers; the rest is for the log."""
        code = abs(code)
        if code in (errno.ENOENT, errno.ENAMETOOLONG):
            return store_rules.no_data()
        if code == errno.EEXIST:
            return store_rules.key_in_use()
        LOG.error('store %s: %s', self._name, error)
        if code in _FULL:
            return contract.TooLarge('The store is full.')
        if code == errno.EBUSY:
            return contract.InUse('Somebody else uses the data.')
        if code in _REFUSED:
            return refused('The store does not let the Image service do that.')
        if code in _LOST:
            self.forget()
        if code == errno.ETIMEDOUT:
            return NoAnswer('The store does not answer.')
        return contract.Unavailable('The store cannot be used now.')


def answers(ioctx):
    """Do the OSDs serve the pool?  Asked in a way that ends soon.

    :raises Unavailable: no answer in PATIENCE seconds.
    """
    codes = queue.SimpleQueue()
    ioctx.aio_stat('rbd_directory', lambda completion, *found: codes.put(
        completion.get_return_value()))
    try:
        code = codes.get(timeout=PATIENCE)
    except queue.Empty:
        code = -errno.ETIMEDOUT
    if code not in (0, -errno.ENOENT):
        raise NoAnswer(f'The pool does not answer: {os.strerror(-code)}.')


def _why_not(code):
    if code == errno.ETIMEDOUT:
        return 'The store does not answer.'
    if code in _REFUSED:
        return 'The store does not accept the key of the Image service.'
    if code == errno.ENOENT:
        return 'The Image service has no key for the store, or no configuration of Ceph.'
    return 'The store cannot be reached.'


def _number(text):
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
