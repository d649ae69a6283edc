"""``/v2/images/{image_id}/members``: with whom an image is shared."""

from __future__ import annotations

from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.schema import views


class Members(Resource):
    """``/v2/images/{image_id}/members``."""

    def __init__(self, core: Any):
        super().__init__(each=Member(core))
        self._members = core.members

    @operation('List the members of an image.', gives='members')
    def get(self, request: Request, image_id: str) -> Response:
        found = self._members.list(request.context, image_id)
        return Response.json(views.members(found))

    @operation('Share an image with a project.', takes='object', gives='member')
    def post(self, request: Request, image_id: str) -> Response:
        member = _only(request.json_object(), 'member')
        added = self._members.add(request.context, image_id, member)
        return Response.json(views.member(added))


class Member(Resource):
    """``/v2/images/{image_id}/members/{member_id}``."""

    def __init__(self, core: Any):
        super().__init__()
        self._members = core.members

    @operation('Show a member of an image.', gives='member')
    def get(self, request: Request, image_id: str, member: str) -> Response:
        found = self._members.get(request.context, image_id, member)
        return Response.json(views.member(found))

    @operation('Accept an image, or reject it.', takes='object', gives='member')
    def put(self, request: Request, image_id: str, member: str) -> Response:
        status = _only(request.json_object(), 'status')
        changed = self._members.set_status(request.context, image_id, member, status)
        return Response.json(views.member(changed))

    @operation('Share an image with a project no longer.', answers=(204,))
    def delete(self, request: Request, image_id: str, member: str) -> Response:
        self._members.remove(request.context, image_id, member)
        return Response.empty()


def _only(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        raise contract.Invalid(f'The body must name the {name}.')
    return body[name]
