"""Drivers written for the library glance_store, as a store of this service."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.glance_store import errors, location
from glancelite.plugins.store.glance_store.context import DriverContext, driver_context
from glancelite.plugins.store.glance_store.download import Download
from glancelite.plugins.store.glance_store.driver import DriverFactory
from glancelite.plugins.store.glance_store.properties import driver_properties
from glancelite.plugins.store.glance_store.upload import ChunkReader, SourceFailed

LOG = logging.getLogger(__name__)

#: drivers always compute this hash and MD5; the result is not used, so it is the cheapest
#: hash that every hashlib has
HASH = 'sha1'
#: drivers of the library that refuse an existing key and clean up after a failure
SAFE_DRIVERS = tuple(f'glance_store._drivers.{name}' for name in (
    'cinder', 'filesystem', 'http', 'rbd', 's3', 'vmware_datastore'))
#: the unit of swift_store_large_object_size, in bytes
SWIFT_MB = 1000 << 10
#: errors whose details are logged
LOGGED_ERRORS = (contract.Unavailable, contract.TooLarge, contract.ReadOnly, contract.Forbidden)


def _register_nothing(conf: cfg.ConfigOpts) -> None:
    """The options of the driver are registered when its section has been read."""


class GlanceStore(contract.Store):
    """A bridge to the driver that ``glance_store_driver`` names.

    The interface of glance_store does not allow to keep all of the contract:

    * a wrong ``size`` is refused (``Invalid``); it is not just a hint;
    * incomplete data is hidden from readers in the process that writes it, in others only
      if the driver hides it;
    * of two processes that write one key at once, both may succeed, unless the driver
      prevents it; also of two that write it one after the other, if the driver returns a URL
      without the key;
    * only for a driver for files is a missing root (its directory) told from missing data;
    * ``discard`` finds data only under a URL that consists of ``url_prefix``, or the last
      written URL, and the key.
    """

    OPTS = (
        cfg.StrOpt('glance_store_driver', required=True, sample_default='cinder',
                   help='Name of an entry point in glance_store.drivers. The options of the '
                        'driver are set in this section as well.'),
        cfg.StrOpt('credential',
                   help='Whose token the driver uses: none, service or caller, or another '
                        'installed plugin of the layer credential. If it is not set, the driver '
                        'receives the token of the caller unchanged.'),
    )
    LIBRARY_OPTS = (_register_nothing,)
    EXTRA = 'glance-store'
    #: all that drivers can have; each instance has those of its driver
    CAPABILITIES = frozenset({'write', 'range', 'adopt', 'share'})

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'glance_store',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        from glance_store import capabilities, exceptions
        self._bits = capabilities.BitMasks
        self._bad_configuration = exceptions.BadStoreConfiguration
        self._factory = DriverFactory(options.glance_store_driver, name, conf)
        self._source: contract.CredentialSource | None = None
        if options.credential:
            self._source = host.load(
                contract.CredentialSource,  # type: ignore[type-abstract]
                options.credential, name)
        self._locks = store_rules.KeyLocks()
        self._shared_driver: Any = None
        self._prefixes: tuple[location.Prefix, ...] | None = None   # known when configured
        self._url_pattern: str | None = None
        self._properties: Mapping[str, object] = {}
        try:
            driver = self._factory.create()
            self.SCHEMES = self._factory.schemes  # type: ignore[misc]
            driver = self._configure(driver)
        except self._bad_configuration as error:
            raise contract.Misconfigured(
                f'[{name}] the driver {self._factory.driver} reports: '
                f'{errors.redact(str(error), self._factory.secrets)}') from error
        except contract.Unavailable as error:
            LOG.warning('store %s is not usable yet: %s', name, error)
        self.CAPABILITIES = self._capabilities(driver)  # type: ignore[misc]

    def _capabilities(self, driver: Any) -> frozenset[str]:
        from glance_store.driver import Store
        capabilities = set()
        if driver.is_capable(self._bits.WRITE_ACCESS):
            capabilities.add('write')
        if driver.is_capable(self._bits.READ_OFFSET):
            capabilities.add('range')
        if not location.PRIVATE_SCHEMES.issuperset(self.SCHEMES):
            capabilities.add('adopt')
        if type(driver).set_acls is not Store.set_acls:
            capabilities.add('share')
        return frozenset(capabilities)

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        self._require('write', contract.ReadOnly)
        source = ChunkReader(chunks)
        with self._locks.hold(key), self._acting(ctx, long_running=True) as context:
            clean_up = self._check_unused(key, context)
            try:
                url, length, _, _, metadata = self._driver().add(
                    key, source, self._announced_size(size), HASH, context=context)
            except Exception as error:
                if clean_up and errors.translated_class(error) is not contract.Conflict:
                    self._clean_up(self._expected_urls(key), context)
                if source.failure is not None:
                    raise source.failure from None
                raise self._translate_error(error) from error
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(self._clean_up, [url], context)
                result = self._check_written(key, source, url, length, metadata)
                on_failure.pop_all()
            return result

    def _announced_size(self, size: int | None) -> int:
        """Return the size to announce to the driver; 0 for unknown."""
        options = self._factory.options
        if (self._factory.module == 'glance_store._drivers.swift.store' and size
                and size >= options['swift_store_large_object_size'] * SWIFT_MB):
            return 0    # otherwise it announces a last segment that is too long
        return size or 0

    def _check_unused(self, key: str, context: DriverContext | None) -> bool:
        """Return whether data under the key must be cleaned up if the write fails.

        A safe driver makes its own checks and cleans up itself.

        :raises Conflict: the key has data.
        """
        if self._factory.module.startswith(SAFE_DRIVERS):
            return False
        absent = False
        for url in self._expected_urls(key):
            try:
                with self._open(url, context):
                    raise store_rules.key_in_use()
            except contract.NotFound:
                absent = True
            except (contract.Invalid, contract.Unavailable):
                continue    # the driver's write reports it better
        return absent

    def _check_written(self, key: str, source: ChunkReader, url: str, length: int,
                       metadata: Mapping[str, object] | None) -> contract.WriteResult:
        """Return the result of a write; some drivers treat failures as the end of the data."""
        with contextlib.suppress(SourceFailed):
            if source.read(1):
                raise contract.Invalid('There is more data than announced.')
        if source.failure is not None:
            raise source.failure
        if self._has_secret(url):
            LOG.error('store %s: the driver writes secrets into its URLs', self.name)
            raise contract.Unavailable('The store cannot be used now.')
        if len(key) > 31 and key in url:
            self._url_pattern = url.replace(key, '{key}')
        return contract.WriteResult(url, length, self._check_metadata(metadata))

    def _check_metadata(self, metadata: Mapping[str, object] | None) -> dict[str, object]:
        from glance_store import check_location_metadata
        # a copy, as the driver may keep the object; the core sets the name of the store
        copy = {name: value for name, value in (metadata or {}).items()
                if name not in ('store', 'backend')}
        with self._translated_errors():
            check_location_metadata(copy)
        return copy

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Iterator[bytes]:
        if offset > 0 or length is not None:
            length = self._check_range(url, offset, length, ctx)
        with contextlib.ExitStack() as on_failure:
            context = on_failure.enter_context(self._acting(ctx, long_running=True))
            self._check_complete(url)
            download = self._open(url, context, offset=offset, length=length)
            try:
                self._check_complete(url)      # a write may have begun meanwhile
            except contract.NotFound:
                download.close()
                raise
            download.close_with(on_failure.pop_all())
            return download

    def _check_range(self, url: str, offset: int, length: int | None,
                     ctx: contract.Context | None) -> int:
        """Return the number of bytes from ``offset`` on that exist, at most ``length``."""
        self._require('range', contract.Unsupported)
        size = self.size(url, ctx=ctx)
        if offset > size:
            raise store_rules.beyond_end(size)
        return size - offset if length is None else min(length, size - offset)

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        with self._acting(ctx) as context:
            self._check_complete(url)
            return self._size(url, context)

    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        self._require('write', contract.ReadOnly)
        with self._acting(ctx) as context:
            self._check_complete(url)
            self._delete(url, context)

    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        self._require('write', contract.ReadOnly)
        with self._acting(ctx) as context:
            for url in self._expected_urls(key):
                try:
                    self._delete(url, context)
                except (contract.NotFound, contract.Invalid):
                    continue
                except contract.Unavailable as error:
                    if not isinstance(error.__cause__, self._bad_configuration):
                        raise
                    LOG.warning('store %s: data of %s may remain, because the driver requires '
                                'the token of a caller; see [%s] credential',
                                self.name, key, self.name)

    def owns(self, url: str) -> bool:
        scheme, _, path = url.partition('://')
        if scheme not in self.SCHEMES or not path:
            return False
        if not self._prefixes:      # the driver does not declare a prefix
            return True
        return location.has_prefix(url, self._prefixes)

    def adopt(self, url: str, *, ctx: contract.Context | None = None) -> str:
        self._require('adopt', contract.Unsupported)
        if (not self.owns(url) or url.partition('://')[0] in location.PRIVATE_SCHEMES
                or self._has_secret(url)):
            raise store_rules.foreign_url()
        self._location(url)
        return url

    def share(self, url: str, *, public: bool, projects: Sequence[str],
              ctx: contract.Context | None = None) -> None:
        self._require('share', contract.Unsupported)
        with self._acting(ctx) as context:
            self._size(url, context)    # some drivers do not check that the data exists
            place = self._location(url)
            with self._translated_errors():
                try:
                    self._driver().set_acls(place, public=public, read_tenants=list(projects),
                                            write_tenants=[], context=context)
                except NotImplementedError:
                    raise contract.Unsupported('The store cannot give read access.') from None

    def exclusive_resources(self) -> Collection[str]:
        return location.exclusive_resources(self._prefixes or ())

    def properties(self) -> Mapping[str, object]:
        return self._properties

    def health(self) -> str:
        self._driver()
        with self._acting(None) as context:
            for url in self._expected_urls(str(uuid.uuid4())):
                try:
                    self._open(url, context).close()
                except (contract.NotFound, contract.Invalid):
                    continue
                except contract.Unavailable as error:
                    # the driver only requires the token of a caller
                    if not isinstance(error.__cause__, self._bad_configuration):
                        raise
        return f'{self._factory.driver} of glance_store'

    def close(self) -> None:
        self._shared_driver = None

    def _require(self, capability: str, error_class: type[contract.Error]) -> None:
        if capability not in self.CAPABILITIES:
            raise error_class(f'The driver of this store lacks the capability {capability!r}.')

    # operations of the driver

    def _driver(self) -> Any:
        """Return a driver: a new one for each operation, unless it can be shared.

        :raises Unavailable: its backend does not answer.
        """
        if self._shared_driver is not None:
            return self._shared_driver
        with self._translated_errors():
            return self._configure(self._factory.create())

    def _configure(self, driver: Any) -> Any:
        try:
            driver.configure(re_raise_bsc=True)
        except self._bad_configuration:
            raise
        except Exception as error:
            raise self._translate_error(error) from error
        if self._prefixes is None:
            self._read_prefixes(driver)
        if driver.is_capable(self._bits.DRIVER_REUSABLE):
            self._shared_driver = driver
        return driver

    def _read_prefixes(self, driver: Any) -> None:
        """Set the prefixes of URLs and the properties, which only a configured driver knows."""
        urls = location.driver_urls(driver, self._factory.options)
        if any(map(self._has_secret, urls)):
            raise contract.Misconfigured(
                f'[{self.name}] the driver {self._factory.driver} would write secrets into '
                'URLs, which users can see: use the driver of this service instead, '
                f'enabled_backends = {self.name}:{self._factory.driver}')
        self._prefixes = location.parse_prefixes(urls)
        if self._factory.module.startswith('glance_store.'):
            self._properties = driver_properties(driver, self.SCHEMES[0], self._prefixes)

    def _open(self, url: str, context: DriverContext | None, *, offset: int = 0,
              length: int | None = None) -> Download:
        """Return the data from ``offset`` on; at most ``length`` bytes."""
        place = self._location(url)
        driver = self._driver()
        named = {'offset': offset} if offset else {}
        if length and driver.is_capable(self._bits.READ_CHUNK):
            named['chunk_size'] = length
        with self._translated_errors():
            data, reported = driver.get(place, context=context, **named)
            reported = int(reported or 0) or None
        return Download(data, expected=reported if length is None else length, limit=length,
                        failed=self._translate_error, driver=driver)

    def _delete(self, url: str, context: DriverContext | None) -> None:
        place = self._location(url)
        try:
            with self._translated_errors():
                self._driver().delete(place, context=context)
        except contract.Forbidden:
            self._size(url, context)    # some drivers raise Forbidden for missing data
            raise

    def _size(self, url: str, context: DriverContext | None) -> int:
        place = self._location(url)
        with self._translated_errors():
            size = int(self._driver().get_size(place, context=context) or 0)
        if size:
            return size
        # some drivers return 0 if they fail
        with self._open(url, context) as download:
            if download.expected is None and next(download, b''):
                raise contract.Unavailable('The size of the data is unknown.')
            return download.expected or 0

    def _clean_up(self, urls: Iterable[str], context: DriverContext | None) -> None:
        """Delete data after a failure; further failures are logged only."""
        for url in urls:
            try:
                self._delete(url, context)
            except contract.NotFound:
                continue
            except contract.Error as error:
                LOG.warning('store %s: partial data remains: %s', self.name, error)

    @contextlib.contextmanager
    def _acting(self, ctx: contract.Context | None, *,
                long_running: bool = False) -> Iterator[DriverContext | None]:
        """Yield the context for the driver: of the caller, or with a credential."""
        credential = self._source.open(ctx, long_running=long_running) if self._source else None
        try:
            yield driver_context(ctx, credential, self._source)
        except contract.Error as error:
            if credential and errors.is_token_rejected(error.__cause__):
                credential.invalidate()
            raise
        finally:
            if credential:
                credential.close()

    def _check_complete(self, url: str) -> None:
        """
        :raises NotFound: this process is writing the data.
        """
        if not self._locks.isdisjoint(url.split('/')):
            raise store_rules.no_data()

    # locations

    def _location(self, url: str) -> Any:
        """Return the library's location object.

        :raises Invalid: the URL is hostile or not one of this store's.
        """
        if (url.partition('://')[0] in self.SCHEMES and location.is_acceptable(url)
                and (location.may_lack_prefix(url) or self.owns(url))):
            try:
                return self._factory.location(url)
            except Exception:
                LOG.debug('store %s: the driver does not accept a location', self.name)
        raise store_rules.foreign_url()

    def _expected_urls(self, key: str) -> Sequence[str]:
        """Return the URLs that data under ``key`` may have, as far as they are known."""
        if 'cinder' in self.SCHEMES:    # the backend chooses the URL
            return ()
        if self._prefixes is None:
            self._driver()
        if self._url_pattern:
            return (self._url_pattern.replace('{key}', key),)
        return tuple(f'{scheme}://{start}{key}' for scheme, start in self._prefixes or ())

    def _has_directories(self) -> bool:
        """Return whether all directories of a driver for files exist.

        Without its directory, every file is missing, but not deleted.
        """
        return all(os.path.isdir(path) for scheme, path in self._prefixes or ()
                   if scheme == 'file')

    def _has_secret(self, url: str) -> bool:
        return location.has_secret(url, self._factory.secrets)

    # errors

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except contract.Error:
            raise
        except Exception as error:
            raise self._translate_error(error) from error

    def _translate_error(self, error: Exception) -> contract.Error:
        """Return an error of the contract; log the details of serious ones."""
        translated = errors.translate_error(error)
        if isinstance(translated, contract.NotFound) and not self._has_directories():
            LOG.error('store %s: a directory of the driver does not exist', self.name)
            return contract.Unavailable('A directory of the store does not exist.')
        if not isinstance(error, contract.Error) and type(translated) in LOGGED_ERRORS:
            errors.log_error(self.name, error, self._factory.secrets)
        return translated
