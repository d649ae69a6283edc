"""Creates a glance_store driver and the configuration that it reads."""

from __future__ import annotations

import contextlib
from importlib import metadata
from typing import Any

from oslo_config import cfg
from stevedore import DriverManager
from stevedore.exception import NoMatches

from glancelite import contract

NAMESPACE = 'glance_store.drivers'
DEFAULTS = 'backend_defaults'
#: options of every store of this service, which are not passed to the driver
STORE_OPTIONS = ('store_description', 'weight', 'read_only', 'glance_store_driver', 'credential')


class DriverFactory:
    """Creates drivers, which see their own options and nothing else of the configuration.

    :ivar options: the values of the driver's options.
    :ivar schemes: of its URLs; empty until a driver was created.
    :ivar secrets: values of its secret options, as far as they can be recognised in a text.
    :param driver: name of the entry point.
    :param section: of its options; missing values are read from ``[backend_defaults]``.
    :raises Misconfigured: there is no such driver, or a required option is missing.
    """

    def __init__(self, driver: str, section: str, conf: cfg.ConfigOpts):
        self.driver = driver
        self.section = section
        self.schemes: tuple[str, ...] = ()
        self._location_class: Any = None
        try:
            manager: Any = DriverManager(NAMESPACE, driver, invoke_on_load=False)
        except NoMatches:
            raise contract.Misconfigured(
                f'[{section}] glance_store_driver: no driver is called {driver!r}; installed: '
                f'{", ".join(_installed()) or "none"}') from None
        self._driver_class = manager.driver
        opts = [opt for opt in self._driver_class.OPTIONS or () if opt.dest not in STORE_OPTIONS]
        self.options = _read_options(conf, section, opts)
        self.secrets = {str(self.options[opt.dest]) for opt in opts
                        if opt.secret and len(str(self.options[opt.dest] or '')) > 5}
        self._conf = _driver_configuration(conf, driver, section, opts, self.options)
        _configure_libraries(conf)

    @property
    def module(self) -> str:
        """The module of the driver."""
        return self._driver_class.__module__

    def create(self) -> Any:
        """Create a driver that is not configured yet."""
        driver = self._driver_class(self._conf, backend=self.section)
        if not self.schemes:
            self.schemes = tuple(driver.get_schemes())
            self._location_class = driver.get_store_location_class()
        return driver

    def location(self, url: str) -> Any:
        """Return the library's object for a URL; a driver was created before.

        :raises Exception: the driver does not accept the URL.
        """
        from glance_store import location
        return location.Location(url.partition('://')[0], self._location_class, self._conf,
                                 uri=url, backend=self.section)


def _installed() -> list[str]:
    # without the drivers' old names and the library's driver for tests
    return sorted({entry.name for entry in metadata.entry_points(group=NAMESPACE)
                   if '.' not in entry.name and entry.name != 'no_conf'})


def _read_options(conf: cfg.ConfigOpts, section: str, opts: list[cfg.Opt]) -> dict[str, Any]:
    values = {}
    for opt in opts:
        conf.register_opt(opt, group=section)
        values[opt.dest] = conf[section][opt.dest]
        origin = conf.get_location(opt.dest, section)
        if origin is None or not origin.location.is_user_controlled:
            # another driver may have an option of this name: the value is for both
            with contextlib.suppress(cfg.DuplicateOptError):
                conf.register_opt(opt, group=DEFAULTS)
            origin = conf.get_location(opt.dest, DEFAULTS)
            if origin is not None and origin.location.is_user_controlled:
                values[opt.dest] = conf[DEFAULTS][opt.dest]
        if opt.required and values[opt.dest] is None:
            raise contract.Misconfigured(f'[{section}] {opt.name} must be set: {opt.help}')
    return values


def _driver_configuration(conf: cfg.ConfigOpts, driver: str, section: str, opts: list[cfg.Opt],
                          values: dict[str, Any]) -> cfg.ConfigOpts:
    """Return a configuration with this store only, and all values in its own section.

    Parts of the library do not look into ``[backend_defaults]``.
    """
    private = cfg.ConfigOpts()
    private([], project='glance', default_config_files=[], default_config_dirs=[])
    private.register_opt(cfg.DictOpt('enabled_backends', default={section: driver}))
    private.register_opt(cfg.StrOpt('default_backend', default=section), group='glance_store')
    for group in section, DEFAULTS:
        private.register_opts(opts, group=group)
        for name, value in values.items():
            private.set_override(name, value, group=group)
    # relative to the operator's files
    private.find_file = conf.find_file  # type: ignore[method-assign]
    return private


def _configure_libraries(conf: cfg.ConfigOpts) -> None:
    """Let libraries of drivers, such as os-brick, read their own sections.

    They read them from the global ``oslo_config.cfg.CONF`` only.
    """
    if 'config_file' not in cfg.CONF:   # not initialised yet
        cfg.CONF([], project='glance', default_config_files=list(conf.config_file or ()),
                 default_config_dirs=conf.config_dirs or list(conf.config_dir or ()))
