"""A write that fails after the backend has stored the data leaves nothing behind."""

import concurrent.futures

import pytest

from glancelite import contract
from glancelite.contract import Location, WriteResult
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.services.conftest import raising, read_data

ERRORS = [contract.Unavailable('the answer was lost'), contract.Conflict('too late'),
          contract.ReadOnly('read-only since a moment ago'),
          RuntimeError('library'), OSError(5, 'broken'), StopIteration(), SystemExit(3),
          KeyboardInterrupt(), GeneratorExit()]
URL = 'memory://fast/key'
RESULTS = [None, (URL, 4), WriteResult('memory://other/key', 4), WriteResult('', 4),
           WriteResult(None, 4), WriteResult('memory://fast/a\nb', 4), WriteResult(URL, -1),
           WriteResult(URL, None), WriteResult(URL, 4.0), WriteResult(URL, True),
           WriteResult(URL, 3), WriteResult(URL, 4, None), WriteResult(URL, 4, {'a': {1}}),
           WriteResult(URL, 4, {'a': float('nan')})]


@pytest.fixture
def driver(core):
    return core.layers.stores['fast'].driver


@pytest.fixture
def after_write(driver, monkeypatch):
    """Let ``function`` decide how each write ends, after its data was stored."""
    def replace(function):
        write = driver.write

        def write_and_fail(key, chunks, *, size=None, ctx=None):
            return function(write(key, chunks, size=size, ctx=ctx))
        monkeypatch.setattr(driver, 'write', write_and_fail)
    return replace


@pytest.fixture
def upload(core, ctx):
    """Upload in a thread, as the server does; the main thread may be interrupted."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield lambda image, chunks=(b'data',), **named: pool.submit(
            core.use_cases.uploads.receive, ctx, image.id, iter(chunks), **named).result()


def check_that_nothing_is_left(core, ctx, image, driver, advance):
    core.use_cases.images.delete(ctx, image.id)
    advance(3600)
    core.use_cases.recovery.sweep()
    assert driver.health() == '0 objects, 0 bytes'


@pytest.mark.parametrize('size', [None, 4])
@pytest.mark.parametrize('error', ERRORS, ids=lambda error: type(error).__name__)
def test_an_exception_after_the_data_was_stored_is_undone(
        core, ctx, queued, reread, advance, driver, after_write, upload, monkeypatch, error, size):
    image = queued()
    after_write(raising(error))
    expected = type(error) if isinstance(error, contract.Error) else contract.Unavailable
    with pytest.raises(expected):
        upload(image, size=size)
    monkeypatch.undo()

    present = reread(image)
    assert (present.status, present.size, present.lease_until) == ('queued', None, None)
    assert driver.health() == '0 objects, 0 bytes'
    again = upload(image, size=size)
    assert again.key != image.key
    assert (again.status, again.lease_until) == ('active', None)
    assert read_data(core, ctx, again) == b'data'
    check_that_nothing_is_left(core, ctx, image, driver, advance)


@pytest.mark.parametrize('result', RESULTS, ids=repr)
def test_a_result_that_the_contract_does_not_allow_is_undone(
        core, ctx, queued, reread, advance, driver, after_write, upload, monkeypatch, result):
    image = queued()
    after_write(lambda written: result)

    with pytest.raises(contract.Unavailable):
        upload(image)

    assert (reread(image).status, reread(image).attempt) == ('queued', 1)
    assert driver.health() == '0 objects, 0 bytes'
    monkeypatch.undo()
    assert upload(image).status == 'active'
    check_that_nothing_is_left(core, ctx, image, driver, advance)


def test_what_a_driver_returned_is_logged_with_the_name_of_its_store(
        queued, after_write, upload, caplog):
    after_write(lambda written: None)

    with pytest.raises(contract.Unavailable, match='The store fast cannot be used now'):
        upload(queued())

    assert 'the driver of the store fast returned None from write' in caplog.text


def test_data_that_cannot_be_discarded_yet_is_left_to_the_recovery(
        core, ctx, queued, reread, advance, driver, after_write, upload, monkeypatch):
    image = queued()
    monkeypatch.setattr(driver, 'discard', raising(SystemExit()))
    after_write(raising(contract.Unavailable('the answer was lost')))
    with pytest.raises(contract.Unavailable):
        upload(image)
    assert reread(image).status == 'queued'
    assert reread(image).lease_until is not None
    monkeypatch.undo()

    advance(600)
    assert core.use_cases.recovery.sweep() == 1

    assert driver.health() == '0 objects, 0 bytes'
    assert reread(image).lease_until is None
    assert upload(image).status == 'active'


def test_the_next_upload_need_not_wait_until_the_data_is_discarded(
        core, ctx, queued, reread, advance, driver, after_write, upload, monkeypatch):
    image = queued()
    monkeypatch.setattr(driver, 'discard', raising(contract.Unavailable('not now')))
    after_write(raising(contract.Unavailable('the answer was lost')))
    with pytest.raises(contract.Unavailable):
        upload(image)
    monkeypatch.undo()

    assert upload(image, [b'again']).status == 'active'
    assert driver.health() == '2 objects, 9 bytes'
    advance(600)
    assert core.use_cases.recovery.sweep() == 1

    assert driver.health() == '1 objects, 5 bytes'
    assert (reread(image).status, reread(image).lease_until) == ('active', None)
    assert read_data(core, ctx, image) == b'again'


def test_a_process_that_dies_before_it_discards_the_data_is_followed_by_the_recovery(
        core, ctx, queued, reread, advance, driver, after_write, monkeypatch):
    image = queued()
    after_write(raising(contract.Unavailable('the answer was lost')))
    with monkeypatch.context() as patch:
        patch.setattr(core.layers.stores, 'discard', raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))
    assert reread(image).status == 'saving'

    advance(600)
    assert core.use_cases.recovery.sweep() == 1

    assert (reread(image).status, reread(image).attempt) == ('queued', 1)
    assert driver.health() == '0 objects, 0 bytes'


def test_data_that_appears_after_it_was_discarded_is_deleted_with_the_image(
        core, ctx, queued, advance, driver, after_write, upload, monkeypatch):
    image = queued()
    after_write(raising(contract.Unavailable('the answer was lost')))
    with pytest.raises(contract.Unavailable):
        upload(image)
    monkeypatch.undo()
    driver.write(image.key, iter([b'late']))

    assert upload(image, [b'again']).status == 'active'

    assert read_data(core, ctx, image) == b'again'
    check_that_nothing_is_left(core, ctx, image, driver, advance)


def test_data_that_a_location_refers_to_is_not_discarded(core, queued, reread, advance, driver):
    image = queued()
    url = driver.write(image.key, iter([b'clone'])).url
    driver.write(f'{image.key}.2', iter([b'left']))
    core.layers.database.images.update(image, {
        'status': 'active', 'size': 5, 'checksum': 'x', 'attempt': 2,
        'locations': (Location(url, {'store': 'fast'}),),
        'lease_until': core.layers.leases.until()})
    advance(600)

    assert core.use_cases.recovery.sweep() == 1

    assert driver.size(url) == 5
    assert driver.health() == '1 objects, 5 bytes'
    assert reread(image).lease_until is None


class Wraps:
    """A driver's write that stores what came before an error, in its own way."""

    def __init__(self, driver, end):
        self._write, self._end = driver.write, end

    def __call__(self, key, chunks, *, size=None, ctx=None):
        data = []
        try:
            data.extend(chunks)
        except Exception as error:
            result = self._write(key, iter(data))
            if self._end == 'swallows':
                return result
            if self._end == 'goes on':
                return self._write(f'{key}.more', chunks)
            raise contract.Unavailable('the library failed') from error
        return self._write(key, iter(data))


@pytest.mark.parametrize('end', ['swallows', 'translates', 'goes on'])
def test_the_error_of_a_client_is_not_hidden_by_a_driver(
        core, ctx, queued, reread, driver, monkeypatch, end):
    image = queued()
    monkeypatch.setattr(driver, 'write', Wraps(driver, end))

    with pytest.raises(ClientWentAway):
        core.use_cases.uploads.receive(ctx, image.id, broken_source(b'da', b'ta'), size=8)

    assert (reread(image).status, reread(image).attempt) == ('queued', 0)
    assert driver.health() == '0 objects, 0 bytes'
    assert core.layers.stores['fast'].is_healthy
    assert core.use_cases.uploads.receive(ctx, image.id, iter([b'data'])).status == 'active'


def test_a_store_that_does_not_read_all_the_data_is_unavailable(
        core, ctx, queued, reread, driver, monkeypatch):
    image, write = queued(), driver.write
    monkeypatch.setattr(driver, 'write', lambda key, chunks, *, size=None, ctx=None: write(
        key, iter([next(chunks)])))

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'da', b'ta']))

    assert (reread(image).status, reread(image).attempt) == ('queued', 1)
    assert driver.health() == '0 objects, 0 bytes'


def test_the_log_says_which_image_could_not_be_written_or_deleted(
        core, ctx, queued, upload, driver, monkeypatch, caplog):
    """Drivers of other packages may log nothing."""
    image, other = queued(), queued()
    upload(image)
    monkeypatch.setattr(driver, 'write', raising(contract.Unavailable('the lab is closed')))
    monkeypatch.setattr(driver, 'delete', raising(contract.Unavailable('the lab is closed')))

    with pytest.raises(contract.Unavailable):
        upload(other)
    with pytest.raises(contract.Unavailable):
        core.use_cases.images.delete(ctx, image.id)

    lines = [record.getMessage() for record in caplog.records]
    assert (f'the upload of image {other.id} into the store fast failed: the lab is closed'
            in lines)
    assert f'the data of image {image.id} cannot be deleted: the lab is closed' in lines
