"""Bodies and query strings of requests about metadata definitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from glancelite import contract
from glancelite.api import paging
from glancelite.api.message import Request
from glancelite.contract import Context
from glancelite.contract.metadef import (
    NAMESPACE_SORT_KEYS,
    NAMESPACE_VISIBILITIES,
    TAG_SORT_KEYS,
    NamespaceQuery,
)
from glancelite.services.metadefs import Namespaces, TagQuery

#: values of ``X-Openstack-Append`` that mean yes, in lower case
_TRUE = frozenset({'1', 't', 'true', 'on', 'y', 'yes'})


def body(request: Request, namespaces: Namespaces, action: str,
         namespace: str | None = None) -> dict[str, Any]:
    """Return the body, a JSON object.

    A long one is not read if the caller may never do this, as ``Namespaces.check_caller`` says.

    :raises Invalid: it is no JSON object.
    """
    given = request.json_object(
        lambda: namespaces.check_caller(request.context, action, namespace))
    try:
        json.dumps(given, allow_nan=False)
    except ValueError:      # NaN and infinite numbers are not JSON
        raise contract.Invalid('Malformed JSON in request body.') from None
    return given


def parameters(request: Request) -> paging.Parameters:
    """Return the names and values of the query string."""
    return paging.parse_query(request.environ.get('QUERY_STRING', ''))


def resource_type(request: Request) -> str | None:
    """Return the parameter ``resource_type``; None if there is none."""
    return dict(parameters(request)).get('resource_type') or None


def appends(request: Request) -> bool:
    """Return whether ``X-Openstack-Append`` asks to keep what exists."""
    value: str = request.environ.get('HTTP_X_OPENSTACK_APPEND', '')
    return value.strip().lower() in _TRUE


def namespace_query(ctx: Context, given: paging.Parameters, *, default_limit: int,
                    max_limit: int) -> tuple[NamespaceQuery, str | None]:
    """Return the query that the parameters of a listing define, and their marker.

    :raises Invalid: a parameter is invalid.
    """
    last = dict(given)
    direction = _direction(last)
    key = _sort_key(last, NAMESPACE_SORT_KEYS)
    types = last.get('resource_types')
    order = dict.fromkeys((key, 'created_at', 'id'), direction)
    limit = paging.parse_limit(last['limit']) if 'limit' in last else default_limit
    return NamespaceQuery(
        ctx.viewer, visibility=_visibility(last, NAMESPACE_VISIBILITIES),
        resource_types=None if types is None else frozenset(types.split(',')),
        sort=tuple(order.items()), limit=min(limit, max_limit)), last.get('marker')


def tag_query(given: paging.Parameters) -> TagQuery:
    """Return the query that the parameters of a listing of tags define.

    :raises Invalid: a parameter is invalid.
    """
    last = dict(given)
    return TagQuery(
        sort=_sort_key(last, TAG_SORT_KEYS), direction=_direction(last),
        marker=last.get('marker'),
        limit=paging.parse_limit(last['limit']) if 'limit' in last else None)


def check_object_query(given: paging.Parameters) -> None:
    """Check the parameters of a listing of objects, which has all objects in any case.

    :raises Invalid: a parameter is invalid.
    """
    last = dict(given)
    if 'limit' in last and paging.parse_limit(last['limit']) == 0:
        raise contract.Invalid('limit must be greater than 0.')
    _direction(last)
    _visibility(last, (*NAMESPACE_VISIBILITIES, 'shared'))


def _sort_key(last: dict[str, str], keys: Sequence[str]) -> str:
    key = last.get('sort_key', 'created_at')
    if key not in keys:
        raise contract.Invalid(f'Invalid sort key: {key}. It must be one of the following: '
                               f'{", ".join(keys)}.')
    return key


def _direction(last: dict[str, str]) -> str:
    direction = last.get('sort_dir', 'desc')
    if direction not in ('asc', 'desc'):
        raise contract.Invalid(f'Invalid sort direction: {direction}')
    return direction


def _visibility(last: dict[str, str], allowed: Sequence[str]) -> str | None:
    visibility = last.get('visibility')
    if visibility is not None and visibility not in allowed:
        raise contract.Invalid(f'Invalid visibility value: {visibility}')
    return visibility
