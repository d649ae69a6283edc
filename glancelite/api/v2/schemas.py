"""``/v2/schemas/...``: JSON schemas of the resources."""

from __future__ import annotations

from collections.abc import Mapping

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Schema(Resource):
    """One schema document; it does not change while the service runs."""

    def __init__(self, document: bytes):
        super().__init__()
        self._body = document

    @operation('Show the schema of a resource.', returns='object')
    def get(self, request: Request) -> Response:
        return Response.json(self._body)


class TaskSchema(Schema):
    """A schema document of tasks: Glance ignores a body in these requests only."""

    @operation('Show the schema of a resource.', returns='object', ignores_body=True)
    def get(self, request: Request) -> Response:
        return super().get(request)


def schemas(documents: Mapping[str, bytes]) -> Resource:
    """Return the resource with all documents; a name may have a slash: ``metadefs/tag``."""
    children: dict[str, Resource] = {}
    groups: dict[str, dict[str, bytes]] = {}
    for name, document in documents.items():
        first, _, rest = name.partition('/')
        if rest:
            groups.setdefault(first, {})[rest] = document
        else:
            children[first] = (TaskSchema if first in ('task', 'tasks') else Schema)(document)
    children.update((name, schemas(group)) for name, group in groups.items())
    return Resource(children)
