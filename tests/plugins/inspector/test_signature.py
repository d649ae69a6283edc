"""The inspector ``signature`` refuses data that does not match its signature."""

import dataclasses
import functools
import threading

import pytest

from glancelite import contract
from glancelite.plugins.inspector.signature import PROPERTIES, SignatureInspector
from glancelite.testing.contracts.inspector import InspectorContract, cut, image
from tests.plugins import signing

DATA = bytes(range(256)) * 1000
DAY = signing.DAY


@functools.cache
def key(kind='RSA-PSS'):
    return signing.KEYS[kind]()


class TestSignatureInspector(InspectorContract):

    @pytest.fixture
    def inspector(self, make_plugin):
        return make_plugin(SignatureInspector)


@pytest.fixture
def keep(host):
    """Puts a certificate, valid or not, into the key manager."""
    def put(found, certificate_id='signer'):
        host.key_manager.certificates[certificate_id] = (
            found if isinstance(found, bytes) else signing.der(found))
    return put


@pytest.fixture
def inspect(make_plugin):
    """Inspects data of an image with these properties; returns the result."""
    def show(properties, data=DATA, *, ctx=None, length=65_536, **options):
        inspection = make_plugin(SignatureInspector, **options).open(
            image(properties=properties), ctx=ctx)
        if inspection is None:
            return None
        try:
            for chunk in cut(memoryview(data), length):
                inspection.feed(chunk)
            return dict(inspection.finish())
        finally:
            inspection.close()
    return show


# --- signed images

@pytest.mark.parametrize('method', signing.HASHES)
@pytest.mark.parametrize('kind', signing.KEYS)
def test_data_that_was_signed_is_accepted_and_other_data_is_not(inspect, keep, kind, method):
    keep(signing.certificate(key(kind)))
    signed = signing.properties(DATA, key(kind), kind, method)

    assert inspect(signed) == {}
    for other in (DATA[:-1], DATA + b'x', b'', b'\1' + DATA[1:]):
        with pytest.raises(contract.Invalid, match=r'^Signature verification failed: '):
            inspect(signed, other)


def test_empty_data_can_be_signed(inspect, keep):
    keep(signing.certificate(key()))

    assert inspect(signing.properties(b'', key()), b'') == {}


def test_a_signature_with_another_key_is_refused(inspect, keep):
    keep(signing.certificate(key()))

    with pytest.raises(contract.Invalid, match='not what was signed'):
        inspect(signing.properties(DATA, signing.KEYS['RSA-PSS']()))


@pytest.mark.parametrize('container', ['bare', 'ova', None])
def test_every_container_is_verified(make_plugin, keep, container):
    keep(signing.certificate(key()))
    signed = image(container_format=container, properties=signing.properties(DATA, key()))

    inspection = make_plugin(SignatureInspector).open(signed)

    inspection.close()
    assert isinstance(inspection, contract.Inspection)


def test_the_key_manager_is_used_with_the_rights_of_the_caller(inspect, keep, host, context):
    caller = context(token='secret')
    keep(signing.certificate(key()))

    inspect(signing.properties(DATA, key()), ctx=caller)

    assert host.key_manager.callers == [caller]


# --- images without a valid signature

@pytest.mark.parametrize('missing', PROPERTIES)
def test_incomplete_signatures_are_not_verified_or_refused_as_an_option(
        inspect, host, missing):
    partial = signing.properties(DATA, key())
    del partial[missing]

    assert inspect(partial, b'anything') is None
    assert host.key_manager.callers == []
    with pytest.raises(contract.Invalid, match=f'has no property {missing}'):
        inspect(partial, require_complete=True)


def test_images_without_a_signature_are_always_accepted(inspect):
    assert inspect({'architecture': 'x86_64'}, require_complete=True) is None


@pytest.mark.parametrize(('name', 'value', 'reason'), [
    ('img_signature_hash_method', 'MD5', 'Invalid signature hash method: MD5'),
    ('img_signature_hash_method', '', 'Invalid signature hash method'),
    ('img_signature_key_type', 'RSA', 'Invalid signature key type: RSA'),
    ('img_signature_key_type', 'DSA', 'no key of the type DSA'),
    ('img_signature_key_type', 'ECC_SECP384R1', 'no key of the type ECC_SECP384R1'),
    ('img_signature', '', 'the signature is empty'),
    ('img_signature', 'x', 'base64'),
    ('img_signature', '\ud800', 'cannot be decoded'),
    ('img_signature_certificate_uuid', 'nobody', 'certificate nobody: There is no such'),
    ('img_signature_certificate_uuid', 'broken', 'certificate broken cannot be decoded'),
    ('img_signature_certificate_uuid', 'empty', 'certificate empty cannot be decoded'),
])
def test_an_invalid_signature_is_refused_before_the_data(make_plugin, keep, name, value, reason):
    keep(signing.certificate(key()))
    keep(b'\x30\x82nonsense', 'broken')
    keep(b'', 'empty')
    wrong = {**signing.properties(DATA, key()), name: value}

    with pytest.raises(contract.Invalid, match=reason):
        make_plugin(SignatureInspector).open(image(properties=wrong))


@pytest.mark.parametrize('error', [contract.Unavailable, contract.Forbidden])
def test_a_certificate_that_cannot_be_read_means_invalid(inspect, host, monkeypatch, error):
    def ask(ctx, certificate_id):
        raise error('not now')
    monkeypatch.setattr(host.key_manager, 'certificate', ask)

    with pytest.raises(contract.Invalid, match='certificate signer: not now'):
        inspect(signing.properties(DATA, key()))


def test_a_certificate_of_an_unknown_version_cannot_be_decoded(inspect, keep):
    found = signing.der(signing.certificate(key()))
    keep(found.replace(b'\xa0\x03\x02\x01\x02', b'\xa0\x03\x02\x01\x07', 1))

    with pytest.raises(contract.Invalid, match='certificate signer cannot be decoded'):
        inspect(signing.properties(DATA, key()))


def test_a_key_that_is_too_small_for_the_hash_means_invalid(inspect, keep, monkeypatch):
    keep(signing.certificate(key()))
    signed = signing.properties(DATA, key(), method='SHA-512')

    def too_small(*_):
        raise ValueError('Digest too large for key size')
    monkeypatch.setattr('cursive.verifiers.RSAVerifier.verify', too_small)

    with pytest.raises(contract.Invalid, match='not what was signed'):
        inspect(signed)


@pytest.mark.parametrize(('begins', 'ends'), [(-2, -1), (1, 2)])
def test_dates_are_checked_if_the_option_is_set(inspect, keep, host, begins, ends):
    host.clock = signing.NOW
    keep(signing.certificate(key(), begins=signing.NOW + begins * DAY,
                             ends=signing.NOW + ends * DAY))
    signed = signing.properties(DATA, key())

    assert inspect(signed) == {}
    with pytest.raises(contract.Invalid, match='is valid from'):
        inspect(signed, check_dates=True)
    keep(signing.certificate(key()))
    assert inspect(signed, check_dates=True) == {}


def test_an_interrupted_upload_leaves_no_thread(make_plugin, keep):
    keep(signing.certificate(key()))
    inspection = make_plugin(SignatureInspector).open(
        image(properties=signing.properties(DATA, key())))
    inspection.feed(DATA)

    inspection.close()

    assert 'glancelite-signature' not in {each.name for each in threading.enumerate()}


def test_inspections_of_two_images_are_independent(make_plugin, keep):
    keep(signing.certificate(key()))
    inspector = make_plugin(SignatureInspector)
    one = image(properties=signing.properties(b'one', key()))
    two = dataclasses.replace(one, properties=signing.properties(b'two', key()))

    inspections = [inspector.open(each) for each in (one, two)]
    for inspection, data in zip(inspections, (b'one', b'two'), strict=True):
        inspection.feed(data)

    assert [inspection.finish() for inspection in inspections] == [{}, {}]
