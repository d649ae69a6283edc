"""``/v2/openapi.json``: the OpenAPI description, generated from the controllers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.api import paging
from glancelite.api.message import REASONS, Request, Response, encode_json
from glancelite.api.operation import Operation, operation
from glancelite.api.resource import Resource
from glancelite.contract import metadef
from glancelite.contract.query import SORT_KEYS
from glancelite.domain import patch
from glancelite.schema import metadef_views

ERROR = {
    'type': 'object',
    'description': 'An error; in JSON only if Accept selects it.',
    'properties': {name: {'type': 'string'} for name in ('message', 'code', 'title')},
}
#: kind of filter -> schema of its parameters, see ``schema.fields.Field``
_FILTERS = {
    'text': {'type': 'string',
             'description': 'A value, "eq:" and a value, or "in:" and several values.'},
    'exact': {'type': 'string'},
    'number': {'type': 'integer'},
    'time': {'type': 'string', 'description': 'An ISO 8601 time, optionally after "gt:", "gte:", '
                                              '"lt:", "lte:", "eq:" or "neq:".'},
    'flag': {'type': 'boolean'},
    'choice': {'type': 'string'},
}


class OpenAPI(Resource):
    """The description of the resources below ``/v2``."""

    def __init__(self, resources: Mapping[str, Resource], documents: Mapping[str, bytes]):
        super().__init__()
        self._body = encode_json(document(Resource(resources), documents))

    @operation('Show this description.', returns='object')
    def get(self, request: Request) -> Response:
        return Response.json(self._body)


def document(root: Resource, documents: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the OpenAPI document.

    :param root: the resource ``/v2``.
    :param documents: name -> JSON schema, as ``/v2/schemas`` serves it.

    Source: OpenAPI Specification 3.1.
    """
    paths: dict[str, dict[str, Any]] = {}
    used = set()
    for http_method, path, method in root.operations('/v2'):
        names = list(inspect.signature(method).parameters)[1:]
        for name in names:
            path = path.replace('{}', f'{{{name}}}', 1)
        declared: Operation = method.operation  # type: ignore[attr-defined]
        used.update({declared.accepts, declared.returns} & documents.keys())
        paths.setdefault(path, {})[http_method.lower()] = _operation(path, names, method)
    return {
        'openapi': '3.1.0',
        'info': {'title': 'OpenStack Image API', 'version': '2'},
        'paths': paths,
        'components': {
            'schemas': {'error': ERROR,
                        **{_key(name): _schema(name, documents[name])
                           for name in sorted(used)}},
            'securitySchemes': {'token': {'type': 'apiKey', 'in': 'header',
                                          'name': 'X-Auth-Token'}},
        },
        'security': [{'token': []}],
    }


def _operation(path: str, names: list[str], method: Callable[..., Any]) -> dict[str, Any]:
    declared: Operation = method.operation  # type: ignore[attr-defined]
    described: dict[str, Any] = {
        'summary': declared.summary,
        'parameters': [{'name': name, 'in': 'path', 'required': True,
                        'schema': {'type': 'string'}} for name in names],
        'responses': {str(status): _response(status, declared.returns)
                      for status in declared.statuses},
    }
    described['responses']['default'] = {
        'description': 'An error.', 'content': {'application/json': {'schema': _ref('error')}}}
    if path == paging.PATH and method.__name__ == 'get':
        described['parameters'] += _query_parameters()
    if path == metadef_views.PATH and method.__name__ == 'get':
        described['parameters'] += _namespace_parameters()
    if declared.accepts:
        described['requestBody'] = {'required': True, 'content': {
            media_type: {'schema': schema}
            for media_type, schema in _body(declared.accepts).items()}}
    return described


def _response(status: int, returns: str) -> dict[str, Any]:
    if not returns or status == 204:
        return {'description': REASONS[status]}
    media_type, schema = next(iter(_body(returns).items()))
    return {'description': REASONS[status], 'content': {media_type: {'schema': schema}}}


def _body(kind: str) -> dict[str, Any]:
    """Media type -> schema of a body, by its kind in ``Operation``."""
    if kind == 'bytes':
        return {'application/octet-stream': {}}
    if kind == 'patch':
        return {media_type: {'type': 'array', 'items': {'type': 'object'}}
                for media_type in (patch.DRAFT_10, patch.DRAFT_4)}
    if kind == 'object':
        return {'application/json': {'type': 'object'}}
    return {'application/json': _ref(kind)}


def _ref(name: str) -> dict[str, str]:
    return {'$ref': f'#/components/schemas/{_key(name)}'}


def _schema(name: str, document: bytes) -> Any:
    """Return a schema document with references that resolve in the whole description."""
    return json.loads(document.replace(
        b'"#/definitions/', f'"#/components/schemas/{_key(name)}/definitions/'.encode()))


def _key(name: str) -> str:
    """Return the name of a schema document without characters that keys must not have."""
    return name.replace('/', '.')


def _query_parameters() -> Iterator[dict[str, Any]]:
    keys = {'type': 'string', 'enum': list(SORT_KEYS)}
    schemas: dict[str, dict[str, Any]] = {
        'limit': {'type': 'integer', 'minimum': 0}, 'marker': {'type': 'string'},
        'sort': {'type': 'string', 'description': 'key[:asc|desc], separated by commas.'},
        'sort_key': {'type': 'array', 'items': keys},
        'sort_dir': {'type': 'array', 'items': {'type': 'string', 'enum': ['asc', 'desc']}},
        'tag': {'type': 'array', 'items': {'type': 'string'}},
        'member_status': {'type': 'string', 'enum': [*contract.MEMBER_STATUSES, 'all']},
    }
    for name, kind in paging.FILTERS.items():
        schemas[name] = _FILTERS[kind]
        if kind == 'number':
            schemas[f'{name}_min'] = schemas[f'{name}_max'] = _FILTERS[kind]
    schemas['visibility'] = {'type': 'string', 'enum': [*contract.VISIBILITIES, 'all']}
    return _in_query(schemas)


def _namespace_parameters() -> Iterator[dict[str, Any]]:
    return _in_query({
        'limit': {'type': 'integer', 'minimum': 0},
        'marker': {'type': 'string', 'description': 'The name of a namespace.'},
        'sort_key': {'type': 'string', 'enum': list(metadef.NAMESPACE_SORT_KEYS)},
        'sort_dir': {'type': 'string', 'enum': ['asc', 'desc']},
        'visibility': {'type': 'string', 'enum': list(metadef.NAMESPACE_VISIBILITIES)},
        'resource_types': {'type': 'string', 'description': 'Names, separated by commas.'}})


def _in_query(schemas: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for name, schema in schemas.items():
        yield {'name': name, 'in': 'query', 'schema': schema}
