"""``/v2/openapi.json``: the API described to programs, from the controllers themselves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.api import paging
from glancelite.api.message import REASONS, Request, Response, encoded
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.contract.query import SORT_KEYS
from glancelite.domain import patch

ERROR = {
    'type': 'object',
    'description': 'What went wrong; with this body if Accept asks for JSON.',
    'properties': {name: {'type': 'string'} for name in ('message', 'code', 'title')},
}
#: filter -> what its parameters look like, see ``schema.fields.Field``
_FILTERS = {
    'text': {'type': 'string', 'description': 'A value, "eq:" and a value, or "in:" and several.'},
    'exact': {'type': 'string'},
    'number': {'type': 'integer'},
    'time': {'type': 'string', 'description': 'An ISO 8601 time, after "gt:", "gte:", "lt:", '
                                              '"lte:", "eq:" or "neq:" if you like.'},
    'flag': {'type': 'boolean'},
    'choice': {'type': 'string'},
}


class OpenAPI(Resource):
    """The description of everything below the same root."""

    def __init__(self, below: Mapping[str, Resource], documents: Mapping[str, bytes]):
        super().__init__()
        self._body = encoded(document(Resource(below), documents))

    @operation('Show this description.', gives='object')
    def get(self, request: Request) -> Response:
        return Response.json(self._body)


def document(root: Resource, documents: Mapping[str, bytes]) -> dict[str, Any]:
    """An OpenAPI document.

    :param root: what is below ``/v2``.
    :param documents: name -> JSON schema, as ``/v2/schemas`` serves it.

    Source: OpenAPI Specification 3.1.
    """
    paths: dict[str, dict[str, Any]] = {}
    shown = set()
    for verb, path, method in root.paths('/v2'):
        names = list(inspect.signature(method).parameters)[1:]
        for name in names:
            path = path.replace('{}', f'{{{name}}}', 1)
        shown.update({method.operation.takes, method.operation.gives}  # type: ignore[attr-defined]
                     & documents.keys())
        paths.setdefault(path, {})[verb.lower()] = _operation(path, names, method)
    return {
        'openapi': '3.1.0',
        'info': {'title': 'OpenStack Image API', 'version': '2'},
        'paths': paths,
        'components': {
            'schemas': {'error': ERROR,
                        **{name: json.loads(documents[name]) for name in sorted(shown)}},
            'securitySchemes': {'token': {'type': 'apiKey', 'in': 'header',
                                          'name': 'X-Auth-Token'}},
        },
        'security': [{'token': []}],
    }


def _operation(path: str, names: list[str], method: Callable[..., Any]) -> dict[str, Any]:
    said = method.operation  # type: ignore[attr-defined]
    found: dict[str, Any] = {
        'summary': said.summary,
        'parameters': [{'name': name, 'in': 'path', 'required': True,
                        'schema': {'type': 'string'}} for name in names],
        'responses': {str(status): _answer(status, said.gives) for status in said.answers},
    }
    found['responses']['default'] = {
        'description': 'An error.', 'content': {'application/json': {'schema': _ref('error')}}}
    if path == paging.PATH and method.__name__ == 'get':
        found['parameters'] += _filters()
    if said.takes:
        found['requestBody'] = {'required': True, 'content': {
            kind: {'schema': schema} for kind, schema in _body(said.takes).items()}}
    return found


def _answer(status: int, gives: str) -> dict[str, Any]:
    if not gives or status == 204:
        return {'description': REASONS[status]}
    kind, schema = next(iter(_body(gives).items()))
    return {'description': REASONS[status], 'content': {kind: {'schema': schema}}}


def _body(what: str) -> dict[str, Any]:
    if what == 'bytes':
        return {'application/octet-stream': {}}
    if what == 'patch':
        return {kind: {'type': 'array', 'items': {'type': 'object'}}
                for kind in (patch.DRAFT_10, patch.DRAFT_4)}
    if what == 'object':
        return {'application/json': {'type': 'object'}}
    return {'application/json': _ref(what)}


def _ref(name: str) -> dict[str, str]:
    return {'$ref': f'#/components/schemas/{name}'}


def _filters() -> Iterator[dict[str, Any]]:
    keys = {'type': 'string', 'enum': list(SORT_KEYS)}
    schemas: dict[str, dict[str, Any]] = {
        'limit': {'type': 'integer', 'minimum': 0}, 'marker': {'type': 'string'},
        'sort': {'type': 'string', 'description': 'key[:asc|desc], several with commas.'},
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
    for name, schema in schemas.items():
        yield {'name': name, 'in': 'query', 'schema': schema}
