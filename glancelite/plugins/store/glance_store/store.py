"""Any driver that was written for glance_store, as a store of this service."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import urllib.parse
import uuid

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.glance_store import errors
from glancelite.plugins.store.glance_store.context import caller
from glancelite.plugins.store.glance_store.driver import Kind
from glancelite.plugins.store.glance_store.streams import Chunks, Source, SourceFailed

LOG = logging.getLogger(__name__)

#: the driver hashes with this, and always with MD5, and nobody looks at the result: it is
#: what costs least of all that hashlib has everywhere
HASH = 'sha1'
#: drivers of the library itself that refuse a name which is taken, and clean up
CAREFUL = tuple(f'glance_store._drivers.{name}' for name in (
    'cinder', 'filesystem', 'http', 'rbd', 's3', 'vmware_datastore'))
#: schemes whose older addresses do not begin like those that are written today; behind
#: them are services which know by themselves what we may have
OLDER = frozenset({'cinder', 'http', 'https', 'rbd', 's3', 's3+http', 's3+https', 'swift',
                   'swift+config', 'swift+http', 'swift+https', 'vsphere'})
#: schemes whose addresses are not for users to choose
PRIVATE = frozenset({'file', 'filesystem', 'http', 'https', 'swift+config'})
#: scheme -> our word -> the attribute of a configured driver, for the discovery of stores
PROPERTIES = {
    'cinder': {'volume_type': 'store_conf.cinder_volume_type',
               'use_multipath': 'store_conf.cinder_use_multipath'},
    'file': {'data_dir': 'datadir', 'chunk_size': 'chunk_size',
             'thin_provisioning': 'thin_provisioning'},
    'rbd': {'chunk_size': 'chunk_size', 'pool': 'pool',
            'thin_provisioning': 'thin_provisioning'},
    's3': {name: name for name in ('s3_store_large_object_size', 's3_store_thread_pools',
                                   's3_store_large_object_chunk_size')},
    'swift': {name: name for name in ('container', 'large_object_size',
                                      'large_object_chunk_size')},
}
#: what that driver means by MB
SWIFT_MB = 1000 << 10
DOTS = frozenset({'.', '..'})
#: what an operator should know of
SERIOUS = (contract.Unavailable, contract.TooLarge, contract.ReadOnly, contract.Forbidden)


def _of_the_driver(conf):
    """Registers nothing: which options there are is known when the section has been read."""


class GlanceStore(contract.Store):
    """A bridge to the driver that ``glance_store_driver`` names.

    What the interface of glance_store cannot keep of the contract:

    * a ``size`` that turns out wrong is refused (``Invalid``), and is no mere hint;
    * data that is not whole yet is hidden in the process that writes it, not in
      others, unless the driver hides it;
    * of two processes that write one key at once, both may succeed, unless the driver sees
      to it; so may one after the other if the driver gives an address that has nothing of
      the key in it;
    * ``discard`` finds what the driver would have put under such an address that follows
      from ``url_prefix``, or from the last address written, and the key.
    """

    OPTS = (
        cfg.StrOpt('glance_store_driver', required=True, sample_default='cinder',
                   help='Name of the driver in the entry points glance_store.drivers. Its own '
                        'options stand in this section as well.'),
        cfg.StrOpt('credential',
                   help='Whose rights a driver has that acts with a token: none, service or '
                        'caller, or another installed plugin of the layer credential. Without '
                        'it the driver gets the token of the caller as it came.'),
    )
    LIBRARY_OPTS = (_of_the_driver,)
    #: the most that a driver can have; each instance says what its own has
    CAPABILITIES = frozenset({'write', 'range', 'adopt', 'share'})

    def __init__(self, options, host, *, name='glance_store', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        from glance_store import capabilities, exceptions
        self._bits = capabilities.BitMasks
        self._bad = exceptions.BadStoreConfiguration
        self._kind = Kind(options.glance_store_driver, name, conf)
        self._source = host.load(contract.CredentialSource, options.credential, name) \
            if options.credential else None
        self._lock = threading.Lock()
        self._writing = set()
        self._shared = None
        self._prefixes = None
        self._pattern = None
        self._properties = {}
        try:
            driver = self._kind.make()
            self.SCHEMES = self._kind.schemes
            driver = self._configured(driver)
        except self._bad as error:
            raise contract.Misconfigured(
                f'[{name}] the driver {self._kind.driver} says: '
                f'{errors.without(str(error), self._kind.secrets)}') from error
        except contract.Unavailable as error:
            LOG.warning('store %s is not usable yet: %s', name, error)
        self.CAPABILITIES = self._abilities(driver)

    def _abilities(self, driver):
        from glance_store.driver import Store
        found = set()
        if driver.is_capable(self._bits.WRITE_ACCESS):
            found.add('write')
        if driver.is_capable(self._bits.READ_OFFSET):
            found.add('range')
        if not PRIVATE.issuperset(self.SCHEMES):
            found.add('adopt')
        if type(driver).set_acls is not Store.set_acls:
            found.add('share')
        return frozenset(found)

    # what the service asks

    def write(self, key, chunks, *, size=None, ctx=None):
        self._may('write', contract.ReadOnly)
        source = Source(chunks)
        with self._alone(key), self._acting(ctx, long_running=True) as context:
            ours = self._reserve(key, context)
            try:
                url, length, _, _, metadata = self._driver().add(
                    key, source, self._announced(size), HASH, context=context)
            except Exception as error:
                if ours and errors.kind(error) is not contract.Conflict:
                    self._clear(key, context)
                if source.failure is not None:
                    raise source.failure from None
                raise self._failed(error) from error
            try:
                return self._written(key, source, url, length, metadata)
            except BaseException:
                self._remove(url, context)
                raise

    def _announced(self, size):
        """What the driver is told of the size; 0 for unknown."""
        options = self._kind.options
        if (self._kind.module == 'glance_store._drivers.swift.store' and size
                and size >= options['swift_store_large_object_size'] * SWIFT_MB):
            return 0    # if it knew, it would announce more for the last segment than comes
        return size or 0

    def _reserve(self, key, context):
        """Is what stands under this key from now on ours?  Of a careful driver we do not ask.

        :raises Conflict: somebody has the key.
        """
        if self._kind.module.startswith(CAREFUL):
            return False
        absent = False
        for url in self._guesses(key):
            try:
                with self._open(url, context):
                    raise store_rules.key_in_use()
            except contract.NotFound:
                absent = True
            except (contract.Invalid, contract.Unavailable):
                continue    # the driver will say it better
        return absent

    def _written(self, key, source, url, length, metadata):
        """What the driver has said, if it can be believed.

        Drivers exist that take a failure for the end, or do not look for the end.
        """
        with contextlib.suppress(SourceFailed):
            if source.read(1):
                raise contract.Invalid('There is more data than was announced.')
        if source.failure is not None:
            raise source.failure
        if self._leaks(url):
            LOG.error('store %s: this driver writes secrets into its addresses', self.name)
            raise contract.Unavailable('The store cannot be used now.')
        if len(key) > 31 and key in url:
            self._pattern = url.replace(key, '{key}')
        return contract.WriteResult(url, length, self._metadata(metadata))

    def _metadata(self, given):
        from glance_store import check_location_metadata
        # the driver may keep the very object, and the word for the store is the core's
        found = {name: value for name, value in (given or {}).items()
                 if name not in ('store', 'backend')}
        with self._meanings():
            check_location_metadata(found)
        return found

    def read(self, url, *, offset=0, length=None, ctx=None):
        part = offset > 0 or length is not None
        if part:
            offset, length = self._part(url, offset, length, ctx)
        with contextlib.ExitStack() as held:
            context = held.enter_context(self._acting(ctx, long_running=True))
            self._refuse_half(url)
            chunks = self._open(url, context, offset=offset, length=length)
            try:
                self._refuse_half(url)      # somebody may have begun meanwhile
            except contract.NotFound:
                chunks.close()
                raise
            chunks.keep(held.pop_all())
            return chunks

    def _part(self, url, offset, length, ctx):
        self._may('range', contract.Unsupported)
        size = self.size(url, ctx=ctx)
        if offset > size:
            raise store_rules.beyond_end(size)
        return offset, size - offset if length is None else min(length, size - offset)

    def size(self, url, *, ctx=None):
        with self._acting(ctx) as context:
            self._refuse_half(url)
            return self._size(url, context)

    def delete(self, url, *, ctx=None):
        self._may('write', contract.ReadOnly)
        with self._acting(ctx) as context:
            self._refuse_half(url)
            self._delete(url, context)

    def discard(self, key, *, ctx=None):
        self._may('write', contract.ReadOnly)
        with self._acting(ctx) as context:
            for url in self._guesses(key):
                try:
                    self._delete(url, context)
                except (contract.NotFound, contract.Invalid):
                    continue
                except contract.Unavailable as error:
                    if not isinstance(error.__cause__, self._bad):
                        raise
                    LOG.warning('store %s: what may be left of %s stays, as its driver does '
                                'nothing without a caller; see [%s] credential',
                                self.name, key, self.name)

    def owns(self, url):
        scheme, _, path = url.partition('://')
        if scheme not in self.SCHEMES or not path:
            return False
        if not self._prefixes:      # the driver has no word on it
            return True
        return any(path.startswith(start) and _is_plain(path[len(start):])
                   for _, start in self._prefixes)

    def adopt(self, url, *, ctx=None):
        self._may('adopt', contract.Unsupported)
        if not self.owns(url) or url.partition('://')[0] in PRIVATE or self._leaks(url):
            raise contract.Invalid('This location is none of this store.')
        self._place(url)
        return url

    def share(self, url, *, public, projects, ctx=None):
        self._may('share', contract.Unsupported)
        with self._acting(ctx) as context:
            self._size(url, context)    # drivers exist that do not look
            place = self._place(url)
            with self._meanings():
                try:
                    self._driver().set_acls(place, public=public, read_tenants=list(projects),
                                    write_tenants=[], context=context)
                except NotImplementedError:
                    raise contract.Unsupported('The store lets nobody else read.') from None

    def exclusive_resources(self):
        # as our own drivers say it, where there are such
        return [os.path.realpath(start) if scheme == 'file'
                else f'{scheme.partition("+")[0]}://{start}'.rstrip('/')
                for scheme, start in self._prefixes or ()]

    def properties(self):
        return self._properties

    def health(self):
        self._driver()
        with self._acting(None) as context:
            for url in self._guesses(str(uuid.uuid4())):
                try:
                    self._open(url, context).close()
                except (contract.NotFound, contract.Invalid):
                    continue
                except contract.Unavailable as error:
                    if not isinstance(error.__cause__, self._bad):  # it only wants a caller
                        raise
        return f'{self._kind.driver} of glance_store'

    def close(self):
        self._shared = None

    def _may(self, ability, otherwise):
        if ability not in self.CAPABILITIES:
            raise otherwise(f'The driver of this store has no {ability!r}.')

    # one operation of the driver

    def _driver(self):
        """Of its own for each operation, unless it says that it can be shared.

        :raises Unavailable: its backend does not answer.
        """
        if self._shared is not None:
            return self._shared
        with self._meanings():
            return self._configured(self._kind.make())

    def _configured(self, driver):
        try:
            driver.configure(re_raise_bsc=True)
        except self._bad:
            raise
        except Exception as error:
            raise self._failed(error) from error
        if self._prefixes is None:
            self._learn(driver)
        if driver.is_capable(self._bits.DRIVER_REUSABLE):
            self._shared = driver
        return driver

    def _open(self, url, context, *, offset=0, length=None):
        """What is there, from ``offset`` on; at most ``length`` bytes."""
        place = self._place(url)
        driver = self._driver()
        named = {'offset': offset} if offset else {}
        if length and driver.is_capable(self._bits.READ_CHUNK):
            named['chunk_size'] = length
        with self._meanings():
            data, promised = driver.get(place, context=context, **named)
            promised = int(promised or 0) or None
        return Chunks(data, promised=promised if length is None else length, limit=length,
                      failed=self._failed, owner=driver)

    def _delete(self, url, context):
        place = self._place(url)
        try:
            with self._meanings():
                self._driver().delete(place, context=context)
        except contract.Forbidden:
            self._size(url, context)    # drivers exist that forbid what is not there
            raise

    def _size(self, url, context):
        place = self._place(url)
        with self._meanings():
            size = int(self._driver().get_size(place, context=context) or 0)
        if size:
            return size
        # it has none; or drivers exist that say 0 when they have failed
        with self._open(url, context) as chunks:
            if chunks.promised is None and next(chunks, b''):
                raise contract.Unavailable('The store does not know the size.')
            return chunks.promised or 0

    def _place(self, url):
        """``url`` as the driver wants it; hostile ones end here.

        :raises Invalid: it is none of this store's.
        """
        scheme, _, path = url.partition('://')
        older = scheme in OLDER and not (scheme == 'cinder' and '/' in path)
        plain = scheme in ('http', 'https') or _is_plain(path.lstrip('/'))
        if (scheme in self.SCHEMES and url.isprintable() and ' ' not in url
                and plain and not DOTS.intersection(path.split('/'))
                and (older or self.owns(url))):
            try:
                return self._kind.location(url)
            except Exception:
                LOG.debug('store %s: its driver does not understand a location', self.name)
        raise store_rules.foreign_url()

    @contextlib.contextmanager
    def _meanings(self):
        try:
            yield
        except contract.Error:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error):
        """An error of ours that means the same; the log gets what the driver has said."""
        found = errors.meaning(error)
        if not isinstance(error, contract.Error) and type(found) in SERIOUS:
            errors.tell(self.name, error, self._kind.secrets)
        return found

    # who is acting

    @contextlib.contextmanager
    def _acting(self, ctx, *, long_running=False):
        credential = self._source.open(ctx, long_running=long_running) if self._source else None
        try:
            yield caller(ctx, credential, self._source)
        except contract.Error as error:
            if credential and errors.refused(error.__cause__):
                credential.invalidate()
            raise
        finally:
            if credential:
                credential.close()

    @contextlib.contextmanager
    def _alone(self, key):
        with self._lock:
            if key in self._writing:
                raise store_rules.key_in_use()
            self._writing.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._writing.discard(key)

    def _refuse_half(self, url):
        if self._writing and not self._writing.isdisjoint(url.split('/')):
            raise store_rules.no_data()

    # where things are

    def _learn(self, driver):
        """What only a driver that is configured can tell."""
        starts = [driver.url_prefix or '']
        starts += [f'file://{given.rpartition(":")[0] or given}'    # its prefix is one of them
                   for given in self._kind.options.get('filesystem_store_datadirs') or ()]
        if any(map(self._leaks, starts)):
            raise contract.Misconfigured(
                f'[{self.name}] the driver {self._kind.driver} would write secrets into '
                'addresses, which users may see: choose the driver of this service instead, '
                f'enabled_backends = {self.name}:{self._kind.driver}')
        self._prefixes = tuple(dict.fromkeys(
            (scheme, path.rstrip('/') + '/')
            for scheme, _, path in (start.partition('://') for start in starts) if path))
        if self._kind.module.startswith('glance_store.'):
            known = PROPERTIES.get(self.SCHEMES[0].partition('+')[0], {})
            found = {word: _attribute(driver, name) for word, name in known.items()}
            if self.SCHEMES[0] == 'rbd' and self._prefixes:
                found['fsid'] = self._prefixes[0][1].partition('/')[0]
            self._properties = {word: value for word, value in found.items()
                                if value is not None}

    def _guesses(self, key):
        """Where data under ``key`` would be, as far as that can be known."""
        if 'cinder' in self.SCHEMES:    # where only the backend decides
            return ()
        if self._prefixes is None:
            self._driver()
        if self._pattern:
            return (self._pattern.replace('{key}', key),)
        return tuple(f'{scheme}://{start}{key}' for scheme, start in self._prefixes or ())

    def _clear(self, key, context):
        for url in self._guesses(key):
            self._remove(url, context)

    def _remove(self, url, context):
        try:
            self._delete(url, context)
        except contract.NotFound:
            return
        except contract.Error as error:     # must not hide why we are here
            LOG.warning('store %s: something is left behind: %s', self.name, error)

    def _leaks(self, url):
        """Has this address a secret in it?"""
        account, at, _ = url.partition('://')[2].partition('/')[0].rpartition('@')
        plain = urllib.parse.unquote(url)
        return (bool(at) and ':' in account) or any(
            secret in plain for secret in self._kind.secrets)


def _is_plain(path):
    """Nothing but names, with one slash between two."""
    return DOTS.isdisjoint(path.split('/')) and '' not in path.split('/')


def _attribute(driver, dotted):
    for name in dotted.split('.'):
        driver = getattr(driver, name, None)
    return driver
