"""A driver of glance_store, found by its entry point, and the configuration it gets to see."""

from __future__ import annotations

import contextlib
from importlib import metadata
from typing import Any

from oslo_config import cfg
from stevedore import DriverManager
from stevedore.exception import NoMatches

from glancelite import contract

GROUP = 'glance_store.drivers'
DEFAULTS = 'backend_defaults'
#: options that every store has, whose values are none of the driver's business
OURS = ('store_description', 'weight', 'read_only', 'glance_store_driver', 'credential')


class Kind:
    """Makes drivers that see their own options and nothing else of our configuration.

    :ivar options: the values of the driver's own options.
    :ivar schemes: what its URLs begin with, when one has been made.
    :ivar secrets: those that must not be shown, as far as they can be recognised.
    :param driver: name of the entry point.
    :param section: where its options are; ``[backend_defaults]`` has what it lacks.
    :raises Misconfigured: there is no such driver, or it lacks an option.
    """

    def __init__(self, driver: str, section: str, conf: cfg.ConfigOpts):
        self.driver = driver
        self.section = section
        self.schemes: tuple[str, ...] = ()
        self._location: Any = None
        try:
            self._make = DriverManager(GROUP, driver, invoke_on_load=False).driver
        except NoMatches:
            raise contract.Misconfigured(
                f'[{section}] glance_store_driver: no driver is called {driver!r}; installed: '
                f'{", ".join(_installed()) or "none"}') from None
        opts = [opt for opt in self._make.OPTIONS or () if opt.dest not in OURS]
        self.options = _values(conf, section, opts)
        self.secrets = {str(self.options[opt.dest]) for opt in opts
                        if opt.secret and len(str(self.options[opt.dest] or '')) > 5}
        self._conf = _private(conf, driver, section, opts, self.options)
        _open_sections_of_libraries(conf)

    @property
    def module(self) -> str:
        """Where the driver's code is."""
        return self._make.__module__

    def make(self) -> Any:
        """A new driver; it has not been configured yet."""
        driver = self._make(self._conf, backend=self.section)
        if not self.schemes:
            self.schemes = tuple(driver.get_schemes())
            self._location = driver.get_store_location_class()
        return driver

    def location(self, url: str) -> Any:
        """What a driver wants instead of a URL; one has been made before.

        :raises Exception: the URL does not suit it.
        """
        from glance_store import location
        return location.Location(url.partition('://')[0], self._location, self._conf,
                                 uri=url, backend=self.section)


def _installed() -> list[str]:
    # the library lists its drivers by their old names too, and one for its tests
    return sorted({entry.name for entry in metadata.entry_points(group=GROUP)
                   if '.' not in entry.name and entry.name != 'no_conf'})


def _values(conf: cfg.ConfigOpts, section: str, opts: list[cfg.Opt]) -> dict[str, Any]:
    values = {}
    for opt in opts:
        conf.register_opt(opt, group=section)
        values[opt.dest] = conf[section][opt.dest]
        where = conf.get_location(opt.dest, section)
        if where is None or not where.location.is_user_controlled:
            # another driver may have an option of this name: what is said is for both
            with contextlib.suppress(cfg.DuplicateOptError):
                conf.register_opt(opt, group=DEFAULTS)
            where = conf.get_location(opt.dest, DEFAULTS)
            if where is not None and where.location.is_user_controlled:
                values[opt.dest] = conf[DEFAULTS][opt.dest]
        if opt.required and values[opt.dest] is None:
            raise contract.Misconfigured(f'[{section}] {opt.name} must be set: {opt.help}')
    return values


def _private(conf: cfg.ConfigOpts, driver: str, section: str, opts: list[cfg.Opt],
             values: dict[str, Any]) -> cfg.ConfigOpts:
    """As if there were one store, with everything said in its own section.

    Parts of the library forget to look into ``[backend_defaults]``.
    """
    private = cfg.ConfigOpts()
    private([], project='glance', default_config_files=[], default_config_dirs=[])
    private.register_opt(cfg.DictOpt('enabled_backends', default={section: driver}))
    private.register_opt(cfg.StrOpt('default_backend', default=section), group='glance_store')
    for group in section, DEFAULTS:
        private.register_opts(opts, group=group)
        for name, value in values.items():
            private.set_override(name, value, group=group)
    private.find_file = conf.find_file      # beside the operator's files, not beside none
    return private


def _open_sections_of_libraries(conf: cfg.ConfigOpts) -> None:
    """Let libraries of drivers, such as os-brick, find the sections of their own.

    They read them from ``oslo_config.cfg.CONF`` and nowhere else.
    """
    if 'config_file' not in cfg.CONF:   # nobody has opened it
        cfg.CONF([], project='glance', default_config_files=list(conf.config_file or ()),
                 default_config_dirs=conf.config_dirs or list(conf.config_dir or ()))
