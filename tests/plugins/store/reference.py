"""glance_store's own drivers, to write what ours read and to read what ours write."""

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
#: where Debian keeps the bindings of Ceph, which PyPI does not have
_SYSTEM = pathlib.Path('/usr/lib/python3/dist-packages')


def reference(driver, **options):
    """One store of the real library, configured like Glance does with ``enabled_backends``.

    :param driver: name of its entry point, such as ``file``.
    :param options: the driver's own; all others have their default.
    :raises glance_store.exceptions.BadStoreConfiguration: it cannot write like this.
    """
    if driver == 'rbd':
        _bind_ceph()
    name = f'reference{next(_NUMBERS)}'
    kind = DriverManager('glance_store.drivers', driver, invoke_on_load=False).driver
    conf = cfg.ConfigOpts()
    conf([], project='reference', default_config_files=[], default_config_dirs=[])
    conf.register_opt(cfg.DictOpt('enabled_backends', default={name: driver}))
    conf.register_opt(cfg.StrOpt('default_backend', default=name), group='glance_store')
    for group in name, 'backend_defaults':
        conf.register_opts(kind.OPTIONS, group=group)
    unknown = options.keys() - {opt.dest for opt in kind.OPTIONS}
    if unknown:
        raise TypeError(f'{driver} has no option {", ".join(sorted(unknown))}')
    for opt, group in itertools.product(kind.OPTIONS, (name, 'backend_defaults')):
        # all of them and everywhere, since parts of the library forget to look in both
        conf.set_override(opt.dest, options.get(opt.dest, opt.default), group=group)
    return Reference(kind, conf, name)


class Reference:
    """A store; failures are glance_store's exceptions.

    ``metadata`` is that of the last write; ``context`` is handed to the driver
    with every call.

    As in Glance, each operation has a driver of its own, unless the driver
    says that it can be used again.
    """

    def __init__(self, kind, conf, name, context=None):
        self.metadata = None
        self.context = context
        self._make = lambda: _configured(kind(conf, name))
        self._conf = conf
        self._name = name
        self._shared = None
        driver = self._make()
        if driver.is_capable(64):   # DRIVER_REUSABLE
            self._shared = driver

    def write(self, key, data, size=None):
        """Let the driver write; returns the URL.

        :param size: what the driver is told of the length; None for unknown.
        """
        found, written, _, _, self.metadata = self._driver().add(
            key, io.BytesIO(data), size or 0, 'sha512', context=self.context)
        assert written == len(data)
        return found

    def read(self, url, **part):
        """All bytes, or those that ``offset=`` and ``chunk_size=`` (a length) say."""
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
        """What the driver says all its URLs begin with."""
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
    """Let ``import rados, rbd`` find the system's modules, and nothing else of the system."""
    suffix = sysconfig.get_config_var('EXT_SUFFIX')
    for name in 'rados', 'rbd':     # the second needs the first
        path = _SYSTEM / f'{name}{suffix}'
        if name in sys.modules or importlib.util.find_spec(name) or not path.exists():
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
