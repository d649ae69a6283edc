"""Signed images and encrypted volumes, with the certificates and keys of a real Barbican."""

import base64
import io

import pytest
from openstack.image import image_signer

from tests.clients import case
from tests.clients.conftest import behind_keystone
from tests.plugins import signing


@pytest.fixture(scope='module')
def with_barbican(keystone, barbican):
    with behind_keystone(keystone, key_manager={'backend': 'barbican'}, barbican={
            'auth_endpoint': keystone.url, 'barbican_endpoint': barbican.url}) as service:
        service.barbican = barbican
        keystone.set_image_url(service.url)
        yield service


def properties(**named):
    return [word for pair in named.items() for word in ('--property', '='.join(pair))]


class TestSigned(case.Case):

    MODE = 'with_barbican'

    def setUp(self):
        super().setUp()
        self.key = signing.KEYS['RSA-PSS']()
        self.certificate = self.service.barbican.store(
            self.service.token(), signing.pem(signing.certificate(self.key)),
            secret_type='certificate')

    def files(self):
        return list(self.service.stored.iterdir())

    def test_signatures_of_the_sdk_are_verified(self):
        """The option ``--sign-key-path`` of the command is unusable: it sends ``b'...'``."""
        openstack, signer = self.service.openstack(self.home), image_signer.ImageSigner()
        data, image_id = case.random_data(), case.new_id()
        self.addCleanup(self.remove, image_id)
        signer.load_private_key(self.file(signing.pem(self.key), 'key'))
        signature = base64.b64encode(signer.generate_signature(io.BytesIO(data))).decode()

        openstack('image', 'create', '--id', image_id, '--file', self.file(data), '--disk-format',
                  'raw', '--container-format', 'bare', *properties(
                      img_signature=signature, img_signature_key_type=signer.padding_method,
                      img_signature_hash_method=signer.hash_method,
                      img_signature_certificate_uuid=self.certificate), 'signed')

        shown = openstack.json('image', 'show', image_id)
        assert shown['status'] == 'active'
        assert shown['properties']['img_signature'] == signature

    def test_data_that_was_not_signed_is_refused_and_discarded(self):
        before = self.files()
        image_id = self.image(**signing.properties(
            b'data', self.key, certificate_id=self.certificate))

        reply = self.request('PUT', f'/v2/images/{image_id}/file', b'date',
                             content_type='application/octet-stream')

        assert reply.status == 400
        assert b'Signature verification failed' in reply.body
        assert self.service.sdk().image.get_image(image_id).status == 'queued'
        assert self.files() == before
        assert self.request('PUT', f'/v2/images/{image_id}/file', b'data',
                            content_type='application/octet-stream').status == 204

    def test_a_certificate_of_another_project_is_refused(self):
        image_id = self.image(user='beta-member', **signing.properties(
            b'data', self.key, certificate_id=self.certificate))

        reply = self.request('PUT', f'/v2/images/{image_id}/file', b'data', user='beta-member',
                             content_type='application/octet-stream')

        assert reply.status == 400
        assert b'rejects the caller' in reply.body

    def test_the_key_of_an_encrypted_volume_is_deleted_with_its_image(self):
        barbican, token = self.service.barbican, self.service.token()
        keys = [barbican.store(token, b'0' * 32, secret_type='symmetric') for _ in range(2)]
        images = [self.image(b'data', cinder_encryption_key_id=key,
                             cinder_encryption_key_deletion_policy=policy)
                  for key, policy in zip(keys, ('on_image_deletion', 'do_not_delete'),
                                         strict=True)]

        for image_id in images:
            assert self.request('DELETE', f'/v2/images/{image_id}').status == 204

        assert [barbican.has(token, key) for key in keys] == [False, True]
