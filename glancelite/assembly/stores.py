"""From the configuration to the stores: part of the assembly."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from oslo_config import cfg

from glancelite import config, contract, loader
from glancelite.contract import Misconfigured
from glancelite.services.stores import Stores
from glancelite.services.stores.backend import Backend

LOG = logging.getLogger(__name__)

Load = Callable[..., Any]


def build(conf: cfg.ConfigOpts, load: Load) -> Stores:
    """The stores that the operator means.

    A store that cannot be set up is left aside, unless it is the default one; a driver that
    is not installed, or does not keep the contract, stops the start in any case.

    :param load: as ``loader.load`` with the configuration and the host given.
    :raises Misconfigured: with what would have been right.
    """
    if conf.enabled_backends:
        return _named(conf, load)
    return _by_driver(conf, load)


def _named(conf: cfg.ConfigOpts, load: Load) -> Stores:
    named = conf.enabled_backends
    default = conf.glance_store.default_backend
    if default not in named:
        raise Misconfigured('[glance_store] default_backend must be one of the '
                            f'enabled_backends: {", ".join(named)}')
    backends = []
    for name, driver in named.items():
        options = loader.read_options(conf, config.STORE, name,
                                      fallback=[loader.BACKEND_DEFAULTS])
        backends.append(_backend(load, name, driver, instance=name, weight=options.weight,
                                 description=options.store_description,
                                 read_only=options.read_only))
    return _furnished(conf, load, backends, default, reserved=[
        _reserved(conf, load, name) for name in config.RESERVED_STORES
        if name in conf.list_all_sections()])


def _reserved(conf: cfg.ConfigOpts, load: Load, name: str) -> Backend:
    """A store of the service's own; plain files if the operator does not say."""
    driver = str(loader.read_options(conf, config.RESERVED_STORE, name).driver)
    kind = _kind(driver)
    given = kind.reserved_defaults(name, loader.read_options(conf, kind.OPTS, name))
    return _backend(load, name, driver, instance=name, given=given)


def _by_driver(conf: cfg.ConfigOpts, load: Load) -> Stores:
    """The way of configurations without ``enabled_backends``: all options in [glance_store]."""
    installed = _installed()

    def driver_of(word: str) -> str:
        """Glance names a driver by any of its schemes."""
        return next((name for name, kind in installed.items() if word in kind.SCHEMES), word)

    default = driver_of(conf.glance_store.default_store)
    drivers = [default]
    for name in conf.glance_store.stores:
        driver = driver_of(name)
        if driver not in installed:
            LOG.warning('[glance_store] stores: no store plugin is called %r', driver)
        elif driver not in drivers:
            drivers.append(driver)
    LOG.warning('[DEFAULT] enabled_backends is not set; the stores are %s', ', '.join(drivers))
    return _furnished(conf, load, [_backend(load, driver, driver, section='glance_store')
                                   for driver in drivers], default, multi=False)


def _backend(load: Load, name: str, driver: str, *, weight: int = 0,
             description: str | None = None, read_only: bool = False, **where: Any) -> Backend:
    return Backend(name, _kind(driver), lambda: load('store', driver, **where), driver_name=driver,
                   weight=weight, description=description, read_only=read_only)


@functools.cache
def _installed() -> Mapping[str, type[contract.Store]]:
    """Every usable driver that is installed, by name."""
    return {plugin.name: cast(type[contract.Store], plugin.kind)
            for plugin in loader.installed('store').values()
            if plugin.kind is not None and not loader.violation('store', plugin.kind)}


def _by_scheme() -> Mapping[str, type[contract.Store]]:
    return {scheme: kind for kind in _installed().values() for scheme in kind.SCHEMES}


def _kind(driver: str) -> type[contract.Store]:
    return cast(type[contract.Store], loader.find('store', driver).kind)


def _furnished(conf: cfg.ConfigOpts, load: Load, backends: list[Backend], default: str,
               **more: Any) -> Stores:
    claims: dict[str, str] = {}

    def claim(name: str, found: Collection[str]) -> None:
        for each in found:
            other = claims.setdefault(each, name)
            if other != name:
                raise Misconfigured(f'the stores {other} and {name} must not share {each}')

    for backend in (*backends, *more.get('reserved', ())):
        try:
            found = backend.driver.exclusive_resources()
        except (Misconfigured, contract.Error):
            if backend.name == default:
                raise
            # it is in the log, and the others serve; what it claims is looked at when it can be
            backend.approve = functools.partial(
                lambda name, driver: claim(name, driver.exclusive_resources()), backend.name)
            continue
        claim(backend.name, found)
        if backend.name == default and not backend.takes_data:
            raise Misconfigured(f'[glance_store] default_backend: the store {default} '
                                'is read-only')
    return Stores(backends, default, strategy=load('location', _strategy(conf)),
                  installed=_by_scheme, **more)


def _strategy(conf: cfg.ConfigOpts) -> str:
    """``[layers] location``, or what an old file says in Glance's words."""
    old = conf.location_strategy
    if old is None:
        return str(conf.layers.location)
    if old not in config.LOCATION_STRATEGIES:
        raise Misconfigured(f'[DEFAULT] location_strategy = {old} is unknown; known: '
                            f'{", ".join(config.LOCATION_STRATEGIES)}')
    chosen = config.LOCATION_STRATEGIES[old]
    LOG.warning('[DEFAULT] location_strategy is retired; %s means [layers] location = %s',
                old, chosen)
    return chosen
