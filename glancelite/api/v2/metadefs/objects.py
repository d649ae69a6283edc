"""``/v2/metadefs/namespaces/{namespace}/objects``: groups of properties."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.metadefs import requests
from glancelite.assembly import Core
from glancelite.schema import metadef_bodies, metadef_views


class Objects(Resource):
    """``/v2/metadefs/namespaces/{namespace}/objects``."""

    def __init__(self, core: Core):
        super().__init__(variable=Object(core))
        self._objects = core.use_cases.metadef_objects
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('List the objects of a namespace.', returns='metadefs/objects',
               ignores_body=True)
    def get(self, request: Request, namespace: str) -> Response:
        requests.check_object_query(requests.parameters(request))
        return Response.json(metadef_views.objects(
            namespace, self._objects.list(request.context, namespace)))

    @operation('Create an object.', accepts='metadefs/object', returns='metadefs/object',
               statuses=(201,))
    def post(self, request: Request, namespace: str) -> Response:
        body = requests.body(request, self._namespaces, 'add_metadef_object', namespace)
        added = self._objects.add(request.context, namespace, metadef_bodies.new_object(body))
        return Response.json(metadef_views.object_(
            namespace, added, hidden={'required', 'properties'} - body.keys()), 201)

    @operation('Delete all objects of a namespace.', statuses=(204,), ignores_body=True)
    def delete(self, request: Request, namespace: str) -> Response:
        self._objects.clear(request.context, namespace)
        return Response.empty()


class Object(Resource):
    """``/v2/metadefs/namespaces/{namespace}/objects/{name}``."""

    def __init__(self, core: Core):
        super().__init__()
        self._objects = core.use_cases.metadef_objects
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('Show an object.', returns='metadefs/object')
    def get(self, request: Request, namespace: str, name: str) -> Response:
        return Response.json(metadef_views.object_(
            namespace, self._objects.get(request.context, namespace, name)))

    @operation('Change an object.', accepts='metadefs/object', returns='metadefs/object')
    def put(self, request: Request, namespace: str, name: str) -> Response:
        body = requests.body(request, self._namespaces, 'modify_metadef_object', namespace)
        changed = self._objects.replace(request.context, namespace, name,
                                        metadef_bodies.changed_object(body))
        return Response.json(metadef_views.object_(namespace, changed))

    @operation('Delete an object.', statuses=(204,))
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        self._objects.remove(request.context, namespace, name)
        return Response.empty()
