"""``/v2/images/{image_id}/tags/{tag}``: one tag of an image."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core


class Tag(Resource):

    def __init__(self, core: Core):
        super().__init__()
        self._tags = core.use_cases.tags

    @operation('Add a tag to an image.', statuses=(204,))
    def put(self, request: Request, image_id: str, tag: str) -> Response:
        self._tags.add(request.context, image_id, tag)
        return Response.empty()

    @operation('Remove a tag from an image.', statuses=(204,))
    def delete(self, request: Request, image_id: str, tag: str) -> Response:
        self._tags.remove(request.context, image_id, tag)
        return Response.empty()
