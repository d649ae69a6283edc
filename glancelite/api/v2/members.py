"""``/v2/images/{image_id}/members``: with whom an image is shared."""

from __future__ import annotations

import datetime
from typing import Any

from glancelite import contract
from glancelite.api.message import Request, Response, encoded
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Members(Resource):
    """``/v2/images/{image_id}/members``."""

    def __init__(self, core: Any):
        super().__init__(each=Member(core))
        self._members = core.members

    @operation('List the members of an image.')
    def get(self, request: Request, image_id: str) -> Response:
        found = self._members.list(request.context, image_id)
        return Response.json(encoded({'members': [_shown(member) for member in found],
                                      'schema': '/v2/schemas/members'}))

    @operation('Share an image with a project.', body='json')
    def post(self, request: Request, image_id: str) -> Response:
        member = _only(request.json_object(), 'member')
        return _response(self._members.add(request.context, image_id, member))


class Member(Resource):
    """``/v2/images/{image_id}/members/{member_id}``."""

    def __init__(self, core: Any):
        super().__init__()
        self._members = core.members

    @operation('Show a member of an image.')
    def get(self, request: Request, image_id: str, member: str) -> Response:
        return _response(self._members.get(request.context, image_id, member))

    @operation('Accept an image, or reject it.', body='json')
    def put(self, request: Request, image_id: str, member: str) -> Response:
        status = _only(request.json_object(), 'status')
        return _response(self._members.set_status(request.context, image_id, member, status))

    @operation('Share an image with a project no longer.', answers=(204,))
    def delete(self, request: Request, image_id: str, member: str) -> Response:
        self._members.remove(request.context, image_id, member)
        return Response.empty()


def _only(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        raise contract.Invalid(f'The body must name the {name}.')
    return body[name]


def _response(member: contract.Member) -> Response:
    return Response.json(encoded(_shown(member)))


def _shown(member: contract.Member) -> dict[str, Any]:
    return {'member_id': member.member, 'image_id': member.image_id, 'status': member.status,
            'created_at': _time(member.created_at), 'updated_at': _time(member.updated_at),
            'schema': '/v2/schemas/member'}


def _time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else f'{moment:%Y-%m-%dT%H:%M:%SZ}'
