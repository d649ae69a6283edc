"""``/v2/images/{image_id}/locations`` and ``/v2/stores``: the locations of an image's data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core
from glancelite.contract import digests
from glancelite.schema import views

#: maximum length of a URL, as in a PATCH of the locations
URL_LIMIT = 255
_VALIDATION_DATA = frozenset({'os_hash_algo', 'os_hash_value'})


class Locations(Resource):
    """``/v2/images/{image_id}/locations``."""

    def __init__(self, core: Core):
        super().__init__()
        self._locations = core.use_cases.locations
        self._images = core.use_cases.images

    @operation('List the locations of an image.', returns='object')
    def get(self, request: Request, image_id: str) -> Response:
        return Response.json(views.locations(self._locations.list(request.context, image_id)))

    @operation('Add the location of data that is in a store already.', accepts='object',
               statuses=(202,))
    def post(self, request: Request, image_id: str) -> Response:
        self._images.check_caller(request.context, 'add_image_location', image_id)
        url, expected = _parse_location(request.json_object())
        self._locations.add(request.context, image_id, url, expected)
        return Response.empty(202)


class StoreCopy(Resource):
    """``/v2/stores/{store}/{image_id}``."""

    def __init__(self, core: Core):
        super().__init__()
        self._locations = core.use_cases.locations

    @operation('Remove the copy of an image from one store.', statuses=(204,))
    def delete(self, request: Request, store: str, image_id: str) -> Response:
        self._locations.remove_copy(request.context, store, image_id)
        return Response.empty()


def _parse_location(body: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Return the URL and the expected hash.

    :raises Invalid: the body has another form.
    """
    url = body.get('url')
    if not isinstance(url, str) or len(url) > URL_LIMIT:
        raise contract.Invalid("The body must have the member 'url': a string of at most "
                               f'{URL_LIMIT} characters.')
    expected = body.get('validation_data', {})
    if expected == {}:
        return url, {}
    if not isinstance(expected, dict) or expected.keys() != _VALIDATION_DATA or not all(
            isinstance(value, str) for value in expected.values()):
        raise contract.Invalid("'validation_data' must have exactly the strings 'os_hash_algo' "
                               "and 'os_hash_value'.")
    if expected['os_hash_algo'] not in digests.ALGORITHMS:
        raise contract.Invalid(f'os_hash_algo must be one of {", ".join(digests.ALGORITHMS)}.')
    return url, expected
