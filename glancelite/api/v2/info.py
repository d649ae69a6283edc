"""``/v2/info/...``: what the service says of itself."""

from __future__ import annotations

from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response, encoded
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Usage(Resource):
    """``/v2/info/usage``: limits that an identity service keeps; without it there are none."""

    REJECTS = False

    @operation("Show the project's use of its limits.", gives='object', ignores_body=True)
    def get(self, request: Request) -> Response:
        return Response.json(b'{"usage": {}}')


class Stores(Resource):
    """``/v2/info/stores``: where images can be kept."""

    def __init__(self, core: Any):
        super().__init__({'detail': StoresDetail(core)})
        self._discovery = core.discovery

    @operation('List the stores.', gives='object')
    def get(self, request: Request) -> Response:
        _require_stores(self._discovery)
        return Response.json(encoded({'stores': self._discovery.stores()}))


class StoresDetail(Resource):
    """``/v2/info/stores/detail``: what operators want to know of them."""

    def __init__(self, core: Any):
        super().__init__()
        self._discovery = core.discovery

    @operation('List the stores with their properties.', gives='object')
    def get(self, request: Request) -> Response:
        _require_stores(self._discovery)
        found = self._discovery.detail(request.context)
        return Response.json(encoded({'stores': found}))


def _require_stores(discovery: Any) -> None:
    if not discovery.multi:
        raise contract.NotFound('Multi backend is not supported at this site.')
