"""``/v2/metadefs/resource_types``, and the associations of namespaces with them."""

from __future__ import annotations

from glancelite.api.message import Request, Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.api.v2.metadefs import requests
from glancelite.assembly import Core
from glancelite.schema import metadef_bodies, metadef_views


class ResourceTypes(Resource):
    """``/v2/metadefs/resource_types``."""

    def __init__(self, core: Core):
        super().__init__()
        self._types = core.use_cases.metadef_resource_types

    @operation('List all types of resources.', returns='object')
    def get(self, request: Request) -> Response:
        return Response.json(metadef_views.resource_types(self._types.all(request.context)))


class Associations(Resource):
    """``/v2/metadefs/namespaces/{namespace}/resource_types``."""

    def __init__(self, core: Core):
        super().__init__(variable=Association(core))
        self._types = core.use_cases.metadef_resource_types
        self._namespaces = core.use_cases.metadef_namespaces

    @operation('List the types of resources that a namespace is associated with.',
               returns='metadefs/resource_types')
    def get(self, request: Request, namespace: str) -> Response:
        return Response.json(metadef_views.associations(
            self._types.list(request.context, namespace)))

    @operation('Associate a namespace with a type of resources.',
               accepts='metadefs/resource_type', returns='metadefs/resource_type',
               statuses=(201,))
    def post(self, request: Request, namespace: str) -> Response:
        body = requests.body(
            request, self._namespaces, 'add_metadef_resource_type_association', namespace)
        added = self._types.add(request.context, namespace, metadef_bodies.association(body))
        return Response.json(metadef_views.association(added), 201)


class Association(Resource):
    """``/v2/metadefs/namespaces/{namespace}/resource_types/{name}``."""

    def __init__(self, core: Core):
        super().__init__()
        self._types = core.use_cases.metadef_resource_types

    @operation('Remove the association with a type of resources.', statuses=(204,))
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        self._types.remove(request.context, namespace, name)
        return Response.empty()
