"""The bucket that the options name, and the URLs of its objects, as Glance writes them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from glancelite import contract
from glancelite.contract import store_rules

SCHEMES = ('s3', 's3+http', 's3+https')

_HOST = re.compile(r'[^\s/?#@\\]+(?:/[^\s?#@\\]+)?')
_AMAZON = re.compile(r's3[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?')
_PORTS = {'http': ':80', 'https': ':443'}


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectLocation:
    """The parts of an object's URL.

    :ivar credentials: access key and secret key of an old URL.
    """

    bucket: str
    key: str
    credentials: tuple[str, str] | None = dataclasses.field(default=None, repr=False)


class Bucket:
    """The bucket of a store, at its endpoint.

    :param host: name or address of the endpoint, optionally with ``http://`` (the default) or
        ``https://`` in front.
    :param name: of the bucket.
    :param region: empty if the operator does not set it.
    :param former_hosts: other hosts in the URLs of this store's objects.
    :param former_buckets: other buckets of the endpoint with objects of this store.
    :raises Misconfigured: the host or the name is invalid.

    :ivar endpoint: URL for boto3; None to let boto3 choose Amazon's endpoint by the region.
    :ivar region: empty if it is unknown.
    """

    def __init__(self, host: str | None, name: str | None, region: str | None = None, *,
                 former_hosts: Iterable[str] = (), former_buckets: Iterable[str] = ()):
        protocol, rest = _split_protocol(host or '')
        if protocol not in _PORTS or not _HOST.fullmatch(rest):
            raise contract.Misconfigured(
                's3_store_host must be the host of the S3 endpoint, optionally with a port and '
                'with http:// or https:// in front')
        name = (name or '').strip()
        if not name or re.search(r'[\s/?#@\\]', name):
            raise contract.Misconfigured('s3_store_bucket must be the name of a bucket')
        self.name = name
        self.secure = protocol == 'https'
        self._protocol = protocol
        self._host = self._normalize(rest)
        self._hosts = {self._host, *(self._normalize(_split_protocol(former)[1])
                                     for former in former_hosts)}
        self._buckets = {name, *former_buckets}
        self._prefix = f'{"s3+https" if self.secure else "s3"}://{rest}/{name}'
        amazon = _AMAZON.fullmatch(self._host.partition(':')[0])
        self.endpoint = f'{protocol}://{rest}' if region or not amazon else None
        self.region = region or (amazon['region'] if amazon else '')

    def __str__(self) -> str:
        return f'{self._host}/{self.name}'

    def url(self, key: str) -> str:
        """Return the URL of a key, without credentials.

        :raises Invalid: the key is invalid.
        """
        store_rules.check_key(key)
        return f'{self._prefix}/{key}'

    def parse(self, url: str) -> ObjectLocation | None:
        """Return the object that ``url`` refers to; None if it is not one of this store's.

        The protocol in the URL does not matter: the one of the configuration is used.
        """
        scheme, separator, rest = url.partition('://')
        if not separator or scheme not in SCHEMES:
            return None
        credentials, _, rest = rest.rpartition('@')     # a secret may have any characters
        rest, _, key = rest.rpartition('/')
        host, _, bucket = rest.rpartition('/')
        if (bucket in self._buckets and self._normalize(host) in self._hosts
                and store_rules.KEY.fullmatch(key)):
            return ObjectLocation(bucket, key, _parse_credentials(credentials))
        return None

    def _normalize(self, host: str) -> str:
        name, slash, path = host.partition('/')
        return name.lower().removesuffix(_PORTS[self._protocol]) + slash + path


def _split_protocol(host: str) -> tuple[str, str]:
    """Return the protocol and the rest of a configured host."""
    protocol, separator, rest = host.strip().partition('://')
    return (protocol, rest.strip('/')) if separator else ('http', protocol.strip('/'))


def _parse_credentials(text: str) -> tuple[str, str] | None:
    # Swift's access keys are account:user; secret keys with a colon are not known
    access, separator, secret = text.rpartition(':')
    return (access, secret) if separator and access and secret else None


def redact(url: str) -> str:
    """Return the URL without credentials.

    These may contain slashes; what follows them has no ``@``.
    """
    scheme, _, rest = url.partition('://')
    return f'{scheme}://{rest.rpartition("@")[2]}'
