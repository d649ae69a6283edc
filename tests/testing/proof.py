"""Runs a suite on many plugins at once: what the suites themselves are proved with."""

import os
import pathlib
import re
import subprocess
import sys

#: one class per plugin: a good one has all claims, a bad one only what it breaks
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
        'leftovers': lambda self, store: getattr(store, 'temporary', ())}})


for number, (path, claim) in enumerate({plugins}.items()):
    globals()[f'Test{{number}}'] = suite(number, path, claim)
'''


def failed(folder, contract, plugins, fixtures=('store',)):
    """Run the suite ``contract`` of the kit, in a pytest of its own.

    :param plugins: ``module.Class`` in this folder -> the one claim that is asked of it; all
        claims if that is empty.
    :param fixtures: names of those that are a plugin.
    :returns: the same keys -> the claims that failed.
    """
    (folder / 'test_suite.py').write_text(SUITE.format(
        contract=contract, plugins=plugins, fixtures=fixtures))
    run = subprocess.run(
        [sys.executable, '-m', 'pytest', '-rA', '--tb=no', '--rootdir', folder, folder],
        env={**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[2])}, cwd=folder,
        text=True, capture_output=True)
    found = {path: set() for path in plugins}
    ran = set()
    for line in run.stdout.splitlines():
        if said := re.match(r'(PASSED|FAILED|ERROR) .*::Test(\d+)::test_(\w+)', line):
            path = list(plugins)[int(said[2])]
            ran.add(path)
            if said[1] != 'PASSED':
                found[path].add(said[3])
    assert ran == set(plugins), run.stdout + run.stderr
    return found
