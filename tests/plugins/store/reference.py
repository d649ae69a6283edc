"""Drivers of glance_store, for tests that compare them with the drivers of this service."""

import importlib.util
import io
import itertools
import pathlib
import sys
import sysconfig

from glance_store import location
from oslo_config import cfg
from stevedore import DriverManager

_NUMBERS = itertools.count(1)
#: directory of the bindings of Ceph in Debian; they are not on PyPI
_SYSTEM = pathlib.Path('/usr/lib/python3/dist-packages')


def reference(driver, **options):
    """Return a store of the real library, configured as in Glance with ``enabled_backends``.

    :param driver: name of its entry point, such as ``file``.
    :param options: of the driver; the others have their defaults.
    :raises glance_store.exceptions.BadStoreConfiguration: the options are invalid.
    """
    if driver == 'rbd':
        _bind_ceph()
    name = f'reference{next(_NUMBERS)}'
    driver_class = DriverManager('glance_store.drivers', driver, invoke_on_load=False).driver
    conf = cfg.ConfigOpts()
    conf([], project='reference', default_config_files=[], default_config_dirs=[])
    conf.register_opt(cfg.DictOpt('enabled_backends', default={name: driver}))
    conf.register_opt(cfg.StrOpt('default_backend', default=name), group='glance_store')
    for group in name, 'backend_defaults':
        conf.register_opts(driver_class.OPTIONS, group=group)
    unknown = options.keys() - {opt.dest for opt in driver_class.OPTIONS}
    if unknown:
        raise TypeError(f'{driver} has no option {", ".join(sorted(unknown))}')
    for opt, group in itertools.product(driver_class.OPTIONS, (name, 'backend_defaults')):
        # in both sections, since parts of the library look into one of them only
        conf.set_override(opt.dest, options.get(opt.dest, opt.default), group=group)
    return Reference(driver_class, conf, name)


class Reference:
    """A store that raises the exceptions of glance_store.

    As in Glance, each operation has a driver of its own, unless it is reusable.

    :ivar metadata: of the last write.
    :param context: passed to the driver with every call.
    """

    def __init__(self, driver_class, conf, name, context=None):
        self.metadata = None
        self.context = context
        self._make = lambda: _configured(driver_class(conf, name))
        self._conf = conf
        self._name = name
        self._shared = None
        driver = self._make()
        if driver.is_capable(64):   # DRIVER_REUSABLE
            self._shared = driver

    def write(self, key, data, size=None):
        """Write data; return the URL.

        :param size: announced to the driver; None for unknown.
        """
        url, written, _, _, self.metadata = self._driver().add(
            key, io.BytesIO(data), size or 0, 'sha512', context=self.context)
        assert written == len(data)
        return url

    def read(self, url, **part):
        """Return all bytes, or the range of ``offset=`` and ``chunk_size=`` (a length)."""
        driver = self._driver()
        chunks, _ = driver.get(self._location(driver, url), context=self.context, **part)
        return b''.join(chunks)

    def size(self, url):
        driver = self._driver()
        return driver.get_size(self._location(driver, url), context=self.context)

    def delete(self, url):
        driver = self._driver()
        driver.delete(self._location(driver, url), context=self.context)

    @property
    def url_prefix(self):
        """The prefix of all URLs of the driver."""
        return self._driver().url_prefix

    def _driver(self):
        return self._shared or self._make()

    def _location(self, driver, url):
        return location.Location(url.partition(':')[0], driver.get_store_location_class(),
                                 self._conf, uri=url, backend=self._name)


def _configured(driver):
    driver.configure(re_raise_bsc=True)
    return driver


def _bind_ceph():
    """Let ``import rados, rbd`` find the modules of the system, and nothing else of it."""
    suffix = sysconfig.get_config_var('EXT_SUFFIX')
    for name in 'rados', 'rbd':     # rbd needs rados
        path = _SYSTEM / f'{name}{suffix}'
        if name in sys.modules or importlib.util.find_spec(name) or not path.exists():
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
