"""Reads of images with several locations."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.contract import FileExtent
from glancelite.services.chains import PolicyChain
from glancelite.testing import service
from tests.services.conftest import raising, read_data

DATA = bytes(range(256)) * 4096


class FailingChunks:
    """Yields some chunks, and then raises ``failure``, or ends if that is None."""

    def __init__(self, chunks, after, failure):
        self._chunks = chunks
        self._remaining = after
        self._failure = failure

    def __iter__(self):
        return self

    def __next__(self):
        if not self._remaining:
            if self._failure is None:
                raise StopIteration
            raise self._failure
        self._remaining -= 1
        return next(self._chunks)


@pytest.fixture
def replicated(core, ctx, queued, reread):
    """An image with a location in ``fast`` and one in ``cold``, written in chunks of 64 KiB."""
    def chunks():
        return (DATA[start:start + 65536] for start in range(0, len(DATA), 65536))

    image = core.use_cases.uploads.receive(ctx, queued().id, chunks(), size=len(DATA))
    location, _ = core.layers.stores.write('cold', image.id, chunks(), size=None, ctx=ctx)
    return core.layers.database.images.update(
        reread(image), {'locations': (*image.locations, location)})


@pytest.fixture
def download(core, ctx):
    return lambda image, **options: read_data(core, ctx, image, **options)


def fail(monkeypatch, store, failure):
    for name in ('read', 'size', 'delete'):
        monkeypatch.setattr(store.driver, name, raising(failure))


@pytest.mark.parametrize('failure', [
    contract.Unavailable('no answer'), contract.NotFound('lost'),
    contract.Unsupported('no ranges')], ids=lambda failure: type(failure).__name__)
def test_a_location_that_cannot_be_opened_is_replaced_by_the_next(
        core, replicated, download, monkeypatch, failure):
    fail(monkeypatch, core.layers.stores['fast'], failure)

    assert download(replicated) == DATA
    assert download(replicated, range_header='bytes=70000-') == DATA[70000:]


@pytest.mark.parametrize('failure', [
    OSError(5, 'broken'), contract.Unavailable('no answer'), RuntimeError('library'), None],
    ids=['os', 'contract', 'library', 'short'])
@pytest.mark.parametrize('after', [0, 1, 9])
@pytest.mark.parametrize('header', [None, 'bytes=10-', 'bytes=100000-1000000'])
def test_a_read_that_fails_continues_from_the_next_location(core, replicated, download,
                                                            monkeypatch, failure, after, header):
    driver = core.layers.stores['fast'].driver
    read = driver.read
    monkeypatch.setattr(driver, 'read', lambda *args, **named: FailingChunks(
        iter(read(*args, **named)), after, failure))

    expected = DATA if header is None else DATA[10:] if header.endswith('0-') else DATA[
        100_000:1_000_001]
    assert download(replicated, range_header=header) == expected


def test_a_truncated_file_is_continued_from_the_next_location(
        core, replicated, download, monkeypatch, tmp_path):
    short = tmp_path / 'short'
    short.write_bytes(DATA[:300_000])
    monkeypatch.setattr(
        core.layers.stores['fast'].driver, 'read',
        lambda *args, **named: FileExtent(short.open('rb'), 0, len(DATA), 65536))

    assert download(replicated) == DATA


def test_an_image_without_hash_is_not_continued_from_another_location(
        core, replicated, download, monkeypatch):
    core.layers.database.images.update(replicated, {'os_hash_value': None, 'checksum': None})
    driver = core.layers.stores['fast'].driver
    read = driver.read
    monkeypatch.setattr(driver, 'read', lambda *args, **named: FailingChunks(
        iter(read(*args, **named)), 1, OSError(5, 'broken')))

    with pytest.raises(OSError, match='broken'):
        download(replicated)


@pytest.fixture
def breaking(core, replicated, monkeypatch):
    """An image whose data in ``fast`` breaks off; ``cold`` cannot read ranges."""
    fast, cold = core.layers.stores
    read, first = fast.driver.read, replicated.locations[0].url
    monkeypatch.setattr(fast.driver, 'read', lambda url, **named: FailingChunks(
        iter(read(url, **named)), 1 if url == first else 99, OSError(5, 'broken')))
    monkeypatch.setattr(cold.driver, 'CAPABILITIES', frozenset({'write'}), raising=False)
    fail(monkeypatch, cold, AssertionError('a range was requested'))
    return replicated


def test_a_store_without_ranges_is_skipped_when_a_read_continues(core, ctx, breaking, download):
    third, _ = core.layers.stores.write('fast', 'third', iter([DATA]), size=None, ctx=ctx)
    image = core.layers.database.images.update(
        breaking, {'locations': (*breaking.locations, third)})

    assert download(image) == DATA


def test_the_first_failure_is_raised_if_no_location_can_continue(breaking, download):
    with pytest.raises(OSError, match='broken'):
        download(breaking)


def test_the_failure_of_the_last_location_is_raised(core, replicated, download, monkeypatch):
    fail(monkeypatch, core.layers.stores['fast'], contract.NotFound('lost'))
    fail(monkeypatch, core.layers.stores['cold'], contract.Unavailable('no answer'))

    with pytest.raises(contract.Unavailable):
        download(replicated)


def test_a_store_that_failed_is_tried_last_for_some_time(core, replicated, monkeypatch):
    stores, tried = core.layers.stores, []
    for name in ('fast', 'cold'):
        driver = stores[name].driver
        monkeypatch.setattr(driver, 'read', lambda *args, name=name, read=driver.read, **named:
                            tried.append(name) or read(*args, **named))

    stores['fast'].record_result(contract.Unavailable('no answer'))
    list(stores.read(replicated, offset=0, length=len(DATA), ctx=None))
    stores['fast'].record_result(None)
    list(stores.read(replicated, offset=0, length=len(DATA), ctx=None))

    assert tried == ['cold', 'fast']


@pytest.mark.parametrize(('prefer', 'first'), [
    (None, 'fast'), ('', 'fast'), (',', 'fast'), ('cold', 'cold'), ('cold,fast', 'cold'),
    ('fast, cold', 'fast')])
def test_a_caller_may_prefer_stores(core, ctx, replicated, monkeypatch, prefer, first):
    tried = []
    for store in core.layers.stores:
        monkeypatch.setattr(store.driver, 'read', lambda *args, store=store,
                            read=store.driver.read, **named:
                            tried.append(store.name) or read(*args, **named))

    core.use_cases.downloads.open(ctx, replicated.id, prefer=prefer)

    assert tried == [first]


@pytest.mark.parametrize('prefer', ['nowhere', 'cold,nowhere', 'cold nowhere'])
def test_unknown_stores_cannot_be_preferred(core, ctx, replicated, prefer):
    with pytest.raises(contract.Invalid, match='there is no store'):
        core.use_cases.downloads.open(ctx, replicated.id, prefer=prefer)


def test_a_policy_may_refuse_only_the_choice_of_a_store(core, ctx, replicated):
    class NoChoice(contract.PolicyEngine):
        def enforce(self, ctx, action, image=None, *, member=None):
            if action == 'download_from_store':
                raise contract.Forbidden('no choice of stores')
    restricted = service.exchange(core, policy=PolicyChain([NoChoice(None, None)]))

    with pytest.raises(contract.Forbidden, match='no choice of stores'):
        restricted.use_cases.downloads.open(ctx, replicated.id, prefer='cold')

    assert read_data(restricted, ctx, replicated) == DATA


def test_a_wrong_recorded_store_name_does_not_matter(core, ctx, replicated, download):
    stores = core.layers.stores
    changed = core.layers.database.images.update(replicated, {'locations': tuple(
        dataclasses.replace(location, metadata={'store': 'renamed'})
        for location in replicated.locations)})

    assert download(changed) == DATA
    assert [location.store for location in stores.displayed(changed)] == ['fast', 'cold']
