"""The import method ``glance-download``: an image of the same cloud, in another region."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import digests
from glancelite.plugins.importer import download
from glancelite.support import outbound
from glancelite.support.bracketed import BracketedList

#: bytes of the record of an image
MAX_RECORD = 1 << 20
INTERFACES = ('public', 'internal', 'admin')
#: names in the record of an image that are no custom properties, though a prefix may match
_ATTRIBUTES = frozenset({
    *contract.IMAGE_FIELDS, 'self', 'file', 'schema', 'direct_url', 'stores'})
_RESERVED = 'os_glance'


class GlanceDownload(contract.Importer):
    """Downloads with the token of the caller, from the endpoint in the caller's catalog.

    ``[import_filtering_opts]`` must allow the endpoint, with its port.  The token is never
    recorded, so only the process that accepted the request can go on.
    """

    NEEDS_TOKEN = True
    SECTION = 'glance_download_properties'
    OPTS = (
        cfg.Opt('extra_properties', BracketedList(),
                default=['hw_', 'trait:', 'os_distro', 'os_secure_boot', 'os_type'],
                help='Beginnings of the names of properties that glance-download copies from '
                     'the image in the other region.'),
        *download.OPTS,
    )
    LIBRARY_OPTS = (outbound.register,)

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'glance-download',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._client = outbound.make_client(options, conf)
        self._prefixes = tuple(filter(None, options.extra_properties))

    def check(self, ctx: contract.Context, image: contract.Image,
              method: Mapping[str, Any]) -> Mapping[str, Any]:
        region = method.get('glance_region')
        if not isinstance(region, str) or not region:
            raise contract.Invalid("'glance_region' must be the region of the image service.")
        image_id = method.get('glance_image_id')
        try:
            image_id = str(uuid.UUID(image_id))
        except (AttributeError, TypeError, ValueError):
            raise contract.Invalid("'glance_image_id' must be the id of an image there, a "
                                   'UUID.') from None
        interface = method.get('glance_service_interface', 'public')
        if interface not in INTERFACES:
            raise contract.Invalid("'glance_service_interface' must be one of "
                                   f'{", ".join(INTERFACES)}.')
        if not ctx.token:
            raise contract.Invalid('This import needs the token of a caller.')
        try:
            self._client.check(find_endpoint(ctx.catalog or (), region, interface))
        except contract.Unavailable as error:       # no answer of the name service
            raise contract.Invalid(str(error)) from error
        return {'glance_region': region, 'glance_image_id': image_id,
                'glance_service_interface': interface}

    def fetch(self, job: contract.Job) -> None:
        arguments, ctx = job.arguments, job.ctx
        if not ctx.token:
            raise contract.Conflict(
                'The import cannot go on: only the process that accepted the request has the '
                'token of the caller, and that process has ended. Import the image again.')
        endpoint = find_endpoint(ctx.catalog or (), arguments['glance_region'],
                                 arguments['glance_service_interface'])
        url = f'{endpoint}/v2/images/{arguments["glance_image_id"]}'
        secrets = {'X-Auth-Token': ctx.token}
        limits = download.Limits(job.check, max_rate=self.options.max_rate,
                                 time_limit=self.options.time_limit)
        record = self._record(url, secrets, limits.check)
        if record.get('status') != 'active':
            raise contract.Invalid(f'The image in the other region is {record.get("status")}, '
                                   'and must be active.')
        size = record.get('size')
        if not isinstance(size, int):
            raise contract.Invalid('The image in the other region has no size.')
        formats = {name: record[name] for name in ('disk_format', 'container_format')
                   if isinstance(record.get(name), str)}
        job.change(properties=self._properties(record), **formats)
        if size == 0:
            return
        # the data of an active image never changes, so that it needs no other validator
        download.Download(
            lambda fields, check: self._client.open(
                'GET', f'{url}/file', fields, secrets=secrets, while_waiting=check),
            job, limits, size=size, is_fixed=True, expected=_expected(record)).run()

    def _record(self, url: str, secrets: Mapping[str, str],
                check: Callable[[], None]) -> Mapping[str, Any]:
        """Return the record of the image."""
        response = self._client.open('GET', url, secrets=secrets, while_waiting=check)
        try:
            if response.status != 200:
                raise _refusal(response.status)
            text = response.read(MAX_RECORD)
        finally:
            response.close()
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise contract.Unavailable('The image service of the other region answers with '
                                       'something else than an image.')
        return record

    def _properties(self, record: Mapping[str, Any]) -> Mapping[str, str]:
        return {name: value for name, value in record.items()
                if name.startswith(self._prefixes) and not name.startswith(_RESERVED)
                and name not in _ATTRIBUTES and isinstance(value, str)}

    def close(self) -> None:
        self._client.close()


def find_endpoint(catalog: Sequence[Any], region: str, interface: str) -> str:
    """Return the URL of the image service, without the version of the API.

    :raises Invalid: the catalog has none for this region and interface.
    """
    for service in catalog:
        if service.get('type') != 'image':
            continue
        for endpoint in service.get('endpoints', ()):
            if (endpoint.get('interface') == interface
                    and region in (endpoint.get('region_id'), endpoint.get('region'))):
                return str(endpoint['url']).rstrip('/').removesuffix('/v2')
    raise contract.Invalid('The service catalog has no such endpoint of an image service: see '
                           "'glance_region' and 'glance_service_interface'.")


def _expected(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the algorithm and hash of the data, if the record has one that is known here."""
    algorithm, value = record.get('os_hash_algo'), record.get('os_hash_value')
    if algorithm in digests.ALGORITHMS and isinstance(value, str):
        return str(algorithm), value
    return None


def _refusal(status: int) -> contract.Error:
    if status == 401:
        return contract.Invalid('The image service of the other region rejects the token of the '
                                'caller (401).')
    if status == 404:
        return contract.Invalid('There is no such image in the other region, or the caller may '
                                'not see it (404).')
    return download.refusal(status)
