"""Signed images, and keys that go with their images, through the use cases."""

import threading

import pytest

from glancelite import contract
from glancelite.plugins.inspector.signature import SignatureInspector
from glancelite.testing import service
from glancelite.testing.fakes import FakeKeyManager
from tests.plugins import signing

DATA = b'what was signed' * 10_000
KEY = signing.KEYS['ECC_SECP384R1']()
KEY_ID = '5f3c5a4e-7d1c-4f0d-9d7e-2c1b4a6f8e90'
ENCRYPTED = {'cinder_encryption_key_id': KEY_ID,
             'cinder_encryption_key_deletion_policy': 'on_image_deletion'}


@pytest.fixture
def keys():
    found = FakeKeyManager()
    found.keys.add(KEY_ID)
    found.certificates['signer'] = signing.der(signing.certificate(KEY))
    return found


@pytest.fixture
def core(core, keys, host, make_plugin):
    host.key_manager = keys
    return service.exchange(core, key_manager=keys,
                            inspectors=[make_plugin(SignatureInspector)])


@pytest.fixture
def signed(queued):
    """A queued image whose data was signed."""
    return queued(**signing.properties(DATA, KEY, 'ECC_SECP384R1'))


def test_an_upload_of_what_was_signed_is_active_and_keeps_its_properties(core, ctx, signed):
    image = core.use_cases.uploads.receive(ctx, signed.id, iter([DATA[:1000], DATA[1000:]]))

    assert image.status == 'active'
    assert image.properties == signed.properties


def test_other_data_leaves_nothing_and_may_be_tried_again(core, ctx, signed, kept):
    store = core.layers.stores['fast'].driver

    with pytest.raises(contract.Invalid, match='not what was signed'):
        core.use_cases.uploads.receive(ctx, signed.id, iter([DATA, b'and more']))

    left = kept(signed)
    assert (left.status, left.size, left.checksum, left.locations) == ('queued', None, None, ())
    assert core.layers.database.images.usage(ctx.project).bytes == 0
    with pytest.raises(contract.NotFound):
        store.read(f'memory://fast/{signed.key}')
    assert core.use_cases.uploads.receive(ctx, signed.id, iter([DATA])).status == 'active'


def test_a_signature_that_cannot_be_right_is_refused_before_a_byte_is_read(core, ctx, queued,
                                                                           kept):
    image = queued(**signing.properties(DATA, KEY, 'ECC_SECP384R1', certificate_id='nobody'))
    source = iter([DATA])

    with pytest.raises(contract.Invalid, match='certificate nobody'):
        core.use_cases.uploads.receive(ctx, image.id, source)

    assert next(source) == DATA
    assert kept(image).status == 'queued'


def test_an_inspector_that_refuses_at_once_leaves_no_tap_of_another_open(core, ctx, signed):
    class Refuses(contract.Inspector):

        def open(self, image, *, ctx=None):
            raise contract.Invalid('not this one')

    core = service.exchange(core, inspectors=[*core.layers.inspectors, Refuses(None, None)])

    with pytest.raises(contract.Invalid, match='not this one'):
        core.use_cases.uploads.receive(ctx, signed.id, iter([DATA]))

    assert 'glancelite-signature' not in {each.name for each in threading.enumerate()}


# --- keys of Cinder's

def test_a_key_goes_with_its_image(core, ctx, active, keys):
    core.use_cases.images.delete(ctx, active(**ENCRYPTED).id)

    assert keys.keys == set()
    assert keys.callers == [ctx]


@pytest.mark.parametrize('properties', [
    {**ENCRYPTED, 'cinder_encryption_key_deletion_policy': 'do_not_delete'},
    {'cinder_encryption_key_id': KEY_ID},
    {'cinder_encryption_key_deletion_policy': 'on_image_deletion'},
    {**ENCRYPTED, 'cinder_encryption_key_id': ''}, {}])
def test_other_keys_stay(core, ctx, active, keys, properties):
    core.use_cases.images.delete(ctx, active(**properties).id)

    assert keys.callers == []


def test_a_key_that_cannot_be_removed_does_not_keep_an_image(core, ctx, active, keys, caplog):
    keys.keys.clear()
    image = active(**ENCRYPTED)

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)
    assert f'the key {KEY_ID!r} of the deleted image {image.id} was not deleted' in caplog.text


def test_an_image_that_stays_keeps_its_key(core, ctx, active, keys, monkeypatch):
    image = active(**ENCRYPTED)

    def in_use(url, *, ctx=None):
        raise contract.InUse('a volume was made of it')
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete', in_use)

    with pytest.raises(contract.InUse):
        core.use_cases.images.delete(ctx, image.id)

    assert keys.keys == {KEY_ID}
