"""Verifies the signatures of images."""

from __future__ import annotations

from typing import Any

from cryptography import exceptions, x509
from oslo_config import cfg

from glancelite import contract
from glancelite.support.background import BackgroundCalls

#: properties of a signed image; all are required
PROPERTIES = ('img_signature', 'img_signature_hash_method', 'img_signature_key_type',
              'img_signature_certificate_uuid')


class SignatureInspector(contract.Inspector):
    """Verifies uploads of images that have the properties of a signature.

    The certificate is read from the key manager with the rights of the caller.  Its issuer
    is not checked: that is left to users of the image, such as Nova.
    """

    OPTS = (
        cfg.BoolOpt('check_dates', default=False,
                    help='Refuse signatures whose certificate has expired or is not valid yet.'),
        cfg.BoolOpt('require_complete', default=False,
                    help='Refuse data of images that have some but not all four properties of a '
                         'signature; otherwise such data is not verified.'),
    )

    def open(self, image: contract.Image, *,
             ctx: contract.Context | None = None) -> SignatureInspection | None:
        missing = [name for name in PROPERTIES if name not in image.properties]
        if missing:
            if self.options.require_complete and len(missing) < len(PROPERTIES):
                raise _failed(f'the image has no property {", ".join(missing)}')
            return None
        return SignatureInspection(self._verifier(image, ctx))

    def _verifier(self, image: contract.Image, ctx: contract.Context | None) -> Any:
        signature, hash_method, key_type, certificate_id = (
            image.properties[name] for name in PROPERTIES)
        # imported here because it takes long, and most images are not signed
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
            raise _failed('the signature cannot be decoded') from error
        if verifier is None:
            raise _failed('the signature is empty')
        return verifier

    def _public_key(self, certificate_id: str, kind: Any,
                    ctx: contract.Context | None) -> Any:
        try:
            certificate = x509.load_der_x509_certificate(
                self.host.chosen(contract.KeyManager).certificate(  # type: ignore[type-abstract]
                    ctx or contract.Context(), certificate_id))
            key = certificate.public_key()
        except contract.Error as error:
            raise _failed(f'certificate {certificate_id}: {error}') from error
        except (ValueError, x509.InvalidVersion, exceptions.UnsupportedAlgorithm) as error:
            raise _failed(f'certificate {certificate_id} cannot be decoded') from error
        if not isinstance(key, kind.public_key_type):
            raise _failed(f'certificate {certificate_id} has no key of the type {kind.name}')
        if self.options.check_dates and not (
                certificate.not_valid_before_utc <= self.host.now()
                <= certificate.not_valid_after_utc):
            raise _failed(f'certificate {certificate_id} is valid from '
                          f'{certificate.not_valid_before_utc:%F %T} to '
                          f'{certificate.not_valid_after_utc:%F %T} UTC only')
        return key


class SignatureInspection(contract.Inspection):
    """Hashes one upload in a background thread, and verifies the signature at the end."""

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, verifier: Any):
        self._verifier = verifier
        self._hashing: BackgroundCalls[bytes] = BackgroundCalls(
            verifier.update, 'glancelite-signature')

    def feed(self, chunk: bytes) -> None:
        self._hashing.call(chunk)

    def finish(self) -> dict[str, object]:
        self._hashing.finish()
        try:
            self._verifier.verify()
        except (exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm,
                ValueError) as error:   # ValueError: the key is too small
            raise _failed('this data is not what was signed') from error
        return {}

    def close(self) -> None:
        self._hashing.cancel()


def _failed(reason: str) -> contract.Invalid:
    return contract.Invalid(f'Signature verification failed: {reason}.')
