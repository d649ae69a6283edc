"""``/v2/schemas/...``: what resources look like, for clients that build themselves from it."""

from __future__ import annotations

from collections.abc import Mapping

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Schema(Resource):
    """One document, which never changes while the service runs."""

    def __init__(self, document: bytes):
        super().__init__()
        self._body = document

    @operation('Show the schema of a resource.', gives='object')
    def get(self, request: Request) -> Response:
        return Response.json(self._body)


class TaskSchema(Schema):
    """One of the two that Glance shows whatever comes along with the question."""

    @operation('Show the schema of a resource.', gives='object', ignores_body=True)
    def get(self, request: Request) -> Response:
        return super().get(request)


def schemas(documents: Mapping[str, bytes]) -> Resource:
    """All documents by their names, of which some have a slash: ``metadefs/tag``."""
    below: dict[str, Resource] = {}
    deeper: dict[str, dict[str, bytes]] = {}
    for name, document in documents.items():
        first, _, rest = name.partition('/')
        if rest:
            deeper.setdefault(first, {})[rest] = document
        else:
            below[first] = (TaskSchema if first in ('task', 'tasks') else Schema)(document)
    below.update((name, schemas(some)) for name, some in deeper.items())
    return Resource(below)
