"""The import method ``web-download``: data from a web server that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import digests
from glancelite.plugins.importer import download
from glancelite.support import outbound


class WebDownload(contract.Importer):
    """Downloads ``uri``, if ``[import_filtering_opts]`` allows it.

    With ``os_hash_algo`` and ``os_hash_value``, the data must have this hash as it is
    downloaded, before any step changes it.
    """

    OPTS = download.OPTS
    LIBRARY_OPTS = (outbound.register,)
    #: the URL with its password or query, which may be a signature
    SECRETS = frozenset({'secret_uri'})

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'web-download',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._client = outbound.make_client(options, conf)

    def check(self, ctx: contract.Context, image: contract.Image,
              method: Mapping[str, Any]) -> Mapping[str, Any]:
        uri = method.get('uri')
        if not isinstance(uri, str) or not uri:
            raise contract.Invalid("'uri' must be the URL of the data.")
        try:
            target = self._client.check(uri)
        except contract.Unavailable as error:       # no answer of the name service
            raise contract.Invalid(str(error)) from error
        shown = target.url.partition('?')[0]
        secret = {'secret_uri': uri} if target.authorization or '?' in target.path else {}
        return {'uri': shown, **secret, **_expected_hash(method)}

    def fetch(self, job: contract.Job) -> None:
        arguments = job.arguments
        url = arguments.get('secret_uri', arguments['uri'])
        limits = download.Limits(job.check, max_rate=self.options.max_rate,
                                 time_limit=self.options.time_limit)
        expected = None
        if 'os_hash_value' in arguments:
            expected = arguments['os_hash_algo'], arguments['os_hash_value']
        download.Download(
            lambda fields, check: self._client.open('GET', url, fields, while_waiting=check),
            job, limits, expected=expected).run()

    def close(self) -> None:
        self._client.close()


def _expected_hash(method: Mapping[str, Any]) -> Mapping[str, str]:
    if 'os_hash_algo' not in method and 'os_hash_value' not in method:
        return {}
    algorithm, value = method.get('os_hash_algo'), method.get('os_hash_value')
    if not isinstance(algorithm, str) or not isinstance(value, str):
        raise contract.Invalid("'os_hash_algo' and 'os_hash_value' must be given together, as "
                               'strings.')
    if algorithm not in digests.ALGORITHMS:
        raise contract.Invalid(f'os_hash_algo must be one of {", ".join(digests.ALGORITHMS)}.')
    return {'os_hash_algo': algorithm, 'os_hash_value': digests.parse_hash(algorithm, value)}
