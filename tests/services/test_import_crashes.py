"""A process that dies at any call of the database or a store loses nothing of an import."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math

import pytest
from oslo_config import cfg

from glancelite.contract import Importer, Step
from glancelite.domain import imports as rules
from glancelite.plugins.importer.glance_download import GlanceDownload
from glancelite.plugins.step.conversion import Conversion
from glancelite.plugins.step.inject_metadata import InjectMetadata
from glancelite.services.import_options import ImportOptions
from glancelite.services.use_cases import Options
from glancelite.support import outbound
from glancelite.testing import service
from tests.plugins.step import disks
from tests.servers import dropping_web
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


class FetchedDisk(Importer):
    """Fetches ``content`` in one piece."""

    content = b''

    def fetch(self, job):
        if not job.staged_size:
            job.append([self.content])


@pytest.fixture
def importers(make_plugin):
    return {'disk': make_plugin(FetchedDisk), 'fetched': make_plugin(Fetched),
            'glance-direct': make_plugin(Direct), 'copy-image': make_plugin(Copy)}


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


@pytest.fixture(scope='module')
def disk(tmp_path_factory):
    """The content of a disk, and an image of it in the format qcow2."""
    content = disks.content(disks.MIB)
    return content, disks.image(tmp_path_factory.mktemp('disk'), 'qcow2', content)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """An import.

    :ivar steps: class and options of each step.
    """

    method: str
    request: dict
    steps: tuple = ()


ONE = {'stores': ['cold']}
INJECT = InjectMetadata, {'inject': {'hw_disk_bus': 'scsi'}}
CONVERT = Conversion, {'reserved_space': 0}
SCENARIOS = {
    'glance-direct': Scenario('glance-direct', {'stores': ['fast', 'cold']}),
    'fetched': Scenario('fetched', {'stores': ['fast', 'cold'],
                                    'all_stores_must_succeed': False}),
    'step': Scenario('fetched', ONE, ((Upper, {}),)),
    'inject_metadata': Scenario('fetched', ONE, (INJECT,)),
    'conversion': Scenario('disk', ONE, (CONVERT, INJECT)),
    'conversion for two stores': Scenario('disk', {'stores': ['fast', 'cold']}, (CONVERT,)),
    'copy-image': Scenario('copy-image', ONE),
}


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
@pytest.mark.parametrize('scenario', SCENARIOS.values(), ids=SCENARIOS)
def test_another_process_finishes_the_import(core, ctx, admin, queued, active, reread, advance,
                                            importers, make_plugin, request, scenario, after):
    name = scenario.method
    content, importers['disk'].content = (
        request.getfixturevalue('disk') if name == 'disk' else (b'', b''))
    steps = [make_plugin(kind, name=kind.__name__, **options) for kind, options in scenario.steps]
    core.layers.staging.part_size = 10
    caller = admin if name == 'copy-image' else ctx
    expected = {'disk': content, 'copy-image': b'data'}.get(
        name, DATA.upper() if scenario is SCENARIOS['step'] else DATA)
    for at in itertools.count(1):
        healthy = build(core, importers, make_plugin, steps)
        image = active() if name == 'copy-image' else queued(
            disk_format='qcow2' if name == 'disk' else 'raw')
        if name == 'glance-direct':
            healthy.use_cases.stages.receive(ctx, image.id, iter(CONTENT))
        task = begin(healthy, caller, image, name, **scenario.request)
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
        assert done.size == len(expected), (where, done.size)
        assert done.disk_format == 'raw', where
        assert done.properties.get('hw_disk_bus') == (
            'scsi' if INJECT in scenario.steps else None), where
        assert task_of(core, task).status == 'success', (where, task_of(core, task))
        assert staged_data(core) == {}, (where, staged_data(core))
        stored = {**data_in(core, 'fast'), **{
            f'cold {key}': data for key, data in data_in(core, 'cold').items()}}
        assert len(stored) == len(done.locations), (where, stored, done)
        core.use_cases.images.delete(ctx, image.id)
        if not mortal.dead:
            assert at > 10
            return


REMOTE = '7b97f37c-899d-44e8-aaa0-543edbc4eaad'
RECORD = {'id': REMOTE, 'status': 'active', 'size': len(DATA), 'disk_format': 'raw',
          'container_format': 'bare', 'hw_disk_bus': 'scsi', 'os_hash_algo': 'sha512',
          'os_hash_value': hashlib.sha512(DATA).hexdigest()}


@pytest.fixture
def region():
    """The image service of another region."""
    with dropping_web.running(DATA, record=json.dumps(RECORD).encode()) as server:
        yield server


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_the_copy_from_another_region_ends_with_the_data_or_a_reason(
        core, context, ctx, queued, reread, advance, make_plugin, region, after):
    """The process that dies had the token of the caller, which no other has."""
    conf = cfg.ConfigOpts()
    outbound.register(conf)
    conf.set_override('allowed_hosts', ['127.0.0.1'], group=outbound.SECTION)
    conf.set_override('allowed_ports', [], group=outbound.SECTION)
    importers = {'glance-download': make_plugin(GlanceDownload, conf=conf)}
    caller = context('owner', token='secret', catalog=({'type': 'image', 'endpoints': [
        {'interface': 'public', 'region_id': 'Far', 'url': region.url}]},))
    outcomes = set()
    for at in itertools.count(1):
        image, mortal = queued(), Mortal(math.inf, after=after)
        with _mortal_stores(core, mortal):
            dying = build(core, importers, make_plugin, mortal=mortal)
            task = begin(dying, caller, image, 'glance-download', arguments={
                'glance_region': 'Far', 'glance_image_id': REMOTE}, stores=['fast', 'cold'])
            mortal.at = mortal.count + at
            with contextlib.suppress(Died):
                run(dying)
        healthy = build(core, importers, make_plugin)
        advance(1000)
        run(healthy)
        advance(1000)
        healthy.use_cases.recovery.sweep()

        done, ended = reread(image), task_of(core, task)
        where = f'the process died at call {at}'
        outcomes.add(ended.status)
        if ended.status == 'success':
            assert (done.status, read_data(healthy, ctx, done)) == ('active', DATA), where
            assert done.properties['hw_disk_bus'] == 'scsi', where
        else:
            assert (done.status, done.size, done.locations) == ('queued', None, ()), where
            assert 'only the process that accepted the request' in ended.message, where
        assert rules.LOCK not in done.properties, where
        assert (done.properties[rules.TO_STORES], done.lease_until) == ('', None), where
        assert staged_data(core) == {}, where
        stored = [*data_in(core, 'fast'), *data_in(core, 'cold')]
        assert len(stored) == len(done.locations), (where, stored, done)
        core.use_cases.images.delete(ctx, image.id)
        if not mortal.dead:
            assert at > 10
            assert outcomes == {'success', 'failure'}
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
