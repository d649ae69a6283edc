"""The plugin that the conformance command proves, and the suite made to its measure."""

from __future__ import annotations

import contextlib
import dataclasses
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

#: bytes that a sample must have, so that every part that is asked for exists
SAMPLE = 192 << 10


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What the command line says; see ``glancelite.testing.plugin``."""

    layer: str | None = None
    driver: str | None = None
    config: str | None = None
    config_broken: str | None = None
    broken_url: str | None = None
    sample_url: str | None = None
    sample_file: str | None = None
    missing_url: str | None = None
    leftovers: str | None = None
    backend: str | None = None
    report: str | None = None
    large: bool = False
    pause: float = 3
    patience: float = 30

    @property
    def sample(self) -> tuple[str | None, str | None, str | None]:
        return self.sample_url, self.sample_file, self.missing_url


class Subject:
    """The plugin to be proved, as its operator has configured it.

    :raises Misconfigured: it is not installed, or cannot be built; or what is wished for
        cannot be done with it.
    """

    def __init__(self, wishes: Wishes):
        if wishes.layer not in contracts.SUITES:
            raise contract.Misconfigured(f'there is no suite for a layer {wishes.layer!r}; '
                                         f'there are: {", ".join(sorted(contracts.SUITES))}')
        if not wishes.driver:
            raise contract.Misconfigured('say with --driver which plugin is to be proved')
        for config in (wishes.config, wishes.config_broken):
            if config and not pathlib.Path(config).is_file():
                raise contract.Misconfigured(f'there is no configuration file {config}')
        self.wishes = wishes
        self.layer = wishes.layer
        self.installed = loader.find(self.layer, wishes.driver)
        with self.living() as plugin:
            self.capabilities = plugin.CAPABILITIES     # its options may leave it fewer
            empty = not isinstance(plugin, contract.Database) or is_empty(plugin.images)
            self.backend = wishes.backend or _health(plugin)
        if not empty:
            raise contract.Misconfigured('there are images in this database; the suite removes '
                                         'all that it finds, so give it a database of its own')
        self.two = self.layer == 'store' and len(self._names(self._read(wishes.config, ''))) > 1
        self._check()

    def _check(self) -> None:
        wishes = self.wishes
        if self.layer != 'store':
            given = [name for name in ('config_broken', 'broken_url', 'leftovers', 'large')
                     if getattr(wishes, name)]
            if given or any(wishes.sample):
                raise contract.Misconfigured('samples, leftovers, broken configurations and large '
                                             'images are for the layer store')
            return
        if self.writes:
            if any(wishes.sample):
                raise contract.Misconfigured(f'the store {wishes.driver!r} takes data, so the '
                                             'suite makes its samples itself')
        elif not all(wishes.sample):
            raise contract.Misconfigured(
                f'the store {wishes.driver!r} is read-only; say with --sample-url, --sample-file '
                'and --missing-url what is there for the suite to read, and what is not')
        elif wishes.large or wishes.leftovers:
            raise contract.Misconfigured(f'the store {wishes.driver!r} is read-only, so there is '
                                         'nothing to see with --large or --leftovers')
        elif (not pathlib.Path(wishes.sample_file or '').is_file()
              or pathlib.Path(wishes.sample_file or '').stat().st_size <= SAMPLE):
            raise contract.Misconfigured(f'--sample-file must be a file with the data at the '
                                         f'--sample-url, and have more than {SAMPLE} bytes')
        if wishes.config_broken:
            with self.living(broken=True):
                pass

    @property
    def writes(self) -> bool:
        return 'write' in self.capabilities

    @property
    def not_shown(self) -> dict[str, str]:
        """What this run leaves out -> what would have to be given for it."""
        if self.layer != 'store':
            return {}
        possible = [('breaking backends', '--config-broken FILE', self.wishes.config_broken)]
        if self.writes:
            possible += [
                ('leftovers', '--leftovers COMMAND', self.wishes.leftovers),
                ('more than 4 GiB', '--large', self.wishes.large),
                ('two stores', 'a second store of this driver in enabled_backends', self.two)]
        return {what: how for what, how, given in possible if not given}

    @contextlib.contextmanager
    def living(self, folder: str | None = None, host: FakeHost | None = None, *,
               which: int = 0, broken: bool = False) -> Iterator[Any]:
        """A new instance, on a new reading of the file.

        :param folder: what ``$conformance_dir`` is; a new one if None.
        :param host: its host, which also gets the configuration; a new one if None.
        :param which: of several stores of the driver.
        """
        wishes = self.wishes
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='conformance-'))
            conf = self._read(wishes.config_broken if broken else wishes.config, folder)
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
        """The stores that the file gives to this driver; none if it speaks of no stores.

        :raises Misconfigured: all are another driver's. This one would be proved on whatever its
            defaults lead to, which may be the real images of this host.
        """
        if self.layer != 'store':
            return []
        found = [name for name, driver in conf.enabled_backends.items()
                 if driver == self.installed.name]
        if conf.enabled_backends and not found:
            raise contract.Misconfigured(
                f'{conf.default_config_files[0]}: enabled_backends has no store of the driver '
                f'{self.installed.name!r}, which was to be proved')
        return found

    def suite(self) -> type:
        """A test class for exactly this plugin."""
        bases: list[type] = [contracts.SUITES[self.layer]]
        names = {'__doc__': f'The {self.layer} {self.installed.name}.', '__module__': __name__,
                 **self._fixtures()}
        if self.layer == 'store':
            if not self.writes:
                bases = [contracts.ReadingContract]
                names |= self._samples()
            if self.two:
                bases.append(contracts.TwoStoresContract)
            if self.wishes.large:
                bases.append(contracts.LargeImageContract)
            if self.wishes.config_broken:
                bases.append(contracts.BrokenBackendContract)
            if self.wishes.leftovers:
                names['leftovers'] = lambda _, store: self._leftovers()
        return type(f'Test{self.layer.capitalize()}', tuple(bases), names)

    def _fixtures(self) -> dict[str, Any]:
        wishes = self.wishes

        def plugin(_, host, tmp_path):
            with self.living(str(tmp_path), host) as living:
                if wishes.leftovers:
                    _health(living)     # what a store makes when it is first asked may stay
                    for which in range(1, 1 + self.two):
                        with self.living(str(tmp_path), which=which) as second:
                            _health(second)
                    self._before = tmp_path, self._held(tmp_path)
                yield living
                if isinstance(living, contract.Database):
                    clear(living.images)    # the next test may get the same one

        def other(_, tmp_path):
            with self.living(str(tmp_path), which=1) as living:
                yield living

        def broken(_, tmp_path):
            with self.living(str(tmp_path), broken=True) as living:
                yield living

        def broken_url(_, broken, sample):
            url = wishes.broken_url or sample[0]
            if not broken.owns(url):
                pytest.fail(f'the store of --config-broken does not own {url}, where the living '
                            'one has its data; say with --broken-url what it would read',
                            pytrace=False)
            return url

        fixtures: dict[str, Any] = {self.layer: plugin}
        if self.layer == 'store':
            fixtures |= {'other': other, 'broken': broken, 'broken_url': broken_url,
                         'pause': lambda _: wishes.pause, 'patience': lambda _: wishes.patience}
        return {name: pytest.fixture(name=name)(make) for name, make in fixtures.items()}

    def _samples(self) -> dict[str, Any]:
        wishes = self.wishes
        data = pathlib.Path(wishes.sample_file or '').read_bytes()
        return {'sample': pytest.fixture(name='sample')(lambda _: (wishes.sample_url, data)),
                'missing': pytest.fixture(name='missing')(lambda _: wishes.missing_url)}

    def _leftovers(self) -> list[str]:
        folder, before = self._before
        return sorted(self._held(folder) - before)

    def _held(self, folder: object) -> set[str]:
        """The lines that ``--leftovers`` prints."""
        ran = subprocess.run(self.wishes.leftovers or '', shell=True, text=True,
                             capture_output=True,
                             env={**os.environ, 'CONFORMANCE_DIR': str(folder)})
        if ran.returncode:
            pytest.fail(f'--leftovers ended with {ran.returncode}: {ran.stderr}', pytrace=False)
        return set(ran.stdout.splitlines())


def _health(plugin: contract.Plugin) -> str:
    """What the backend says of itself; the suite finds out what is wrong if it does not."""
    try:
        return plugin.health()
    except Exception as error:
        return f'{type(error).__name__}: {error}'
