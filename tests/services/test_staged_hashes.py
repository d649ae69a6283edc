"""Data is hashed when it is staged, unless a step may replace it."""

import hashlib

import pytest

from glancelite import contract
from glancelite.contract import Step
from glancelite.domain import imports as rules
from glancelite.services import stream
from glancelite.services.import_options import ImportOptions
from glancelite.services.staged_hashes import StagedHashes
from glancelite.services.stream import Digests
from glancelite.services.use_cases import Options
from tests.services.conftest import read_data
from tests.services.import_case import CONTENT, DATA, Reversed, begin, run, task_of
from tests.services.test_import_failures import failing_once

SHA512 = hashlib.sha512(DATA).hexdigest()
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
KNOWN = {'size': len(DATA), 'os_hash_algo': 'sha512', 'os_hash_value': SHA512, 'checksum': MD5}


class Looking(Step):
    CHANGES_DATA = False

    def run(self, job):
        assert b''.join(job.read()) == DATA


class Wrong(Reversed):
    """Says that it leaves the data alone, and does not."""

    CHANGES_DATA = False


@pytest.fixture
def hashed(monkeypatch):
    """The numbers of bytes that were hashed, of each ``Digests`` that was asked."""
    found, finish = [], Digests.finish

    def counting(self):
        facts = finish(self)
        found.append(facts['size'])
        return facts
    monkeypatch.setattr(stream.Digests, 'finish', counting)
    return found


def check(core, ctx, image, data=DATA):
    assert (image.status, image.size) == ('active', len(data))
    assert image.os_hash_value == hashlib.sha512(data).hexdigest()
    assert image.checksum == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert read_data(core, ctx, image) == data


@pytest.mark.parametrize('method', ['glance-direct', 'fetched'])
@pytest.mark.parametrize('kinds', [(), (Looking,)])
def test_data_that_no_step_replaces_is_hashed_once(
        exchange_importing, make_plugin, ctx, queued, reread, hashed, method, kinds):
    core = exchange_importing(steps=[make_plugin(kind) for kind in kinds])
    image = queued()
    if method == 'glance-direct':
        core.use_cases.stages.receive(ctx, image.id, iter(CONTENT))
        assert hashed == [len(DATA)]
    begin(core, ctx, image, method, stores=['fast', 'cold'])
    run(core)

    check(core, ctx, reread(image))
    assert hashed == [len(DATA)]
    assert rules.STAGED not in reread(image).properties


@pytest.mark.parametrize(('kind', 'times'), [(Reversed, 1), (Wrong, 2)])
def test_data_that_a_step_has_replaced_is_hashed_when_it_is_stored(
        exchange_importing, make_plugin, ctx, queued, reread, hashed, kind, times):
    core = exchange_importing(steps=[make_plugin(kind)])
    image = queued()
    begin(core, ctx, image, 'fetched', stores=['cold'])
    run(core)

    check(core, ctx, reread(image), DATA[::-1])
    assert hashed == [len(DATA)] * times


@pytest.mark.parametrize('options', [
    ImportOptions(hashing_algorithm='sha256'), ImportOptions(md5_checksum=False)])
def test_other_options_than_before_are_respected(exchange_importing, ctx, queued, reread,
                                                 options):
    image = queued()
    exchange_importing().use_cases.stages.receive(ctx, image.id, iter(CONTENT))
    core = exchange_importing(options=Options(imports=options))
    begin(core, ctx, image)
    run(core)

    done = reread(image)
    assert done.os_hash_algo == options.hashing_algorithm
    assert done.os_hash_value == hashlib.new(options.hashing_algorithm, DATA).hexdigest()
    assert (done.checksum is not None) is options.md5_checksum


@pytest.mark.parametrize('wrong', [
    'text', [1], {}, {'size': len(DATA)}, *({**KNOWN, **change} for change in (
        {'os_hash_value': 7}, {'size': 'x'}, {'size': 1}, {'status': 'deleted'}))])
def test_hashes_that_were_not_recorded_so_are_found_out_again(importing, ctx, queued, reread,
                                                              hashed, wrong):
    image = queued()
    importing.use_cases.stages.receive(ctx, image.id, iter(CONTENT))
    image = reread(image)
    record = rules.staged_of(image.properties)
    importing.layers.database.images.update(image, {'properties': rules.with_staged(
        image.properties, {**record, 'hashes': wrong})})
    begin(importing, ctx, image)
    run(importing)

    check(importing, ctx, reread(image))
    assert hashed == [len(DATA)] * 2


def test_what_another_process_has_fetched_is_hashed_when_it_is_stored(
        exchange_importing, ctx, queued, reread, advance, hashed, monkeypatch):
    core = exchange_importing()
    core.layers.staging.part_size = len(CONTENT[0])
    failing_once(core.layers.staging._store.driver, contract.Unavailable('away'), monkeypatch)
    fetch = core.layers.importers['fetched'].fetch

    def first_part(job):
        job.append([CONTENT[0]])
        raise contract.Unavailable('away')
    image = queued()
    monkeypatch.setattr(core.layers.importers['fetched'], 'fetch', first_part)
    begin(core, ctx, image, 'fetched')
    for _ in range(2):      # the staging area is away, then the source
        run(core)
        advance(100)
    monkeypatch.setattr(core.layers.importers['fetched'], 'fetch', fetch)
    run(core)

    check(core, ctx, reread(image))
    assert hashed == [len(DATA)]


def test_data_that_changes_its_size_in_the_staging_area_is_not_stored(
        importing, ctx, queued, reread, monkeypatch):
    image = queued()
    importing.use_cases.stages.receive(ctx, image.id, iter(CONTENT))
    task = begin(importing, ctx, image)
    data = importing.layers.staging._store.driver._data
    for key in data:
        data[key] = [DATA[:-1]]
    run(importing)

    assert 'damaged' in task_of(importing, task).message
    assert reread(image).status == 'importing'


def test_hashes_need_all_of_the_data():
    made = []

    def new():
        made.append(Digests())
        return made[-1]
    hashes = StagedHashes(new)
    assert hashes.finish(0) is None

    assert b''.join(hashes.watch(iter(CONTENT[:2]), 0)) == b''.join(CONTENT[:2])
    assert b''.join(hashes.watch(iter(CONTENT[2:]), len(b''.join(CONTENT[:2])))) == CONTENT[2]
    assert hashes.finish(len(DATA) - 1) is None
    assert hashes.finish(len(DATA)) == KNOWN
    assert hashes.finish(len(DATA)) is None

    list(hashes.watch(iter(CONTENT), 0))
    list(hashes.watch(iter(CONTENT), 5))    # part of the data was lost
    assert hashes.finish(5 + len(DATA)) is None
    assert len(made) == 2
