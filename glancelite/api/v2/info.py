"""``/v2/info/...``: what the service says of itself."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Usage(Resource):
    """``/v2/info/usage``: limits that an identity service keeps; without it there are none."""

    REJECTS = False

    @operation("Show the project's use of its limits.", gives='object', ignores_body=True)
    def get(self, request: Request) -> Response:
        return Response.json(b'{"usage": {}}')
