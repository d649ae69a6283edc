"""The options of hashes: ``md5_checksum`` and ``verify_downloads``."""

import dataclasses
import hashlib

import pytest

from glancelite import contract
from glancelite.services.stream import verified
from glancelite.testing import service
from tests.services.conftest import RAW, read_data

CHUNKS = [b'first', b'second', b'last']
DATA = b''.join(CHUNKS)


@pytest.fixture
def build(tmp_path):
    """Build the service with one more line in its configuration."""
    cores = []

    def build(line):
        cores.append(service.build(
            tmp_path, service.MEMORY.replace('[DEFAULT]', f'[DEFAULT]\n{line}')))
        return cores[-1]
    yield build
    for core in cores:
        core.close()


@pytest.fixture
def active():
    """Create an image with the data ``CHUNKS``."""
    def make(core, ctx):
        image = core.use_cases.images.create(ctx, core.schema.create(RAW))
        return core.use_cases.uploads.receive(ctx, image.id, iter(CHUNKS))
    return make


def damage(core, monkeypatch):
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(driver, 'read', lambda url, **named: iter([b'first', b'sEcond', b'last']))


@pytest.mark.parametrize('enabled', [True, False])
def test_md5_of_uploads_is_computed_only_if_configured(build, ctx, active, enabled):
    core = build(f'md5_checksum = {enabled}')

    image = active(core, ctx)

    assert image.checksum == (hashlib.md5(DATA).hexdigest() if enabled else None)
    assert image.os_hash_value == hashlib.sha512(DATA).hexdigest()


@pytest.mark.parametrize('enabled', [True, False])
def test_md5_of_added_data_is_computed_only_if_configured(build, ctx, active, enabled):
    core = build(f'md5_checksum = {enabled}')
    image = active(core, ctx)

    hashes = core.use_cases.locations._hashing.compute(image, 'sha256', ctx, lambda: True)

    assert hashes.get('checksum') == (hashlib.md5(DATA).hexdigest() if enabled else None)
    assert hashes['os_hash_value'] == hashlib.sha256(DATA).hexdigest()


def test_a_verified_download_withholds_the_last_chunk_of_damaged_data(
        build, ctx, active, monkeypatch):
    core = build('verify_downloads = true')
    image = active(core, ctx)
    assert read_data(core, ctx, image) == DATA
    damage(core, monkeypatch)
    received = []

    with pytest.raises(contract.Unavailable, match='is damaged'):
        received.extend(core.use_cases.downloads.open(ctx, image.id).chunks)

    assert received == [b'first', b'sEcond']


@pytest.mark.parametrize(('line', 'options'), [
    ('verify_downloads = false', {}), ('verify_downloads = true', {'range_header': 'bytes=0-'})],
    ids=['not verified', 'a range'])
def test_other_downloads_are_not_verified(build, ctx, active, monkeypatch, line, options):
    core = build(line)
    image = active(core, ctx)
    damage(core, monkeypatch)

    assert read_data(core, ctx, image, **options) == b'firstsEcondlast'


@pytest.mark.parametrize('hashes', [
    {'os_hash_value': None}, {'os_hash_value': None, 'checksum': None},
    {'os_hash_algo': 'of the future', 'os_hash_value': 'x'}], ids=['md5', 'none', 'unknown'])
def test_a_download_is_verified_with_the_hash_that_the_image_has(build, ctx, active, hashes):
    image = dataclasses.replace(active(build(''), ctx), **hashes)

    assert b''.join(verified(iter(CHUNKS), image)) == DATA


def one_piece(core, monkeypatch, data):
    """Let the store return ``data`` in one piece; return the pieces that were read of it."""
    read = []

    def chunks():
        read.append(data)
        yield data
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'read',
                        lambda url, *, offset=0, length=None, ctx=None: chunks())
    return read


def test_damaged_data_of_one_piece_is_refused_before_the_first_byte(
        build, ctx, active, monkeypatch):
    core = build('verify_downloads = true')
    image = active(core, ctx)
    one_piece(core, monkeypatch, b'firstsEcondlast')

    with pytest.raises(contract.Unavailable, match='is damaged'):
        core.use_cases.downloads.open(ctx, image.id)


def test_ranges_of_an_image_that_is_known_to_be_damaged_are_refused(
        build, ctx, active, monkeypatch):
    core = build('verify_downloads = true')
    image, intact = active(core, ctx), active(core, ctx)
    with monkeypatch.context() as patch:
        damage(core, patch)
        with pytest.raises(contract.Unavailable):
            read_data(core, ctx, image)

    with pytest.raises(contract.Unavailable, match='is damaged'):
        core.use_cases.downloads.open(ctx, image.id, range_header='bytes=0-1')
    assert read_data(core, ctx, intact, range_header='bytes=0-1') == b'fi'

    assert read_data(core, ctx, image) == DATA      # the data was restored meanwhile
    assert read_data(core, ctx, image, range_header='bytes=0-1') == b'fi'


def test_few_damaged_images_are_remembered(build, ctx, active, monkeypatch):
    monkeypatch.setattr('glancelite.services.download.MOST_DAMAGED', 1)
    core = build('verify_downloads = true')
    images = [active(core, ctx) for _ in range(2)]
    with monkeypatch.context() as patch:
        damage(core, patch)
        for image in images:
            with pytest.raises(contract.Unavailable):
                read_data(core, ctx, image)

    assert read_data(core, ctx, images[0], range_header='bytes=0-1') == b'fi'
    with pytest.raises(contract.Unavailable):
        read_data(core, ctx, images[1], range_header='bytes=0-1')


@pytest.mark.parametrize('error', [OSError(5, 'broken'), RuntimeError('library')])
def test_data_that_cannot_be_read_for_its_verification_is_unavailable(
        build, ctx, active, monkeypatch, error):
    core = build('verify_downloads = true')
    image = active(core, ctx)

    def broken():
        raise error
        yield
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'read', lambda url, **named: broken())

    with pytest.raises(contract.Unavailable):
        core.use_cases.downloads.open(ctx, image.id)


def test_a_verified_download_of_an_empty_image_is_empty(build, ctx):
    core = build('verify_downloads = true')
    image = core.use_cases.images.create(ctx, core.schema.create(RAW))
    core.use_cases.uploads.receive(ctx, image.id, iter([]), size=0)

    assert read_data(core, ctx, image) == b''


def test_closing_verified_chunks_closes_the_source(build, ctx, active):
    class Chunks:
        closed = False

        def __iter__(self):
            return iter(CHUNKS)

        def close(self):
            self.closed = True

    chunks = Chunks()

    verified(chunks, active(build(''), ctx)).close()

    assert chunks.closed
