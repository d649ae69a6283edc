"""Is the content what somebody has signed?"""

from __future__ import annotations

from cryptography import exceptions, x509
from oslo_config import cfg

from glancelite import contract
from glancelite.support.background import BackgroundCalls

#: of images, all of which must be there
PROPERTIES = ('img_signature', 'img_signature_hash_method', 'img_signature_key_type',
              'img_signature_certificate_uuid')


class SignatureInspector(contract.Inspector):
    """Verifies uploads of images that have the properties of a signature.

    The certificate comes from the key manager, with the rights of the caller. Whether its
    issuer is to be trusted is for those to judge who use the image, such as Nova.
    """

    OPTS = (
        cfg.BoolOpt('check_dates', default=False,
                    help='Refuse signatures whose certificate is not valid yet, or not any more.'),
        cfg.BoolOpt('require_complete', default=False,
                    help='Refuse the data of images that have some properties of a signature but '
                         'not all four; otherwise nothing is verified then.'),
    )

    def open(self, image, *, ctx=None):
        missing = [name for name in PROPERTIES if name not in image.properties]
        if missing:
            if self.options.require_complete and len(missing) < len(PROPERTIES):
                raise _failed(f'the image has no property {", ".join(missing)}')
            return None
        return SignatureTap(self._verifier(*map(image.properties.get, PROPERTIES), ctx))

    def _verifier(self, signature, hash_method, key_type, certificate_id, ctx):
        # here, as it takes long to import and most images are not signed
        from cursive import exception, signature_utils
        try:
            kind = signature_utils.SignatureKeyType.lookup(key_type)
            verifier = kind.create_verifier(
                signature_utils.get_signature(signature),
                signature_utils.get_hash_method(hash_method),
                self._public_key(certificate_id, kind, ctx))
        except exception.SignatureVerificationError as error:
            raise _failed(error.kwargs['reason']) from error
        except (ValueError, exceptions.UnsupportedAlgorithm) as error:
            raise _failed('the signature cannot be understood') from error
        if verifier is None:
            raise _failed('the signature is empty')
        return verifier

    def _public_key(self, certificate_id, kind, ctx):
        try:
            certificate = x509.load_der_x509_certificate(
                self.host.chosen(contract.KeyManager).certificate(
                    ctx or contract.Context(), certificate_id))
            key = certificate.public_key()
        except contract.Error as error:
            raise _failed(f'certificate {certificate_id}: {error}') from error
        except (ValueError, x509.InvalidVersion, exceptions.UnsupportedAlgorithm) as error:
            raise _failed(f'certificate {certificate_id} cannot be understood') from error
        if not isinstance(key, kind.public_key_type):
            raise _failed(f'certificate {certificate_id} has another kind of key than {kind.name}')
        if self.options.check_dates and not (
                certificate.not_valid_before_utc <= self.host.now()
                <= certificate.not_valid_after_utc):
            raise _failed(f'certificate {certificate_id} is valid from '
                          f'{certificate.not_valid_before_utc:%F %T} to '
                          f'{certificate.not_valid_after_utc:%F %T} UTC only')
        return key


class SignatureTap(contract.Inspection):
    """Hashes one upload, in a thread of its own, and judges in the end."""

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, verifier):
        self._verifier = verifier
        self._beside = BackgroundCalls(verifier.update, 'glancelite-signature')

    def feed(self, chunk):
        self._beside.call(chunk)

    def finish(self):
        self._beside.finish()
        try:
            self._verifier.verify()
        except (exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm,
                ValueError) as error:   # the last one is said of tiny keys
            raise _failed('this data is not what was signed') from error
        return {}

    def close(self):
        self._beside.cancel()


def _failed(reason):
    return contract.Invalid(f'Signature verification failed: {reason}.')
