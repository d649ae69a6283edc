"""Images in a pool of Ceph, of which Nova and Cinder make clones."""

from __future__ import annotations

import contextlib
import logging
import threading
import urllib.parse
from typing import NamedTuple

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.rbd import client, streams
from glancelite.plugins.store.rbd.deletion import SNAPSHOT, Removal, publish

LOG = logging.getLogger(__name__)

MIB = 1 << 20
#: what RBD allows for the size of its objects, in MiB
LARGEST_CHUNK = 32


class RBDStore(contract.Store):
    """One RBD image per image, named by its key; Nova and Cinder make clones of it.

    An image is whole when it has its protected snapshot: that is made after the data has
    arrived, and is what readers open.

    The cephx user needs `profile rbd` for mon and for the pool, and `profile rbd-read-only` for
    the pools in which the clones are.

    Nothing is waited for without end: a full pool is reported at once, and a silent cluster
    after the timeouts. What it kept of an image is removed when it answers again.

    Deleted images that have clones (of the second format) go to the trash of RBD; there they
    are removed after the last of these, at the latest with a later deletion.
    """

    OPTS = (
        cfg.IntOpt('rbd_store_chunk_size', default=8, min=1, max=LARGEST_CHUNK,
                   help='MiB per object in RADOS; a power of two, or the next smaller one is '
                        'taken.'),
        cfg.StrOpt('rbd_store_pool', default='images',
                   help='Pool that holds the images.'),
        cfg.ListOpt('rbd_store_former_pools', default=[],
                    help='Further pools of the cluster in which images of this store are, '
                         'though new ones do not go there: for a store whose pool was changed.'),
        cfg.ListOpt('rbd_store_former_fsids', default=[],
                    help='Further ids of the cluster that are in the locations of images: for '
                         'a cluster that was made anew, or mirrored, with the images in it.'),
        cfg.StrOpt('rbd_store_user',
                   help='Name of the cephx user, without "client."; unset for that of librados, '
                        'which is admin.'),
        cfg.StrOpt('rbd_store_ceph_conf', default='',
                   help='The file ceph.conf; empty for where librados looks by itself. It has to '
                        'name the monitors and the keyring of the user.'),
        cfg.IntOpt('rados_connect_timeout', default=-1, min=-1,
                   help='Seconds after which everything that is asked of Ceph fails (it sets '
                        'rados_osd_op_timeout, rados_mon_op_timeout and client_mount_timeout); '
                        '0 to wait for ever. -1 leaves them to ceph.conf, and where that says '
                        'nothing to rbd_connect_timeout and rbd_operation_timeout.'),
        cfg.IntOpt('rbd_connect_timeout', default=10, min=1,
                   help='Seconds to wait for a connection and for the monitors, if neither '
                        'rados_connect_timeout nor ceph.conf say anything about it.'),
        cfg.IntOpt('rbd_operation_timeout', default=60, min=1,
                   help='Seconds to wait for an OSD, if neither rados_connect_timeout nor '
                        'ceph.conf say anything about it. Should be longer than the cluster '
                        'needs to do without an OSD that has failed.'),
        cfg.BoolOpt('rbd_thin_provisioning', default=False,
                    help='Write nothing where an image is zero.'),
        cfg.IntOpt('rbd_store_parallel', default=4, min=1, max=64,
                   help='Reads or writes of one image that are on their way at once, of 4 MiB '
                        'each.'),
        cfg.StrOpt('rbd_in_use_delete', default='trash', choices=[
            ('trash', 'it is deleted for users, and moved to the trash of RBD until the last '
                      'clone is gone'),
            ('refuse', 'it cannot be deleted before')],
            help='What becomes of an image when it is deleted and has clones (of the second '
                 'format; with those of the first one, it cannot be deleted).'),
    )
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})
    SCHEMES = ('rbd',)

    def __init__(self, options, host, *, name='rbd', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        timeout = options.rados_connect_timeout
        self._cluster = client.Cluster(
            name, conf=options.rbd_store_ceph_conf, user=options.rbd_store_user or None,
            timeouts=None if timeout < 0 else timeout, connect=options.rbd_connect_timeout,
            operation=options.rbd_operation_timeout)
        self._rbd = self._cluster.rbd
        self._pool = options.rbd_store_pool
        self._pools = {self._pool, *options.rbd_store_former_pools}
        self._former_fsids = frozenset(options.rbd_store_former_fsids)
        self._chunk = options.rbd_store_chunk_size * MIB
        self._order = self._chunk.bit_length() - 1
        self._parallel = options.rbd_store_parallel
        self._removal = Removal(self._cluster, trash=options.rbd_in_use_delete == 'trash')
        if not self._pool:
            raise contract.Misconfigured('rbd_store_pool must be the name of a pool')

    # what the service asks

    def write(self, key, chunks, *, size=None, ctx=None):
        session = self._open_pool()
        image = None
        try:
            self._create(session.ioctx, key, size or 0)
        except BaseException:
            session.close()
            raise
        try:
            image = self._open(session.ioctx, _Address(None, self._pool, key, None))
            written = self._fill(image, size or 0, chunks)
            with self._cluster.meanings():
                image.close()
        except BaseException as failure:
            self._undo(session, image, key, failure)
            raise
        session.close()
        return contract.WriteResult(_url(self._cluster.fsid(), self._pool, key, SNAPSHOT), written)

    def read(self, url, *, offset=0, length=None, ctx=None):
        address = self._address(url)
        session = self._cluster.session(address.pool)
        try:
            image = self._open(session.ioctx, address)
        except BaseException:
            session.close()
            raise
        try:
            with self._cluster.meanings():
                size = image.size()
            if offset > size:
                raise store_rules.beyond_end(size)
            rest = size - offset
            return streams.Reader(
                self._cluster, session, image, address.snapshot, offset,
                rest if length is None else min(length, rest), parallel=self._parallel)
        except BaseException:
            image.close()
            session.close()
            raise

    def size(self, url, *, ctx=None):
        address = self._address(url)
        with self._cluster.session(address.pool) as ioctx, self._open(ioctx, address) as image, \
                self._cluster.meanings():
            return image.size()

    def delete(self, url, *, ctx=None):
        address = self._address(url)
        with self._cluster.session(address.pool) as ioctx:
            self._removal.remove(ioctx, address.image, address.snapshot)
            self._removal.sweep(ioctx, address.pool)
            self._removal.pay(ioctx)

    def discard(self, key, *, ctx=None):
        with self._open_pool() as ioctx:
            try:
                self._removal.discard(ioctx, key)
            except contract.InUse as reason:
                # a writer that died counts as one that has it open for half a minute
                raise contract.Unavailable(str(reason)) from reason

    def owns(self, url):
        try:
            address = _parse(url)
            if address.pool is None:    # nothing in it says whose it is
                return self.size(url) >= 0
        except contract.Error:
            return False
        # without an answer it may be ours; that it cannot be read now is said where it is read
        return address.pool in self._pools and (
            address.fsid in self._former_fsids or self._fsid() in (address.fsid, None))

    def adopt(self, url, *, ctx=None):
        address = self._address(url)
        if address.fsid is None:
            raise contract.Invalid('This location does not say in which cluster it is.')
        return _url(*address)

    def exclusive_resources(self):
        return [f'rbd {self.options.rbd_store_ceph_conf} {self._pool}']

    def properties(self):
        return {'chunk_size': self._chunk, 'pool': self._pool,
                'thin_provisioning': self.options.rbd_thin_provisioning, 'fsid': self._fsid()}

    def health(self):
        with self._open_pool() as ioctx:
            client.answers(ioctx)
            self._removal.pay(ioctx)
        free = self._cluster.free()
        return f'{free / (1 << 30):.1f} GiB free' if free else 'ok'    # a new one has not counted

    def close(self):
        self._cluster.forget()

    # writing

    def _open_pool(self):
        try:
            return self._cluster.session(self._pool)
        except contract.NotFound:
            LOG.error('store %s: there is no pool %s', self.name, self._pool)
            raise contract.Unavailable('The store has no pool.') from None

    def _create(self, ioctx, key, size):
        self._removal.prepare(ioctx)
        self._removal.pay(ioctx)
        with self._cluster.meanings():
            self._rbd.RBD().create(ioctx, key, size, self._order, old_format=False,
                                   features=self._features())

    def _features(self):
        """What the cluster gives to new images; clones need the layers in any case."""
        said = self._cluster.setting('rbd_default_features') or '0'
        if not said.isdecimal():
            said = self._rbd.RBD().features_from_string(said)
        return int(said) | self._rbd.RBD_FEATURE_LAYERING

    def _fill(self, image, size, chunks):
        writer = streams.Writer(
            self._cluster, image, size, chunk=self._chunk, parallel=self._parallel,
            thin=self.options.rbd_thin_provisioning)
        put = writer.put
        for chunk in chunks:
            put(chunk)
        writer.finish()
        with self._cluster.meanings():
            publish(image)
        return writer.size

    def _undo(self, session, image, key, failure):
        """Remove an image that did not become whole."""
        if isinstance(failure, client.NoAnswer):
            # each step would wait for its own answer, and the caller for all of them
            threading.Thread(target=self._clean, args=(session, image, key), daemon=True).start()
        else:
            self._clean(session, image, key)

    def _clean(self, session, image, key):
        number = None
        try:
            # a failure to close is one of the connection, which ends with all that it holds
            with session, contextlib.suppress(contract.Error), self._cluster.meanings():
                if image is not None:
                    number = image.id()
                    image.close()
            with self._open_pool() as ioctx:
                self._removal.discard(ioctx, key)
        except contract.Error as error:
            LOG.error('store %s: what was written of %s stays in the pool for now: %s',
                      self.name, key, error)
            if number:
                self._removal.owe(key, number)

    # locations

    def _fsid(self):
        """The id of the cluster; None while nobody says it."""
        try:
            return self._cluster.fsid()
        except contract.Unavailable:
            return None

    def _address(self, url):
        """Where to look for the data.

        :raises Invalid: in no pool of ours.
        """
        address = _parse(url)
        if address.pool is None:
            return address._replace(pool=self._pool)
        if address.pool not in self._pools or (
                address.fsid not in self._former_fsids
                and address.fsid != self._cluster.fsid()):
            raise store_rules.foreign_url()
        return address

    def _open(self, ioctx, address):
        """The image, read-only at its snapshot; one without can be written, and is watched."""
        with self._cluster.meanings():
            return self._rbd.Image(ioctx, address.image, snapshot=address.snapshot,
                                   read_only=address.snapshot is not None)


class _Address(NamedTuple):
    """What a URL says; the short form has the image only."""

    fsid: str | None
    pool: str | None
    image: str
    snapshot: str | None


def _parse(url):
    """The parts of ``rbd://FSID/POOL/IMAGE/SNAPSHOT``, or of ``rbd://IMAGE``.

    :raises Invalid: it is neither.
    """
    scheme, _, rest = url.partition('://')
    parts = [urllib.parse.unquote(part) for part in rest.split('/')]
    # librbd takes names to their first NUL
    if scheme in RBDStore.SCHEMES and all(part and part.isprintable() for part in parts):
        if len(parts) == 4:
            return _Address(*parts)
        if len(parts) == 1:
            return _Address(None, None, parts[0], None)
    raise store_rules.foreign_url()


def _url(*parts):
    return 'rbd://' + '/'.join(urllib.parse.quote(part, safe='') for part in parts)
