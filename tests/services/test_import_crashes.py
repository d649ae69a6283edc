"""A process that dies at any call of the database or a store loses nothing of an import."""

import contextlib
import itertools

import pytest

from glancelite.contract import Step
from glancelite.domain import imports as rules
from glancelite.services.importing import ImportOptions
from glancelite.services.use_cases import Options
from glancelite.testing import service
from tests.services.conftest import read_data
from tests.services.import_case import (
    CONTENT,
    DATA,
    Copy,
    Direct,
    Fetched,
    Waiting,
    begin,
    data_in,
    run,
    staged_data,
    task_of,
)


class Died(BaseException):
    """The process does not exist any more."""


class Mortal:
    """Passes calls on until a given number of them; then, and ever after, raises ``Died``.

    :param at: the number of the fatal call.
    :param after: whether the fatal call still has its effect.
    """

    def __init__(self, at, *, after):
        self.at = at
        self.after = after
        self.count = 0

    @property
    def dead(self):
        return self.count >= self.at

    def wrap(self, target, names):
        return _Wrapped(self, target, names)

    def call(self, function, *args, **named):
        if self.dead:
            raise Died
        self.count += 1
        if self.dead and not self.after:
            raise Died
        result = function(*args, **named)
        if self.dead:
            raise Died
        return result


class _Wrapped:
    """An object whose methods ``names`` are calls that may be fatal."""

    def __init__(self, mortal, target, names):
        self._mortal, self._target, self._names = mortal, target, names

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if name not in self._names:
            return value
        return lambda *args, **named: self._mortal.call(value, *args, **named)


class Upper(Step):

    def run(self, job):
        if 'upper' not in job.memory:
            job.replace([b''.join(job.read()).upper()])
            job.remember(upper=True)


@pytest.fixture
def importers(make_plugin):
    return {'fetched': make_plugin(Fetched), 'glance-direct': make_plugin(Direct),
            'copy-image': make_plugin(Copy)}


def build(core, importers, make_plugin, steps=(), mortal=None):
    """A process of the service; ``mortal`` decides when it dies."""
    blocks = {}
    if mortal is not None:
        database = core.layers.database
        blocks['database'] = _Wrapped(mortal, database, ())
        blocks['database'].images = mortal.wrap(database.images, ('get', 'update'))
        blocks['database'].tasks = mortal.wrap(database.tasks, ('claim', 'update'))
    return service.exchange(
        core, importers=importers, executor=make_plugin(Waiting), steps=steps,
        options=Options(imports=ImportOptions(retries=3)), **blocks)


SCENARIOS = {
    'glance-direct': ('glance-direct', {'stores': ['fast', 'cold']}, False),
    'fetched': ('fetched', {'stores': ['fast', 'cold'], 'all_stores_must_succeed': False}, False),
    'step': ('fetched', {'stores': ['cold']}, True),
    'copy-image': ('copy-image', {'stores': ['cold']}, False),
}


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
@pytest.mark.parametrize('scenario', SCENARIOS)
def test_another_process_finishes_the_import(core, ctx, admin, queued, active, reread, advance,
                                            importers, make_plugin, scenario, after):
    name, request, has_step = SCENARIOS[scenario]
    steps = [make_plugin(Upper)] if has_step else []
    core.layers.staging.part_size = 10
    caller = admin if name == 'copy-image' else ctx
    expected = DATA.upper() if has_step else b'data' if name == 'copy-image' else DATA
    for at in itertools.count(1):
        healthy = build(core, importers, make_plugin, steps)
        image = active() if name == 'copy-image' else queued()
        if name == 'glance-direct':
            healthy.use_cases.stages.receive(ctx, image.id, iter(CONTENT))
        task = begin(healthy, caller, image, name, **request)
        mortal = Mortal(at, after=after)
        with _mortal_stores(core, mortal):
            dying = build(core, importers, make_plugin, steps, mortal)
            with contextlib.suppress(Died):
                run(dying)
        advance(1000)
        run(healthy)
        advance(1000)
        healthy.use_cases.recovery.sweep()

        done = reread(image)
        where = f'the process died at call {at}'
        assert done.status == 'active', (where, done, task_of(core, task))
        assert rules.LOCK not in done.properties, where
        assert (done.properties[rules.TO_STORES], done.lease_until) == ('', None), where
        assert read_data(healthy, ctx, done) == expected, where
        assert task_of(core, task).status == 'success', (where, task_of(core, task))
        assert staged_data(core) == {}, (where, staged_data(core))
        stored = {**data_in(core, 'fast'), **{
            f'cold {key}': data for key, data in data_in(core, 'cold').items()}}
        assert len(stored) == len(done.locations), (where, stored, done)
        core.use_cases.images.delete(ctx, image.id)
        if not mortal.dead:
            assert at > 10
            return


class _mortal_stores:
    """Replaces the drivers of the stores by mortal ones."""

    NAMES = ('write', 'read', 'delete', 'discard')

    def __init__(self, core, mortal):
        self._stores = [*core.layers.stores, core.layers.staging._store]
        self._mortal = mortal

    def __enter__(self):
        self._drivers = [store.driver for store in self._stores]
        for store in self._stores:
            store._driver = self._mortal.wrap(store.driver, self.NAMES)

    def __exit__(self, *error):
        for store, driver in zip(self._stores, self._drivers, strict=True):
            store._driver = driver
