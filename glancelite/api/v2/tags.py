"""``/v2/images/{image_id}/tags/{tag}``: single tags."""

from __future__ import annotations

from typing import Any

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Tag(Resource):

    def __init__(self, core: Any):
        super().__init__()
        self._tags = core.tags

    @operation('Tag an image.', answers=(204,))
    def put(self, request: Request, image_id: str, tag: str) -> Response:
        self._tags.add(request.context, image_id, tag)
        return Response.empty()

    @operation('Take a tag away.', answers=(204,))
    def delete(self, request: Request, image_id: str, tag: str) -> Response:
        self._tags.remove(request.context, image_id, tag)
        return Response.empty()
