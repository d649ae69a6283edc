"""The options of a plugin that uses the client: certificates, proxies and timeouts."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from glancelite.contract import Misconfigured
from glancelite.support.outbound.client import Client
from glancelite.support.outbound.rules import Rules


def client_opts(*, insecure: bool) -> tuple[cfg.Opt, ...]:
    """Return the options, for ``OPTS`` of a plugin.

    :param insecure: the default of ``https_insecure``.
    """
    return (
        cfg.StrOpt('https_ca_certificates_file',
                   help='PEM file with the certificate authorities for checking the certificates '
                        'of web servers. Takes precedence over https_insecure.'),
        cfg.BoolOpt('https_insecure', default=insecure,
                    help='Do not check the certificates of web servers. Anyone on the network '
                         'path can then replace the data. Set it to false unless all web '
                         'servers are trusted and the hashes of images are checked.'),
        cfg.DictOpt('http_proxy_information', default={}, secret=True,
                    sample_default='http:10.0.0.1:3128, https:10.0.0.1:1080',
                    help='Proxies: comma-separated scheme:proxy. The proxy resolves host names, '
                         'so it should refuse loopback and link-local addresses itself.'),
        cfg.FloatOpt('http_connect_timeout', default=10, min=0.1,
                     help='Seconds to wait for a connection to a web server.'),
        cfg.FloatOpt('http_read_timeout', default=60, min=0.1,
                     help='Seconds to wait for the next bytes of a web server. It must also send '
                          'at least 1 KiB/s on average over this time.'),
    )


def checks_certificates(options: Any) -> bool:
    """Return whether certificates are checked with these options."""
    return bool(options.https_ca_certificates_file or not options.https_insecure)


def make_client(options: Any, conf: Any) -> Client:
    """Build a client.

    :param options: values of ``client_opts``.
    :param conf: a ``ConfigOpts`` with the options of ``register``.
    :raises Misconfigured: a file or an address is invalid.
    """
    try:
        return Client(
            Rules(conf), verify=options.https_ca_certificates_file or checks_certificates(options),
            proxies=options.http_proxy_information, connect_timeout=options.http_connect_timeout,
            read_timeout=options.http_read_timeout)
    except Misconfigured as error:
        raise Misconfigured(f'https_ca_certificates_file or http_proxy_information '
                            f'is invalid: {error}') from error
