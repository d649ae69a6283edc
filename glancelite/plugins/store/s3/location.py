"""Where S3 objects are: the URLs that Glance uses for them, and the options they come from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from glancelite import contract

SCHEMES = ('s3', 's3+http', 's3+https')

#: what the core calls its images; nobody needs other objects
KEY = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}')

_HOST = re.compile(r'[^\s/?#@\\]+(?:/[^\s?#@\\]+)?')
_AMAZON = re.compile(r's3[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?')
_PORTS = {'http': ':80', 'https': ':443'}


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """An object of ours.

    ``keys`` is what old URLs carry: access key and secret key, for as long as nothing better
    is known.
    """

    bucket: str
    key: str
    keys: tuple[str, str] | None = dataclasses.field(default=None, repr=False)


class Place:
    """One bucket of one endpoint.

    :param host: name or address of the endpoint, perhaps with ``http://`` or ``https://`` in
        front; without it, ``http`` is meant.
    :param region: '' if the operator did not say.
    :param former_hosts: what else the endpoint is called in URLs.
    :param former_buckets: other buckets of the endpoint that have images of ours.
    :raises Misconfigured: this is no host or no bucket.
    """

    def __init__(self, host: str | None, bucket: str | None, region: str | None = None, *,
                 former_hosts: Iterable[str] = (), former_buckets: Iterable[str] = ()):
        protocol, rest = _cut(host or '')
        if protocol not in _PORTS or not _HOST.fullmatch(rest):
            raise contract.Misconfigured(
                's3_store_host must be the host of the S3 endpoint, perhaps with a port and '
                'with http:// or https:// in front')
        bucket = (bucket or '').strip()
        if not bucket or re.search(r'[\s/?#@\\]', bucket):
            raise contract.Misconfigured('s3_store_bucket must be the name of a bucket')
        self.bucket = bucket
        self.secure = protocol == 'https'
        self._protocol = protocol
        self._known_as = self._plain(rest)
        self._hosts = {self._known_as, *(self._plain(_cut(former)[1]) for former in former_hosts)}
        self._buckets = {bucket, *former_buckets}
        self.prefix = f'{"s3+https" if self.secure else "s3"}://{rest}/{bucket}'
        amazon = _AMAZON.fullmatch(self._known_as.partition(':')[0])
        #: None where Amazon's own table knows better
        self.endpoint = f'{protocol}://{rest}' if region or not amazon else None
        #: '' if nobody knows
        self.region = region or (amazon['region'] if amazon else '')

    def __str__(self) -> str:
        return f'{self._known_as}/{self.bucket}'

    def url(self, key: str) -> str:
        """The URL of ``key``, without secrets.

        :raises Invalid: that is no key.
        """
        if not KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image in S3.')
        return f'{self.prefix}/{key}'

    def find(self, url: str) -> Found | None:
        """The object that ``url`` means; None if it is none of ours.

        With which protocol it was written does not matter: the one of the configuration
        is used.
        """
        scheme, found, rest = url.partition('://')
        if not found or scheme not in SCHEMES:
            return None
        keys, _, rest = rest.rpartition('@')    # a secret may have any characters
        host, *names = rest.rsplit('/', 2)
        if (len(names) == 2 and names[0] in self._buckets and self._plain(host) in self._hosts
                and KEY.fullmatch(names[1])):
            return Found(*names, _split(keys))
        return None

    def _plain(self, host: str) -> str:
        name, slash, path = host.partition('/')
        return name.lower().removesuffix(_PORTS[self._protocol]) + slash + path


def _cut(host: str) -> tuple[str, str]:
    """Protocol and the rest of what operators write for a host."""
    protocol, found, rest = host.strip().partition('://')
    return (protocol, rest.strip('/')) if found else ('http', protocol.strip('/'))


def _split(keys: str) -> tuple[str, str] | None:
    # Swift's access keys are account:user, and no secret key has been seen with a colon
    access, found, secret = keys.rpartition(':')
    return (access, secret) if found and access and secret else None


def redact(url: str) -> str:
    """Return the URL without keys.  Keys may contain slashes, what follows them has no ``@``."""
    scheme, _, rest = url.partition('://')
    return f'{scheme}://{rest.rpartition("@")[2]}'
