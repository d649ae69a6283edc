"""Builds the stores from the configuration."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from oslo_config import cfg

from glancelite import conformity, contract, loader
from glancelite.assembly import options as store_options
from glancelite.contract import Misconfigured
from glancelite.services import border
from glancelite.services.stores import ConfiguredStore, Stores

LOG = logging.getLogger(__name__)

Load = Callable[..., Any]
Unload = Callable[[contract.Plugin], None]


def build(conf: cfg.ConfigOpts, load: Load, unload: Unload) -> Stores:
    """Build the configured stores.

    The service starts without a store that cannot be built, unless it is the default one.
    It does not start if a driver is not installed or does not conform to the contract.

    :param load: ``loader.load`` with the configuration and the host filled in.
    :param unload: closes a plugin that ``load`` has returned.
    :raises Misconfigured: the configuration is invalid.
    """
    if conf.enabled_backends:
        return _named(conf, load, _Exclusive(unload))
    return _by_driver(conf, load, _Exclusive(unload))


def _named(conf: cfg.ConfigOpts, load: Load, exclusive: _Exclusive) -> Stores:
    named = conf.enabled_backends
    default = conf.glance_store.default_backend
    if default is None:
        raise Misconfigured('[glance_store] default_backend is not set; it must be one of '
                            f'enabled_backends: {", ".join(named)}')
    if default not in named:
        raise Misconfigured(f'[glance_store] default_backend = {default} is not one of '
                            f'enabled_backends: {", ".join(named)}')
    stores = []
    for name, driver in named.items():
        options = loader.read_options(conf, store_options.STORE, name,
                                      fallback=[loader.BACKEND_DEFAULTS])
        stores.append(_store(load, name, driver, exclusive, instance=name,
                             weight=options.weight, description=options.store_description,
                             read_only=options.read_only))
    reserved = [_reserved(conf, load, name, exclusive) for name in store_options.RESERVED_STORES
                if name in conf.list_all_sections()]
    return _stores(conf, load, stores, default, reserved=reserved)


def _reserved(conf: cfg.ConfigOpts, load: Load, name: str,
              exclusive: _Exclusive) -> ConfiguredStore:
    """Build a store of the service's own, such as staging."""
    driver = str(loader.read_options(conf, store_options.RESERVED_STORE, name).driver)
    kind = _kind(driver)

    def load_with_defaults(*args: str, **where: Any) -> Any:
        options = loader.read_options(conf, kind.OPTS, name)
        return load(*args, given=kind.reserved_defaults(name, options), **where)

    return _store(load_with_defaults, name, driver, exclusive, instance=name)


def notices(conf: cfg.ConfigOpts) -> Iterator[str]:
    """What an operator should know about options of the stores that are deprecated."""
    if not conf.enabled_backends:
        drivers, unknown = _drivers(conf)
        for name in unknown:
            yield f'[glance_store] stores: no store plugin is called {name!r}'
        yield f'[DEFAULT] enabled_backends is not set; the stores are {", ".join(drivers)}'
    if conf.location_strategy is not None:
        yield (f'[DEFAULT] location_strategy is deprecated; set [layers] location = '
               f'{_strategy(conf)} instead of {conf.location_strategy}')


def _by_driver(conf: cfg.ConfigOpts, load: Load, exclusive: _Exclusive) -> Stores:
    """Build the stores of a configuration without ``enabled_backends``, from [glance_store]."""
    drivers, _ = _drivers(conf)
    stores = [_store(load, driver, driver, exclusive, section='glance_store')
              for driver in drivers]
    return _stores(conf, load, stores, drivers[0], multi=False)


def _drivers(conf: cfg.ConfigOpts) -> tuple[list[str], list[str]]:
    """Return the drivers in [glance_store], the default one first, and names of no driver."""
    installed = loader.installed('store')

    def driver_of(name: str) -> str:
        """Return the driver with this name; Glance also uses the schemes of a driver."""
        if name in installed:
            return name
        return next((driver for driver, kind in _usable().items() if name in kind.SCHEMES), name)

    default = driver_of(conf.glance_store.default_store)
    listed = [driver_of(name) for name in conf.glance_store.stores]
    drivers = dict.fromkeys([default, *(name for name in listed if name in installed)])
    return list(drivers), [name for name in listed if name not in installed]


class _SharedResource(Misconfigured):
    """Two stores use a resource that only one may use."""


class _Exclusive:
    """The resources that stores use exclusively.

    :param unload: closes a driver that is refused.
    """

    def __init__(self, unload: Unload) -> None:
        self._users: dict[str, str] = {}
        self._unload = unload

    def reserve(self, store: str, driver: contract.Store) -> None:
        """Reserve the resources of a new driver; the driver is closed if this fails.

        :raises _SharedResource: another store uses a resource of this driver.
        :raises Misconfigured: the driver does not name its resources.
        """
        try:
            self._reserve(store, driver)
        except BaseException:
            self._unload(driver)
            raise

    def _reserve(self, store: str, driver: contract.Store) -> None:
        try:
            with border.Calling(driver):
                resources = driver.exclusive_resources()
            if isinstance(resources, str) or not all(isinstance(one, str) for one in resources):
                raise border.wrong(driver, f'returned {resources!r:.80} from '
                                           'exclusive_resources, which returns a set of texts')
        except (border.PluginFailed, TypeError) as error:
            raise Misconfigured(str(error)) from error
        for resource in resources:
            other = self._users.setdefault(resource, store)
            if other != store:
                raise _SharedResource(
                    f'the stores {other} and {store} must not share {resource}')


def _store(load: Load, name: str, driver: str, exclusive: _Exclusive, *, weight: int = 0,
           description: str | None = None, read_only: bool = False,
           **where: Any) -> ConfiguredStore:
    return ConfiguredStore(
        name, _kind(driver), lambda: load('store', driver, **where), driver_name=driver,
        weight=weight, description=description, read_only=read_only,
        on_built=functools.partial(exclusive.reserve, name))


@functools.cache
def _usable() -> Mapping[str, type[contract.Store]]:
    """Every installed driver that conforms to the contract, by name."""
    return {plugin.name: cast(type[contract.Store], plugin.kind)
            for plugin in loader.installed('store').values()
            if plugin.kind is not None and not conformity.violation('store', plugin.kind)}


@functools.cache
def _by_scheme() -> Mapping[str, type[contract.Store]]:
    return {scheme: kind for kind in _usable().values() for scheme in kind.SCHEMES}


def _kind(driver: str) -> type[contract.Store]:
    return cast(type[contract.Store], loader.find('store', driver).kind)


def _stores(conf: cfg.ConfigOpts, load: Load, stores: list[ConfiguredStore], default: str,
            *, reserved: Sequence[ConfiguredStore] = (), multi: bool = True) -> Stores:
    """Build the drivers now, as far as possible."""
    for store in (*stores, *reserved):
        try:
            store.driver  # noqa: B018  built when it is read
        except _SharedResource:
            raise
        except (Misconfigured, contract.Error) as error:
            if store.name == default:
                raise
            # the other stores work, and it is tried again later
            text = str(error)
            if text.startswith(f'store {store.name}'):
                text = text.partition(': ')[2]
            LOG.error('store %s cannot be used: %s', store.name, text)
            continue
        if store.name == default and not store.is_writable:
            LOG.warning('the default store %s is read-only: uploads that name no other store '
                        'are refused', default)
    return Stores(stores, default, strategy=load('location', _strategy(conf)),
                  installed=_by_scheme, reserved=reserved, multi=multi)


def _strategy(conf: cfg.ConfigOpts) -> str:
    """Return ``[layers] location``, or its equivalent of Glance's ``location_strategy``."""
    deprecated = conf.location_strategy
    if deprecated is None:
        return str(conf.layers.location)
    if deprecated not in store_options.LOCATION_STRATEGIES:
        raise Misconfigured(f'[DEFAULT] location_strategy = {deprecated} is unknown; known: '
                            f'{", ".join(store_options.LOCATION_STRATEGIES)}')
    return store_options.LOCATION_STRATEGIES[deprecated]
