"""``/v2/info/...``: information about the service."""

from __future__ import annotations

from glancelite import contract
from glancelite.api.message import Request, Response, encode_json
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core
from glancelite.services.discovery import Discovery


class Usage(Resource):
    """``/v2/info/usage``: limits in the identity service, which this service does not use."""

    REJECTS_METHODS = False

    @operation("Show the project's usage of its limits.", returns='object', ignores_body=True)
    def get(self, request: Request) -> Response:
        return Response.json(b'{"usage": {}}')


class Stores(Resource):
    """``/v2/info/stores``: the stores, for all users."""

    def __init__(self, core: Core):
        super().__init__({'detail': StoresDetail(core)})
        self._discovery = core.use_cases.discovery

    @operation('List the stores.', returns='object')
    def get(self, request: Request) -> Response:
        _require_stores(self._discovery)
        return Response.json(encode_json({'stores': self._discovery.stores()}))


class StoresDetail(Resource):
    """``/v2/info/stores/detail``: the stores with details for operators."""

    def __init__(self, core: Core):
        super().__init__()
        self._discovery = core.use_cases.discovery

    @operation('List the stores with their properties.', returns='object')
    def get(self, request: Request) -> Response:
        _require_stores(self._discovery)
        return Response.json(encode_json({'stores': self._discovery.detail(request.context)}))


def _require_stores(discovery: Discovery) -> None:
    if not discovery.multi:
        raise contract.NotFound('Multi backend is not supported at this site.')
