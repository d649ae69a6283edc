"""Proves an installed plugin without any test code.

``pytest --pyargs glancelite.testing.conformance --layer store --driver NAME --config FILE``
"""

from __future__ import annotations

import collections
import contextlib
import json
import pathlib
import tempfile
import types

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.testing.contracts import SUITES, LargeImageContract
from glancelite.testing.contracts.database_values import clear, is_empty
from glancelite.testing.fakes import FakeHost

CONFORMANCE_DIR = cfg.StrOpt('conformance_dir', help='A directory of the present test.')
ENABLED_BACKENDS = cfg.DictOpt('enabled_backends', default={}, help='As in the service.')


class Subject:
    """The plugin to be proved, as its operator has configured it.

    :raises Misconfigured: it is not installed, or cannot be built.
    """

    def __init__(self, layer: str, driver: str, config: str | None):
        if layer not in SUITES:
            raise contract.Misconfigured(f'there is no suite for a layer {layer!r}; '
                                         f'there are: {", ".join(sorted(SUITES))}')
        if not driver:
            raise contract.Misconfigured('say with --driver which plugin is to be proved')
        if config and not pathlib.Path(config).is_file():
            raise contract.Misconfigured(f'there is no configuration file {config}')
        self.layer = layer
        self._config = config
        self.installed = loader.find(layer, driver)
        with (tempfile.TemporaryDirectory(prefix='conformance-') as folder,
              contextlib.closing(FakeHost()) as host):
            plugin = self.build(host, folder)
            empty = not isinstance(plugin, contract.Database) or is_empty(plugin.images)
            plugin.close()
        if not empty:
            raise contract.Misconfigured('there are images in this database; the suite removes '
                                         'all that it finds, so give it a database of its own')
        if layer == 'store' and 'write' not in plugin.CAPABILITIES:
            raise contract.Misconfigured(
                f'the store {driver!r} is read-only, so the suite has no data to read; subclass '
                'ReadingContract of glancelite.testing.contracts and give it some')

    def build(self, host: FakeHost, folder: str) -> contract.Plugin:
        """A new instance, on a new reading of the file."""
        conf = cfg.ConfigOpts()
        conf.register_opts([CONFORMANCE_DIR, ENABLED_BACKENDS])
        try:
            conf([], project='glancelite',
                 default_config_files=[self._config] if self._config else [],
                 default_config_dirs=[])
        except cfg.Error as error:
            raise contract.Misconfigured(f'{self._config}: {error}') from error
        conf.set_override('conformance_dir', folder)
        host.conf = conf
        plugin = loader.load(conf, host, self.layer, self.installed.name, self._instance(conf))
        if isinstance(plugin, contract.Database):
            plugin.sync()
        return plugin

    def _instance(self, conf: cfg.ConfigOpts) -> str | None:
        """The first store that the file gives to this driver."""
        if self.layer != 'store':
            return None
        return next((name for name, driver in conf.enabled_backends.items()
                     if driver == self.installed.name), None)

    def suite(self, *, large: bool = False) -> type:
        """A test class for exactly this plugin."""
        def plugin(_, host, tmp_path):
            living = self.build(host, str(tmp_path))
            yield living
            if isinstance(living, contract.Database):
                clear(living.images)    # the next test may get the same one
            living.close()

        name = f'Test{self.layer.capitalize()}'
        suites = (SUITES[self.layer], *([LargeImageContract] if large else []))
        return type(name, suites, {
            '__doc__': f'The {self.layer} {self.installed.name}.', '__module__': __name__,
            self.layer: pytest.fixture(name=self.layer)(plugin)})


class Conformance:
    """The hooks of one run: what is collected, and what is said at the end."""

    def __init__(self, config: pytest.Config):
        option = config.option
        try:
            self.subject = Subject(option.glancelite_layer, option.glancelite_driver,
                                   option.glancelite_config)
        except contract.Misconfigured as error:
            raise pytest.UsageError(str(error)) from error
        self.large = option.glancelite_large and self.subject.layer == 'store'
        self._file = option.glancelite_report
        self._outcomes: dict[str, str] = {}

    def pytest_pycollect_makemodule(self, module_path, parent):
        if module_path == pathlib.Path(__file__):
            return SuiteModule.from_parent(parent, path=module_path)
        return None

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition('::')[2]
        if report.when == 'call' or report.outcome != 'passed':
            if self._outcomes.get(name) != 'failed':
                self._outcomes[name] = report.outcome
        elif report.when == 'setup':
            self._outcomes.setdefault(name, 'passed')

    def pytest_sessionfinish(self, session, exitstatus):
        report = self.report(exitstatus == pytest.ExitCode.OK)
        if self._file:
            pathlib.Path(self._file).write_text(report + '\n', encoding='utf-8')
        self._report = report

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section('conformance')
        terminalreporter.line(self._report)

    def report(self, conforms: bool) -> str:
        """What was found, as one line of JSON."""
        plugin = self.subject.installed
        return json.dumps({
            'layer': plugin.layer, 'driver': plugin.name, 'package': plugin.package,
            'version': plugin.version, 'contract': contract.CONTRACT,
            'capabilities': sorted(plugin.kind.CAPABILITIES),
            'conforms': conforms,
            'results': dict(collections.Counter(self._outcomes.values())),
            'failed': sorted(name for name, outcome in self._outcomes.items()
                             if outcome != 'passed'),
        })


class SuiteModule(pytest.Module):
    """Stands for this file, but holds the one class that is made to measure."""

    def collect(self):
        run = self.config.pluginmanager.get_plugin('glancelite-conformance')
        suite = run.subject.suite(large=run.large)
        self.obj = types.ModuleType(__name__, suite.__doc__)
        setattr(self.obj, suite.__name__, suite)
        return super().collect()
