"""``/v2/images/{image_id}/actions/...``: deactivate and reactivate images."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core


class Deactivate(Resource):

    def __init__(self, core: Core):
        super().__init__()
        self._images = core.use_cases.images

    @operation('Deactivate an image: refuse downloads of its data.', statuses=(204,))
    def post(self, request: Request, image_id: str) -> Response:
        self._images.deactivate(request.context, image_id)
        return Response.empty()


class Reactivate(Resource):

    def __init__(self, core: Core):
        super().__init__()
        self._images = core.use_cases.images

    @operation('Reactivate an image.', statuses=(204,))
    def post(self, request: Request, image_id: str) -> Response:
        self._images.reactivate(request.context, image_id)
        return Response.empty()
