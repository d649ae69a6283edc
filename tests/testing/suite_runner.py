"""Runs one suite on many plugins at once, to test the suite itself."""

import re
import sys

import pytest

#: one class per plugin: a good one has all claims, a bad one only the claim that it breaks
SUITE = '''
import importlib

import pytest
from glancelite.testing import contracts

PATIENCE = 2


def suite(number, path, claim):
    module, _, name = path.partition('.')
    kind = getattr(importlib.import_module(f'tests.testing.{{module}}'), name)
    others = dict.fromkeys(name for name in dir(contracts.{contract})
                           if claim and name.startswith('test_') and name != f'test_{{claim}}')
    fixtures = {{
        fixture: pytest.fixture(name=fixture)(
            lambda self, make_plugin, fixture=fixture: make_plugin(kind, name=fixture))
        for fixture in {fixtures}}}
    return type(f'Test{{number}}', (contracts.{contract},), {{
        **fixtures, **others,
        'patience': pytest.fixture(name='patience')(lambda self: PATIENCE),
        'broken_url': pytest.fixture(name='broken_url')(lambda self: 'dead://here/key'),
        'take_root_away': lambda self, store: store.take_away(),
        'bring_root_back': lambda self, store: store.bring_back(),
        'leftovers': lambda self, store: getattr(store, 'temporary', ())}})


for number, (path, claim) in enumerate({plugins}.items()):
    globals()[f'Test{{number}}'] = suite(number, path, claim)
'''


class Outcomes:
    """Records the outcome of each test of a run: ``(class number, claim, passed)``."""

    def __init__(self):
        self.seen = []

    def pytest_runtest_logreport(self, report):
        if report.when == 'call' or not report.passed:
            number, claim = re.search(r'::Test(\d+)::test_(\w+)', report.nodeid).groups()
            self.seen.append((int(number), claim, report.passed))


def failed(folder, contract, plugins, fixtures=('store',)):
    """Run the suite ``contract`` of the kit, in a pytest run inside this process.

    :param plugins: ``module.Class`` in this folder -> the one claim that is tested; all
        claims if that is empty.
    :param fixtures: names of the fixtures that are the plugin.
    :returns: the same keys -> the claims that failed.
    """
    (folder / 'test_suite.py').write_text(SUITE.format(
        contract=contract, plugins=plugins, fixtures=fixtures))
    outcomes = Outcomes()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pytest.main(['-q', '--tb=no', '--import-mode=importlib', '-p', 'no:cacheprovider',
                     '--rootdir', str(folder), str(folder)], plugins=[outcomes])
        sys.modules.pop('test_suite')   # the next run has another one
    paths = list(plugins)
    assert {paths[number] for number, _, _ in outcomes.seen} == set(paths)
    claims = {path: set() for path in paths}
    for number, claim, passed in outcomes.seen:
        if not passed:
            claims[paths[number]].add(claim)
    return claims
