"""The plugin that the conformance command tests, and its test class."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.testing import contracts
from glancelite.testing.contracts.database.values import clear, is_empty
from glancelite.testing.fakes import FakeHost

CONFORMANCE_DIR = cfg.StrOpt('conformance_dir', help='A directory of the present test.')
ENABLED_BACKENDS = cfg.DictOpt('enabled_backends', default={}, help='As in the service.')

#: a sample must have more bytes, so that every range in the suite exists
SAMPLE = 192 << 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of the command line; see ``glancelite.testing.plugin``."""

    layer: str | None = None
    driver: str | None = None
    config: str | None = None
    config_broken: str | None = None
    broken_url: str | None = None
    method: str | None = None
    sample_url: str | None = None
    sample_file: str | None = None
    missing_url: str | None = None
    leftovers: str | None = None
    setup: str | None = None
    credentials: str | None = None
    root_away: str | None = None
    root_back: str | None = None
    backend: str | None = None
    report: str | None = None
    large: bool = False
    pause: float = 3
    patience: float = 30

    @property
    def sample(self) -> tuple[str | None, str | None, str | None]:
        return self.sample_url, self.sample_file, self.missing_url


class Subject:
    """The plugin under test, configured by a file.

    :raises Misconfigured: it is not installed or cannot be built, or the options of the
        command do not apply to it.
    """

    def __init__(self, settings: Settings):
        if not settings.layer:
            raise contract.Misconfigured('name the layer of the plugin with --layer: '
                                         f'{", ".join(sorted(contracts.SUITES))}')
        if settings.layer not in contracts.SUITES:
            raise contract.Misconfigured(f'there is no suite for a layer {settings.layer!r}; '
                                         f'there are: {", ".join(sorted(contracts.SUITES))}')
        if not settings.driver:
            raise contract.Misconfigured('name the plugin to test with --driver')
        for config in (settings.config, settings.config_broken):
            if config and not pathlib.Path(config).is_file():
                raise contract.Misconfigured(f'there is no configuration file {config}')
        if settings.credentials and settings.layer != 'auth':
            raise contract.Misconfigured('--credentials are for the layer auth')
        self.settings = settings
        self.layer = settings.layer
        self._headers = _headers(settings.credentials) if settings.credentials else {}
        self._method = _method(settings) if settings.method else {}
        self._prepared: set[str] = set()
        self.installed = loader.find(self.layer, settings.driver)
        with self.instance() as plugin:
            self.capabilities = plugin.CAPABILITIES     # an instance may have fewer
            self.is_open = getattr(plugin, 'OPEN', False)
            self.polls = getattr(plugin, 'POLLS', False)
            empty = not isinstance(plugin, contract.Database) or is_empty(plugin)
            self.backend = settings.backend or _health(plugin)
        if not empty:
            raise contract.Misconfigured('there are images, tasks or metadata definitions in this '
                                         'database; the suite deletes all, so give it a database '
                                         'of its own')
        self.two = self.layer == 'store' and len(self._names(self._read(settings.config, ''))) > 1
        self._check()

    def _check(self) -> None:
        settings = self.settings
        if self.layer != 'store':
            given = [name for name in ('config_broken', 'broken_url', 'leftovers', 'large',
                                       'root_away', 'root_back') if getattr(settings, name)]
            if given or (any(settings.sample) and not settings.method):
                raise contract.Misconfigured('samples, leftovers, roots, broken configurations '
                                             'and large images are for the layer store')
            return
        if self.writes:
            if any(settings.sample):
                raise contract.Misconfigured(f'the store {settings.driver!r} accepts data, so the '
                                             'suite writes its samples itself')
        elif not all(settings.sample):
            raise contract.Misconfigured(
                f'the store {settings.driver!r} is read-only; name existing data with '
                '--sample-url and --sample-file, and missing data with --missing-url')
        elif settings.large or settings.leftovers or settings.root_away:
            raise contract.Misconfigured(f'the store {settings.driver!r} is read-only, so '
                                         '--large, --leftovers and --root-away do not apply')
        elif (not pathlib.Path(settings.sample_file or '').is_file()
              or pathlib.Path(settings.sample_file or '').stat().st_size <= SAMPLE):
            raise contract.Misconfigured(f'--sample-file must be a file with the data at the '
                                         f'--sample-url, and have more than {SAMPLE} bytes')
        if bool(settings.root_away) != bool(settings.root_back):
            raise contract.Misconfigured('give both --root-away and --root-back')
        if settings.config_broken:
            with self.instance(broken=True):
                pass

    @property
    def writes(self) -> bool:
        return 'write' in self.capabilities

    @property
    def not_shown(self) -> dict[str, str]:
        """Return what this run does not test -> the option that would test it."""
        if self.layer == 'auth' and not (self.is_open or self._headers):
            return {'valid credentials': '--credentials FILE'}
        if self.layer == 'importer' and not self._method:
            return {'fetching data': '--method FILE and --sample-file FILE'}
        if self.layer != 'store':
            return {}
        possible: list[tuple[str, str, object]] = [
            ('a backend that is down', '--config-broken FILE', self.settings.config_broken)]
        if self.writes:
            possible += [
                ('leftovers', '--leftovers COMMAND', self.settings.leftovers),
                ('a root that is away', '--root-away COMMAND and --root-back COMMAND',
                 self.settings.root_away),
                ('more than 4 GiB', '--large', self.settings.large),
                ('two stores', 'a second store of this driver in enabled_backends', self.two)]
        return {topic: option for topic, option, given in possible if not given}

    @contextlib.contextmanager
    def instance(self, folder: str | None = None, host: FakeHost | None = None, *,
               which: int = 0, broken: bool = False) -> Iterator[Any]:
        """Read the file and build a new instance; close it at the end.

        :param folder: the value of ``$conformance_dir``; a new directory if None.
        :param host: the host, which also gets the configuration; a new one if None.
        :param which: number of the store, if the file has several of the driver.
        """
        settings = self.settings
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='conformance-'))
            self._prepare(folder)
            conf = self._read(settings.config_broken if broken else settings.config, folder)
            names = self._names(conf)
            if host is None:
                host = stack.enter_context(contextlib.closing(FakeHost()))
            host.conf = conf
            plugin = loader.load(conf, host, self.layer, self.installed.name,
                                 names[which] if names else None)
            stack.callback(plugin.close)
            if isinstance(plugin, contract.Database):
                plugin.sync()
            yield plugin

    def _prepare(self, folder: str) -> None:
        """Run the command of ``--setup``, once for each directory.

        :raises Misconfigured: the command failed.
        """
        if not self.settings.setup or folder in self._prepared:
            return
        self._prepared.add(folder)
        ran = _shell(self.settings.setup, folder)
        if ran.returncode:
            raise contract.Misconfigured(f'--setup ended with {ran.returncode}: '
                                         f'{loader.one_line(ran.stderr)}')

    def _read(self, config: str | None, folder: str) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        conf.register_opts([CONFORMANCE_DIR, ENABLED_BACKENDS])
        try:
            conf([], project='glancelite', default_config_files=[config] if config else [],
                 default_config_dirs=[])
        except cfg.Error as error:
            raise contract.Misconfigured(f'{config}: {error}') from error
        conf.set_override('conformance_dir', folder)
        return conf

    def _names(self, conf: cfg.ConfigOpts) -> list[str]:
        """Return the names of the driver's stores; none if the file configures no stores.

        :raises Misconfigured: all stores have other drivers.  The suite would use the
            driver's defaults, which may lead to the real images of this node.
        """
        if self.layer != 'store':
            return []
        found = [name for name, driver in conf.enabled_backends.items()
                 if driver == self.installed.name]
        if conf.enabled_backends and not found:
            raise contract.Misconfigured(
                f'{conf.default_config_files[0]}: enabled_backends has no store of the driver '
                f'{self.installed.name!r}, which is to be tested')
        return found

    def suite(self) -> type:
        """Return a test class for this plugin."""
        bases: list[type] = [contracts.SUITES[self.layer]]
        names = {'__doc__': f'The {self.layer} {self.installed.name}.', '__module__': __name__,
                 **self._fixtures()}
        if self._headers:
            bases = [contracts.IdentityContract]
            names['credentials'] = pytest.fixture(name='credentials')(
                lambda _: dict(self._headers))
        if self.layer == 'executor' and not self.polls:
            bases = [contracts.SubmissionContract]
        if self._method:
            bases = [contracts.FetchContract]
            data = pathlib.Path(self.settings.sample_file or '').read_bytes()
            names['method'] = pytest.fixture(name='method')(lambda _: dict(self._method))
            names['data'] = pytest.fixture(name='data')(lambda _: data)
        if self.layer == 'store':
            if not self.writes:
                bases = [contracts.ReadingContract]
                names |= self._samples()
            if self.two:
                bases.append(contracts.TwoStoresContract)
            if self.settings.large:
                bases.append(contracts.LargeImageContract)
            if self.settings.config_broken:
                bases.append(contracts.BrokenBackendContract)
            if self.settings.root_away:
                bases.append(contracts.MissingRootContract)
                names['take_root_away'] = lambda _, store: self._command('root_away')
                names['bring_root_back'] = lambda _, store: self._command('root_back')
            if self.settings.leftovers:
                names['leftovers'] = lambda _, store: self._leftovers()
        return type(f'Test{self.layer.capitalize()}', tuple(bases), names)

    def _fixtures(self) -> dict[str, Any]:
        settings = self.settings

        def plugin(_, host, tmp_path):
            with self.instance(str(tmp_path), host) as tested:
                self._folder = tmp_path
                if settings.leftovers:
                    _health(tested)     # what a store creates on first use may stay
                    for which in range(1, 1 + self.two):
                        with self.instance(str(tmp_path), which=which) as second:
                            _health(second)
                    self._before = self._held()
                yield tested
                if isinstance(tested, contract.Database):
                    clear(tested)      # the next test may use the same database

        def other(_, tmp_path):
            with self.instance(str(tmp_path), which=1) as store:
                yield store

        def broken(_, tmp_path):
            with self.instance(str(tmp_path), broken=True) as store:
                yield store

        def broken_url(_, broken, sample):
            url = settings.broken_url or sample[0]
            if not broken.owns(url):
                pytest.fail(f'the store of --config-broken does not own {url}, the URL of the '
                            'sample; give a URL of that store with --broken-url', pytrace=False)
            return url

        def worker(_, tmp_path):
            with self.instance(str(tmp_path)) as executor:
                yield executor

        fixtures: dict[str, Any] = {self.layer: plugin}
        if self.layer == 'executor':
            fixtures['worker'] = worker
        if self.layer == 'store':
            fixtures |= {'other': other, 'broken': broken, 'broken_url': broken_url,
                         'pause': lambda _: settings.pause,
                         'patience': lambda _: settings.patience}
        return {name: pytest.fixture(name=name)(make) for name, make in fixtures.items()}

    def _samples(self) -> dict[str, Any]:
        settings = self.settings
        data = pathlib.Path(settings.sample_file or '').read_bytes()
        return {'sample': pytest.fixture(name='sample')(lambda _: (settings.sample_url, data)),
                'missing': pytest.fixture(name='missing')(lambda _: settings.missing_url)}

    def _leftovers(self) -> list[str]:
        return sorted(self._held() - self._before)

    def _held(self) -> set[str]:
        """Return the lines that the command of ``--leftovers`` prints."""
        return set(self._command('leftovers').splitlines())

    def _command(self, setting: str) -> str:
        """Run a command of the command line in the test; return its output."""
        ran = _shell(getattr(self.settings, setting), self._folder)
        if ran.returncode:
            option = setting.replace('_', '-')
            pytest.fail(f'--{option} ended with {ran.returncode}: {ran.stderr}', pytrace=False)
        return ran.stdout


def _shell(command: str, folder: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, text=True, capture_output=True,
                          env={**os.environ, 'CONFORMANCE_DIR': str(folder)})


def _headers(file: str) -> dict[str, str]:
    """Read headers, one ``Name: value`` per line, as entries of a WSGI environment.

    :raises Misconfigured: there is no such file, or no header in it.
    """
    try:
        lines = pathlib.Path(file).read_text(encoding='latin-1').splitlines()
    except OSError as error:
        raise contract.Misconfigured(f'--credentials {file}: {error.strerror}') from error
    headers = {f'HTTP_{name.strip().upper().replace("-", "_")}': value.strip()
               for name, colon, value in (line.partition(':') for line in lines) if colon}
    if not headers:
        raise contract.Misconfigured(f'--credentials {file} has no line such as '
                                     'X-Auth-Token: TOKEN')
    return headers


def _method(settings: Settings) -> dict[str, Any]:
    """Read the request for an importer.

    :raises Misconfigured: a file is missing or malformed, or the layer is another.
    """
    if settings.layer != 'importer':
        raise contract.Misconfigured('--method is for the layer importer')
    if not pathlib.Path(settings.sample_file or '').is_file():
        raise contract.Misconfigured('give a file with the data that --method fetches with '
                                     '--sample-file')
    try:
        method = json.loads(pathlib.Path(settings.method or '').read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise contract.Misconfigured(f'--method {settings.method}: {error}') from error
    if not isinstance(method, dict):
        raise contract.Misconfigured(f'--method {settings.method} must be a JSON object, such as '
                                     '{"name": "acme", "volume": "5"}')
    return method


def _health(plugin: contract.Plugin) -> str:
    """Return the health of a plugin, or its error: the suite tests it later."""
    try:
        return plugin.health()
    except Exception as error:
        return f'{type(error).__name__}: {error}'
