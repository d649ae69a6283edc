"""``/v2/images/{image_id}/actions/...``: withhold the data of an image, or give it out again."""

from __future__ import annotations

from typing import Any

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Deactivate(Resource):

    def __init__(self, core: Any):
        super().__init__()
        self._images = core.images

    @operation('Withhold the data of an image.', answers=(204,))
    def post(self, request: Request, image_id: str) -> Response:
        self._images.deactivate(request.context, image_id)
        return Response.empty()


class Reactivate(Resource):

    def __init__(self, core: Any):
        super().__init__()
        self._images = core.images

    @operation('Give the data of an image out again.', answers=(204,))
    def post(self, request: Request, image_id: str) -> Response:
        self._images.reactivate(request.context, image_id)
        return Response.empty()
