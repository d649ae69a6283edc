"""``/v2/schemas/...``: what resources look like, for clients that build themselves from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite.api.message import Request, Response, encoded
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Schema(Resource):
    """One document, which never changes while the service runs."""

    def __init__(self, document: Any):
        super().__init__()
        self._body = encoded(document)

    @operation('Show the schema of a resource.')
    def get(self, request: Request) -> Response:
        return Response.json(self._body)


def schemas(documents: Mapping[str, Any]) -> Resource:
    """All documents by their names, of which some have a slash: ``metadefs/tag``."""
    below: dict[str, Resource] = {}
    deeper: dict[str, dict[str, Any]] = {}
    for name, document in documents.items():
        first, _, rest = name.partition('/')
        if rest:
            deeper.setdefault(first, {})[rest] = document
        else:
            below[first] = Schema(document)
    below.update((name, schemas(some)) for name, some in deeper.items())
    return Resource(below)
