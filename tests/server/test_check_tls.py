"""Each TLS file that cannot be used is named, with the reason."""

import subprocess

import pytest
from oslo_config import cfg

from glancelite import server


@pytest.fixture(scope='module')
def files(certificates, tmp_path_factory):
    """The paths of valid and invalid files by name; None has none."""
    cert, key = certificates
    folder = tmp_path_factory.mktemp('files')
    other = folder / 'other.pem'
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-out', other], check=True, capture_output=True)
    encrypted = folder / 'encrypted.pem'
    subprocess.run(['openssl', 'pkey', '-in', key, '-aes256', '-passout', 'pass:secret',
                    '-out', encrypted], check=True, capture_output=True)
    damaged = folder / 'damaged.pem'
    damaged.write_text('-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n')
    return {'cert': cert, 'key': key, 'other': other, 'encrypted': encrypted,
            'damaged': damaged, 'missing': folder / 'missing.pem', None: None}


def check(files, cert, key, ca):
    conf = cfg.ConfigOpts()
    server.register(conf)
    conf([], project='lab')
    for name, file in (('cert_file', cert), ('key_file', key), ('ca_file', ca)):
        conf.set_override(name, str(files[file]) if file else None)
    server.check_tls(conf)


@pytest.mark.parametrize(('cert', 'key', 'ca', 'text'), [
    ('missing', 'key', 'cert', 'cert_file cannot be read: '),
    ('cert', 'missing', 'cert', 'key_file cannot be read: '),
    ('cert', 'key', 'missing', 'ca_file cannot be read: '),
    ('damaged', 'key', None, 'cert_file holds no valid certificate'),
    ('cert', 'key', 'damaged', 'ca_file holds no valid certificate'),
    ('cert', 'key', 'key', 'ca_file holds no valid certificate'),
    ('cert', 'cert', None, 'key_file holds no private key'),
    ('cert', 'other', None, 'key_file is not the key of the certificate in cert_file'),
    ('cert', 'encrypted', None, 'key_file holds no private key that can be used without a'),
    ('cert', None, None, 'cert_file (key_file is not set) holds no private key'),
    (None, 'key', None, 'key_file and ca_file require cert_file'),
])
def test_the_option_that_is_wrong_is_named(files, cert, key, ca, text):
    with pytest.raises(server.CannotStart) as failure:
        check(files, cert, key, ca)

    assert str(failure.value).startswith(text)
    assert '\n' not in str(failure.value)


@pytest.mark.parametrize('ca', ['cert', None])
def test_valid_files_are_accepted(files, ca):
    check(files, 'cert', 'key', ca)
