"""``/v2/images/{image_id}/locations`` and ``/v2/stores``: where the data of an image is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.domain import digests
from glancelite.schema import views

#: characters of a URL, as in a PATCH of the locations
LONGEST = 255
_EXPECTED = frozenset({'os_hash_algo', 'os_hash_value'})


class Locations(Resource):
    """``/v2/images/{image_id}/locations``."""

    def __init__(self, core: Any):
        super().__init__()
        self._locations = core.locations

    @operation('List where the data of an image is.', gives='object')
    def get(self, request: Request, image_id: str) -> Response:
        return Response.json(views.locations(self._locations.list(request.context, image_id)))

    @operation('Give an image data that is in a store already.', takes='object', answers=(202,))
    def post(self, request: Request, image_id: str) -> Response:
        url, expected = _location(request.json_object())
        self._locations.add(request.context, image_id, url, expected)
        return Response.empty(202)


class Copy(Resource):
    """``/v2/stores/{store}/{image_id}``."""

    def __init__(self, core: Any):
        super().__init__()
        self._locations = core.locations

    @operation('Remove the copy of an image from one store.', answers=(204,))
    def delete(self, request: Request, store: str, image_id: str) -> Response:
        self._locations.remove_copy(request.context, store, image_id)
        return Response.empty()


def _location(body: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """The URL and the expected hash, checked for their shape.

    :raises Invalid: it is not what the contract says.
    """
    url = body.get('url')
    if not isinstance(url, str) or len(url) > LONGEST:
        raise contract.Invalid("The body must name the 'url' of the data, in at most "
                               f'{LONGEST} characters.')
    expected = body.get('validation_data', {})
    if expected == {}:
        return url, {}
    if not isinstance(expected, dict) or expected.keys() != _EXPECTED or not all(
            isinstance(value, str) for value in expected.values()):
        raise contract.Invalid("'validation_data' has the two texts 'os_hash_algo' and "
                               "'os_hash_value'.")
    if expected['os_hash_algo'] not in digests.ALGORITHMS:
        raise contract.Invalid(f'os_hash_algo must be one of {", ".join(digests.ALGORITHMS)}.')
    return url, expected
