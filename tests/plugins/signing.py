"""Certificates and signatures for tests."""

import base64
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'signer')])
#: ``img_signature_key_type`` -> makes a key of that kind
KEYS = {
    'RSA-PSS': lambda: rsa.generate_private_key(65537, 2048),
    'DSA': lambda: dsa.generate_private_key(2048),
    'ECC_SECP384R1': lambda: ec.generate_private_key(ec.SECP384R1()),
    'ECC_SECP521R1': lambda: ec.generate_private_key(ec.SECP521R1()),
}
HASHES = {'SHA-224': hashes.SHA224(), 'SHA-256': hashes.SHA256(), 'SHA-384': hashes.SHA384(),
          'SHA-512': hashes.SHA512()}


def certificate(key, *, begins=NOW - DAY, ends=NOW + DAY):
    """A certificate for the public half of a key, signed by itself."""
    return x509.CertificateBuilder(
        NAME, NAME, key.public_key(), x509.random_serial_number(), begins, ends,
    ).sign(key, hashes.SHA256())


def der(found):
    return found.public_bytes(serialization.Encoding.DER)


def pem(found):
    """Encode a certificate, or a private key without a password."""
    if isinstance(found, x509.Certificate):
        return found.public_bytes(serialization.Encoding.PEM)
    return found.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption())


def properties(data, key, kind='RSA-PSS', method='SHA-256', certificate_id='signer'):
    """Return the properties of an image whose data was signed with a key."""
    return {'img_signature': base64.b64encode(_sign(data, key, HASHES[method])).decode(),
            'img_signature_key_type': kind, 'img_signature_hash_method': method,
            'img_signature_certificate_uuid': certificate_id}


def _sign(data, key, method):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PSS(padding.MGF1(method), padding.PSS.MAX_LENGTH), method)
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(data, method)
    return key.sign(data, ec.ECDSA(method))
