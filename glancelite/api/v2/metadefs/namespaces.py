"""``/v2/metadefs/namespaces``."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from glancelite.api.message import Request, Response, base_url
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.metadefs import requests
from glancelite.api.v2.metadefs.objects import Objects
from glancelite.api.v2.metadefs.properties import Properties
from glancelite.api.v2.metadefs.resource_types import Associations
from glancelite.api.v2.metadefs.tags import Tags
from glancelite.assembly import Core
from glancelite.schema import metadef_bodies, metadef_views
from glancelite.schema.metadef_views import PATH


class Namespaces(Resource):
    """``/v2/metadefs/namespaces``."""

    def __init__(self, core: Core):
        super().__init__(variable=Namespace(core))
        self._namespaces = core.use_cases.metadef_namespaces
        self._settings = core.settings

    @operation('List namespaces.', returns='metadefs/namespaces', ignores_body=True)
    def get(self, request: Request) -> Response:
        given = requests.parameters(request)
        settings = self._settings
        query, marker = requests.namespace_query(
            request.context, given, default_limit=settings.limit_param_default,
            max_limit=settings.api_limit_max)
        page = self._namespaces.list(request.context, query, marker)
        kept = [pair for pair in given if pair[0] != 'marker']
        following = None
        if page and len(page) == query.limit:   # the next page may be empty, as in Glance
            last = page[-1].namespace.namespace
            following = f'{PATH}?{urlencode([*kept, ("marker", last)])}'
        return Response.json(metadef_views.namespaces(
            page, first=f'{PATH}?{urlencode(kept)}' if kept else PATH, following=following))

    @operation('Create a namespace, with or without items.', accepts='metadefs/namespace',
               returns='metadefs/namespace', statuses=(201,))
    def post(self, request: Request) -> Response:
        body = requests.body(request, self._namespaces, 'add_metadef_namespace')
        created = self._namespaces.create(
            request.context, metadef_bodies.namespace(body)).namespace
        base = base_url(request.environ, self._settings.public_endpoint)
        return Response.json(metadef_views.created(created, body), 201, (
            ('Location', f'{base}{PATH}/{quote(created.namespace, safe=":")}'),))


class Namespace(Resource):
    """``/v2/metadefs/namespaces/{namespace}``."""

    def __init__(self, core: Core):
        super().__init__({
            'objects': Objects(core), 'properties': Properties(core), 'tags': Tags(core),
            'resource_types': Associations(core)})
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('Show a namespace with its items.', returns='metadefs/namespace')
    def get(self, request: Request, namespace: str) -> Response:
        return Response.json(metadef_views.definition(self._namespaces.get(
            request.context, namespace, requests.resource_type(request))))

    @operation('Change a namespace.', accepts='metadefs/namespace',
               returns='metadefs/namespace')
    def put(self, request: Request, namespace: str) -> Response:
        body = requests.body(request, self._namespaces, 'modify_metadef_namespace', namespace)
        changed = self._namespaces.update(
            request.context, namespace, metadef_bodies.namespace(body).namespace)
        return Response.json(metadef_views.namespace(changed))

    @operation('Delete a namespace and its items.', statuses=(204,))
    def delete(self, request: Request, namespace: str) -> Response:
        self._namespaces.delete(request.context, namespace)
        return Response.empty()
