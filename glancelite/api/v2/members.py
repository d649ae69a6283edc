"""``/v2/images/{image_id}/members``: the projects with which an image is shared."""

from __future__ import annotations

from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core
from glancelite.schema import views


class Members(Resource):
    """``/v2/images/{image_id}/members``."""

    def __init__(self, core: Core):
        super().__init__(variable=Member(core))
        self._members = core.use_cases.members
        self._images = core.use_cases.images

    @operation('List the members of an image.', returns='members')
    def get(self, request: Request, image_id: str) -> Response:
        return Response.json(views.members(self._members.list(request.context, image_id)))

    @operation('Share an image with a project.', accepts='object', returns='member')
    def post(self, request: Request, image_id: str) -> Response:
        self._images.check_caller(request.context, 'add_member', image_id)
        project = _required(request.json_object(), 'member')
        member = self._members.add(request.context, image_id, project)
        return Response.json(views.member(member))


class Member(Resource):
    """``/v2/images/{image_id}/members/{member_id}``."""

    def __init__(self, core: Core):
        super().__init__()
        self._members = core.use_cases.members
        self._images = core.use_cases.images

    @operation('Show a member of an image.', returns='member')
    def get(self, request: Request, image_id: str, member: str) -> Response:
        return Response.json(views.member(self._members.get(request.context, image_id, member)))

    @operation('Accept or reject a shared image.', accepts='object', returns='member')
    def put(self, request: Request, image_id: str, member: str) -> Response:
        self._images.check_caller(request.context, 'modify_member', image_id)
        status = _required(request.json_object(), 'status')
        changed = self._members.set_status(request.context, image_id, member, status)
        return Response.json(views.member(changed))

    @operation('Stop sharing an image with a project.', statuses=(204,))
    def delete(self, request: Request, image_id: str, member: str) -> Response:
        self._members.remove(request.context, image_id, member)
        return Response.empty()


def _required(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        raise contract.Invalid(f"The body must have the member '{name}'.")
    return body[name]
