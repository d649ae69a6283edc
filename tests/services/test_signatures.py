"""Uploads of signed images."""

import threading

import pytest

from glancelite import contract
from glancelite.plugins.inspector.signature import SignatureInspector
from glancelite.testing import service
from glancelite.testing.fakes import FakeKeyManager
from tests.plugins import signing

DATA = b'signed data' * 15_000
KEY = signing.KEYS['ECC_SECP384R1']()


@pytest.fixture
def keys():
    key_manager = FakeKeyManager()
    key_manager.certificates['signer'] = signing.der(signing.certificate(KEY))
    return key_manager


@pytest.fixture
def core(core, keys, host, make_plugin):
    host.key_manager = keys
    return service.exchange(core, key_manager=keys,
                            inspectors=[make_plugin(SignatureInspector)])


@pytest.fixture
def signed(queued):
    """A queued image with the signature of ``DATA``."""
    return queued(**signing.properties(DATA, KEY, 'ECC_SECP384R1'))


def test_an_upload_with_a_valid_signature_becomes_active(core, ctx, signed):
    image = core.use_cases.uploads.receive(ctx, signed.id, iter([DATA[:1000], DATA[1000:]]))

    assert image.status == 'active'
    assert image.properties == signed.properties


def test_data_that_was_not_signed_leaves_nothing_and_can_be_retried(core, ctx, signed, reread):
    store = core.layers.stores['fast'].driver

    with pytest.raises(contract.Invalid, match='not what was signed'):
        core.use_cases.uploads.receive(ctx, signed.id, iter([DATA, b'more data']))

    image = reread(signed)
    assert (image.status, image.size) == ('queued', None)
    assert (image.checksum, image.locations) == (None, ())
    assert core.layers.database.images.usage(ctx.project).bytes == 0
    with pytest.raises(contract.NotFound):
        store.read(f'memory://fast/{signed.key}')
    assert core.use_cases.uploads.receive(ctx, signed.id, iter([DATA])).status == 'active'


def test_an_invalid_signature_is_refused_before_data_is_read(core, ctx, queued, reread):
    image = queued(**signing.properties(DATA, KEY, 'ECC_SECP384R1', certificate_id='nobody'))
    source = iter([DATA])

    with pytest.raises(contract.Invalid, match='certificate nobody'):
        core.use_cases.uploads.receive(ctx, image.id, source)

    assert next(source) == DATA
    assert reread(image).status == 'queued'


def test_a_refusing_inspector_leaves_no_other_inspection_open(core, ctx, signed):
    class RefusingInspector(contract.Inspector):

        def open(self, image, *, ctx=None):
            raise contract.Invalid('not this one')

    core = service.exchange(core, inspectors=[*core.layers.inspectors,
                                              RefusingInspector(None, None)])

    with pytest.raises(contract.Invalid, match='not this one'):
        core.use_cases.uploads.receive(ctx, signed.id, iter([DATA]))

    assert 'glancelite-signature' not in {each.name for each in threading.enumerate()}
