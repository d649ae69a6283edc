"""``/v2/metadefs/namespaces/{namespace}/tags``."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.metadefs import requests
from glancelite.assembly import Core
from glancelite.schema import metadef_bodies, metadef_views


class Tags(Resource):
    """``/v2/metadefs/namespaces/{namespace}/tags``."""

    def __init__(self, core: Core):
        super().__init__(variable=Tag(core))
        self._tags = core.use_cases.metadef_tags
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('List the tags of a namespace.', returns='metadefs/tags', ignores_body=True)
    def get(self, request: Request, namespace: str) -> Response:
        query = requests.tag_query(requests.parameters(request))
        return Response.json(metadef_views.tags(
            self._tags.list(request.context, namespace, query)))

    @operation('Replace the tags of a namespace, or append some.', accepts='metadefs/tags',
               returns='metadefs/tags', statuses=(201,))
    def post(self, request: Request, namespace: str) -> Response:
        body = requests.body(request, self._namespaces, 'add_metadef_tags', namespace)
        tags = metadef_bodies.tags(body)
        self._tags.add_all(request.context, namespace, tags, append=requests.appends(request))
        return Response.json(metadef_views.tags(tags), 201)

    @operation('Delete all tags of a namespace.', statuses=(204,), ignores_body=True)
    def delete(self, request: Request, namespace: str) -> Response:
        self._tags.clear(request.context, namespace)
        return Response.empty()


class Tag(Resource):
    """``/v2/metadefs/namespaces/{namespace}/tags/{tag}``."""

    def __init__(self, core: Core):
        super().__init__()
        self._tags = core.use_cases.metadef_tags
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('Show a tag.', returns='metadefs/tag')
    def get(self, request: Request, namespace: str, tag: str) -> Response:
        return Response.json(metadef_views.tag(
            self._tags.get(request.context, namespace, tag)))

    @operation('Create a tag.', returns='metadefs/tag', statuses=(201,))
    def post(self, request: Request, namespace: str, tag: str) -> Response:
        added = self._tags.add(request.context, namespace, metadef_bodies.tag({'name': tag}))
        return Response.json(metadef_views.tag(added), 201)

    @operation('Change the name of a tag.', accepts='metadefs/tag', returns='metadefs/tag')
    def put(self, request: Request, namespace: str, tag: str) -> Response:
        body = requests.body(request, self._namespaces, 'modify_metadef_tag', namespace)
        changed = self._tags.replace(request.context, namespace, tag, metadef_bodies.tag(body))
        return Response.json(metadef_views.tag(changed))

    @operation('Delete a tag.', statuses=(204,))
    def delete(self, request: Request, namespace: str, tag: str) -> Response:
        self._tags.remove(request.context, namespace, tag)
        return Response.empty()
