"""Tests an installed plugin without any test code.

``pytest --pyargs glancelite.testing.conformance --layer store --driver NAME --config FILE``
"""

from __future__ import annotations

import datetime
import json
import pathlib
import platform
import time
import types
from importlib import metadata
from typing import Any

import pytest

from glancelite import contract
from glancelite.testing.subject import Settings, Subject

#: version of the report's format; new words do not change it
FORMAT = 1


class Conformance:
    """The hooks of one run: they choose the tests and write the report."""

    def __init__(self, config: pytest.Config):
        try:
            self.subject = Subject(Settings(**{
                name.removeprefix('glancelite_'): value
                for name, value in vars(config.option).items()
                if name.startswith('glancelite_')}))
        except contract.Misconfigured as error:
            raise pytest.UsageError(str(error)) from error
        self.suite = self.subject.suite()
        self._started = time.monotonic()
        self._outcomes: dict[str, str] = {}
        self._deselected = 0
        self._report: dict[str, Any] = {}

    def pytest_pycollect_makemodule(self, module_path, parent):
        if module_path == pathlib.Path(__file__):
            return SuiteModule.from_parent(parent, path=module_path)
        return None

    def pytest_deselected(self, items):
        self._deselected += len(items)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition('::')[2]
        if report.when == 'call' or report.outcome != 'passed':
            if self._outcomes.get(name) != 'failed':
                self._outcomes[name] = report.outcome
        elif report.when == 'setup':
            self._outcomes.setdefault(name, 'passed')

    def pytest_sessionfinish(self, session, exitstatus):
        if session.config.option.collectonly:   # no test ran
            return
        self._report = self.report(exitstatus == pytest.ExitCode.OK)
        if file := self.subject.settings.report:
            pathlib.Path(file).write_text(json.dumps(self._report, indent=1) + '\n',
                                          encoding='utf-8')

    def pytest_terminal_summary(self, terminalreporter):
        if not self._report:
            return
        terminalreporter.section('conformance')
        for line in self._sentences():
            terminalreporter.line(line)
        terminalreporter.line(json.dumps(self._report))

    def _sentences(self):
        """Yield the report as sentences."""
        plugin, claims = self.subject.installed, list(self._report['claims'].values())
        asked = [outcome for outcome in claims if outcome != 'not asked']
        is_part = len(asked) < len(claims) or self._deselected
        verdict = ('conforms' if self._report['conforms'] else
                   'does not conform' if self._report['failed'] or not is_part else
                   'is not shown to conform')
        yield (f'{plugin.layer} {plugin.name} of {plugin.package} {plugin.version} {verdict}: '
               f'{asked.count("passed")} of {len(asked)} claims are true'
               + (f'; {len(claims) - len(asked)} were not asked' if is_part else ''))
        for topic, option in self._report['not_shown'].items():
            yield f'{topic}: not shown; give {option}'

    def report(self, passed: bool) -> dict[str, Any]:
        """Return the report; ``doc/plugins.md`` explains its words."""
        plugin = self.subject.installed
        claims = self._claims()
        return {
            'report': FORMAT, 'layer': plugin.layer, 'driver': plugin.name,
            'package': plugin.package, 'version': plugin.version,
            'glancelite': metadata.version('glancelite'), 'contract': contract.CONTRACT,
            'python': platform.python_version(), 'backend': self.subject.backend,
            'date': datetime.datetime.now(datetime.UTC).date().isoformat(),
            'seconds': round(time.monotonic() - self._started, 1),
            'capabilities': sorted(self.subject.capabilities),
            'conforms': (passed and not self._deselected
                         and set(claims.values()) == {'passed'}),
            'tests': len(self._outcomes), 'claims': claims,
            'failed': sorted(name for name, outcome in self._outcomes.items()
                             if outcome != 'passed'),
            'not_shown': self.subject.not_shown,
        }

    def _claims(self) -> dict[str, str]:
        """Return each claim of the suite -> passed, failed, or not asked."""
        claims = {name.removeprefix('test_'): 'not asked' for name in dir(self.suite)
                  if name.startswith('test_')}
        for name, outcome in self._outcomes.items():
            claim = name.partition('[')[0].removeprefix('test_')
            if outcome != 'passed' or claims[claim] == 'not asked':
                claims[claim] = outcome
        return claims


class SuiteModule(pytest.Module):
    """Collected instead of this file; contains the one test class of the run."""

    def collect(self):
        plugin = self.config.pluginmanager.get_plugin('glancelite-conformance')
        assert plugin is not None
        suite = plugin.suite
        self.obj = types.ModuleType(__name__, suite.__doc__)
        setattr(self.obj, suite.__name__, suite)
        return super().collect()
