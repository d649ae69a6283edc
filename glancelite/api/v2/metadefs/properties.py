"""``/v2/metadefs/namespaces/{namespace}/properties``."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.metadefs import requests
from glancelite.assembly import Core
from glancelite.schema import metadef_bodies, metadef_views


class Properties(Resource):
    """``/v2/metadefs/namespaces/{namespace}/properties``."""

    def __init__(self, core: Core):
        super().__init__(variable=Property(core))
        self._properties = core.use_cases.metadef_properties
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('List the properties of a namespace.', returns='metadefs/properties')
    def get(self, request: Request, namespace: str) -> Response:
        return Response.json(metadef_views.properties(
            self._properties.list(request.context, namespace)))

    @operation('Create a property.', accepts='metadefs/property', returns='metadefs/property',
               statuses=(201,))
    def post(self, request: Request, namespace: str) -> Response:
        body = requests.body(request, self._namespaces, 'add_metadef_property', namespace)
        added = self._properties.add(request.context, namespace, metadef_bodies.property_(body))
        return Response.json(metadef_views.property_(added), 201)

    @operation('Delete all properties of a namespace.', statuses=(204,), ignores_body=True)
    def delete(self, request: Request, namespace: str) -> Response:
        self._properties.clear(request.context, namespace)
        return Response.empty()


class Property(Resource):
    """``/v2/metadefs/namespaces/{namespace}/properties/{name}``."""

    def __init__(self, core: Core):
        super().__init__()
        self._properties = core.use_cases.metadef_properties
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('Show a property.', returns='metadefs/property', ignores_body=True)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        return Response.json(metadef_views.property_(self._properties.get(
            request.context, namespace, name, requests.resource_type(request))))

    @operation('Change a property.', accepts='metadefs/property', returns='metadefs/property')
    def put(self, request: Request, namespace: str, name: str) -> Response:
        body = requests.body(request, self._namespaces, 'modify_metadef_property', namespace)
        changed = self._properties.replace(request.context, namespace, name,
                                           metadef_bodies.property_(body))
        return Response.json(metadef_views.property_(changed))

    @operation('Delete a property.', statuses=(204,), ignores_body=True)
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        self._properties.remove(request.context, namespace, name)
        return Response.empty()
