"""What operators decide about hashes: whether md5 is worth it, and who looks at downloads."""

import dataclasses
import hashlib

import pytest

from glancelite import contract
from glancelite.services.stream import verified
from glancelite.testing import service
from tests.services.conftest import RAW

PIECES = [b'first', b'second', b'last']
WHOLE = b''.join(PIECES)


@pytest.fixture
def build(tmp_path):
    """The service with one more line in its configuration."""
    built = []

    def build(line):
        built.append(service.build(
            tmp_path, service.MEMORY.replace('[DEFAULT]', f'[DEFAULT]\n{line}')))
        return built[-1]
    yield build
    for core in built:
        core.close()


@pytest.fixture
def active():
    """An image with the data of ``PIECES``."""
    def make(core, ctx):
        image = core.use_cases.images.create(ctx, core.schema.create(RAW))
        return core.use_cases.uploads.receive(ctx, image.id, iter(PIECES))
    return make


def damage(core, monkeypatch):
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(driver, 'read', lambda url, **named: iter([b'first', b'sEcond', b'last']))


@pytest.mark.parametrize('wanted', [True, False])
def test_md5_is_computed_where_it_is_wanted(build, ctx, active, wanted):
    core = build(f'md5_checksum = {wanted}')

    image = active(core, ctx)

    assert image.checksum == (hashlib.md5(WHOLE).hexdigest() if wanted else None)
    assert image.os_hash_value == hashlib.sha512(WHOLE).hexdigest()


@pytest.mark.parametrize('wanted', [True, False])
def test_md5_of_added_data_is_computed_where_it_is_wanted(build, ctx, active, wanted):
    core = build(f'md5_checksum = {wanted}')
    image = active(core, ctx)

    found = core.use_cases.locations._hashing.compute(image, 'sha256', ctx, lambda: True)

    assert found.get('checksum') == (hashlib.md5(WHOLE).hexdigest() if wanted else None)
    assert found['os_hash_value'] == hashlib.sha256(WHOLE).hexdigest()


def test_the_last_of_damaged_data_does_not_go_out_where_downloads_are_verified(
        build, ctx, active, monkeypatch):
    core = build('verify_downloads = true')
    image = active(core, ctx)
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == WHOLE
    damage(core, monkeypatch)
    given = []

    with pytest.raises(contract.Unavailable, match='is damaged'):
        given.extend(core.use_cases.downloads.open(ctx, image.id).chunks)

    assert given == [b'first', b'sEcond']


@pytest.mark.parametrize(('line', 'wanted'), [
    ('verify_downloads = false', {}), ('verify_downloads = true', {'range_header': 'bytes=0-'})],
    ids=['not verified', 'a part'])
def test_other_downloads_are_not_verified(build, ctx, active, monkeypatch, line, wanted):
    core = build(line)
    image = active(core, ctx)
    damage(core, monkeypatch)

    assert (
        b''.join(core.use_cases.downloads.open(ctx, image.id, **wanted).chunks)
        == b'firstsEcondlast'
    )


@pytest.mark.parametrize('hashes', [
    {'os_hash_value': None}, {'os_hash_value': None, 'checksum': None},
    {'os_hash_algo': 'of the future', 'os_hash_value': 'x'}], ids=['md5', 'none', 'unknown'])
def test_it_is_verified_by_what_there_is(build, ctx, active, hashes):
    image = dataclasses.replace(active(build(''), ctx), **hashes)

    assert b''.join(verified(iter(PIECES), image)) == WHOLE


def test_what_nobody_reads_is_closed(build, ctx, active):
    class Chunks:
        closed = False

        def __iter__(self):
            return iter(PIECES)

        def close(self):
            self.closed = True

    chunks = Chunks()

    verified(chunks, active(build(''), ctx)).close()

    assert chunks.closed
