"""Parses the query string of a listing into an ``ImageQuery``, and links its pages."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from glancelite import contract
from glancelite.contract import Context, ImageQuery, Where
from glancelite.contract.query import SORT_KEYS, id_forms
from glancelite.schema.image import FIELDS

#: names and values of a query string, in order
Parameters = Sequence[tuple[str, str]]

PATH = '/v2/images'
#: maximum number of parameters in a request; each is a condition for the database
PARAMETER_LIMIT = 256

#: attribute -> kind of its filter, see ``schema.fields.Field``
FILTERS = {field.name: field.filter for field in FIELDS if field.filter}
_TIME_OPERATORS = ('eq', 'neq', 'gt', 'gte', 'lt', 'lte')
_NUMBER = re.compile(r'\s*([+-]?)([0-9]++)\s*')
#: numbers of images are not larger
_MAX_NUMBER = (1 << 63) - 1
#: a year, with or without month and day; these may have one digit
_DATE = re.compile(r'([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?')
#: a time, whose colons do not follow an operator
_TIME = re.compile(r'[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:')
_UNSUPPORTED = {
    'changes-since': 'The filter "changes-since" is not available in this version of the API.',
    'properties': 'The filter of a custom property is the name of the property.',
    'locations': 'Images cannot be filtered by their locations.',
}
_CHOICES = {
    'visibility': ('public', 'private', 'shared', 'community', 'all', ''),
    'member_status': (*contract.MEMBER_STATUSES, 'all'),
    'protected': ('true', 'false'),
}
_CONTROL = frozenset(('limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'tag', 'deleted',
                      'visibility', 'member_status', 'os_hidden', 'protected'))


def parse_query(query_string: str) -> Parameters:
    """Parse a query string.

    :raises Invalid: it is not UTF-8, contains NUL, or has too many parameters.
    """
    if not query_string:
        return ()
    try:
        # non-ASCII bytes in a WSGI string mean the same as percent-encoded ones
        raw = query_string.encode('latin-1').decode()
        parameters = parse_qsl(raw, keep_blank_values=True, errors='strict',
                               max_num_fields=PARAMETER_LIMIT)
    except UnicodeError:
        raise contract.Invalid('The URL is not valid UTF-8.') from None
    except ValueError:
        raise contract.Invalid(f'A query must not have more than {PARAMETER_LIMIT} '
                               'parameters.') from None
    if '%00' in query_string:
        raise contract.Invalid('The URL contains a NUL character.')
    return parameters


def image_query(ctx: Context, parameters: Parameters, *, default_limit: int,
                max_limit: int) -> tuple[ImageQuery, str | None]:
    """Return the query that the parameters of a listing define, and their marker.

    The last value of a repeated parameter counts, except for ``tag``, ``sort_key`` and
    ``sort_dir``, of which all count.

    :param default_limit: images per page if there is no ``limit``.
    :param max_limit: maximum of images per page.
    :raises Invalid: a parameter is invalid.

    Source: Image API v2, "List images".
    """
    if not parameters:
        return ImageQuery(ctx.viewer, limit=min(default_limit, max_limit)), None
    last = dict(parameters)
    for name, message in _UNSUPPORTED.items():
        if name in last:
            raise contract.Invalid(message)
    for name, choices in _CHOICES.items():
        if last.get(name, choices[0]) not in choices:
            raise contract.Invalid(f'{name} must be one of: '
                                   f'{", ".join(choice for choice in choices if choice)}.')
    where, properties = _conditions(last)
    return ImageQuery(
        ctx.viewer,
        visibility=last.get('visibility') or None,
        member_status=last.get('member_status', 'accepted'),
        hidden=_parse_hidden(last.get('os_hidden', 'false')),
        where=where,
        tags=frozenset(value for name, value in parameters if name == 'tag'),
        properties=properties,
        sort=_sort(parameters, last),
        limit=min(parse_limit(last['limit']) if 'limit' in last else default_limit, max_limit),
    ), last.get('marker')


def page_links(parameters: Parameters, next_marker: str | None) -> tuple[str, str | None]:
    """Return the paths of the first and of the next page, with the same parameters."""
    kept = [pair for pair in parameters if pair[0] != 'marker']
    text = urlencode(kept)
    first = f'{PATH}?{text}' if text else PATH
    if next_marker is None:
        return first, None
    return first, f'{PATH}?{urlencode([*kept, ("marker", next_marker)])}'


def _conditions(last: dict[str, str]) -> tuple[tuple[Where, ...], dict[str, str]]:
    where, properties = [], {}
    for name, value in last.items():
        if name in _CONTROL:
            continue
        kind = FILTERS.get(name)
        if kind == 'text':
            where.append(_text_condition(name, value))
        elif kind == 'exact':
            where.append(Where(name, 'eq', value))
        elif kind == 'number':
            where.append(Where(name, 'eq', _parse_number(name, value)))
        elif kind == 'time':
            where.append(_time_condition(name, value))
        elif name.endswith(('_min', '_max')):
            where.append(_bound_condition(name, value))
        else:
            properties[name] = value
    if 'protected' in last:
        where.append(Where('protected', 'eq', last['protected'] == 'true'))
    if last.get('visibility') == '':
        where.append(Where('id', 'eq', ''))  # no image has an empty visibility
    return tuple(where), properties


def _text_condition(name: str, value: str) -> Where:
    operator, colon, rest = value.partition(':')
    if not colon or _TIME.match(value):
        return _equal(name, value)
    if operator == 'eq':
        return _equal(name, rest)
    if operator == 'in':
        wanted = parse_list(rest)
        if name == 'id':
            wanted = tuple(dict.fromkeys(form for given in wanted for form in id_forms(given)))
        return Where(name, 'in', wanted)
    raise contract.Invalid(f'Unable to filter {name} by unknown operator {operator!r}.')


def _equal(name: str, value: str) -> Where:
    return Where(name, 'in', id_forms(value)) if name == 'id' else Where(name, 'eq', value)


def parse_list(text: str) -> tuple[str, ...]:
    """Parse the values of an ``in:`` list: split at commas outside of quotation marks.

    Between quotation marks, a backslash escapes the next character.

    :raises Invalid: a quotation mark is not closed, or not next to a comma.
    """
    if '"' not in text:
        return tuple(text.split(','))
    values: list[str] = []
    position, end = 0, len(text)
    while position <= end:
        if text.startswith('"', position):
            value, position = _parse_quoted(text, position + 1)
            if position < end and text[position] != ',':
                raise contract.Invalid('There is no comma after a closing quotation mark.')
        else:
            stop = text.find(',', position)
            stop = end if stop < 0 else stop
            value, position = text[position:stop], stop
            if '"' in value.replace('\\"', ''):
                raise contract.Invalid('There is no comma before an opening quotation mark.')
        values.append(value)
        position += 1
    return tuple(values)


def _parse_quoted(text: str, position: int) -> tuple[str, int]:
    """Return the text up to the closing quotation mark, and the position after it."""
    value: list[str] = []
    while position < len(text):
        if text[position] == '"':
            return ''.join(value), position + 1
        if text[position] == '\\':
            position += 1
        value.append(text[position:position + 1])
        position += 1
    raise contract.Invalid('A quotation mark is not closed.')


def _parse_number(name: str, value: str) -> int:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise contract.Invalid(f'{name} must be a whole number.')
    sign, digits = match[1], match[2].lstrip('0') or '0'
    number = min(int(digits), _MAX_NUMBER) if len(digits) < 20 else _MAX_NUMBER
    return -number if sign == '-' else number


def _bound_condition(name: str, value: str) -> Where:
    field, end = name[:-4], name[-3:]
    if FILTERS.get(field) != 'number':
        raise contract.Invalid(f'Images cannot be filtered by {name!r}: {field!r} is not a '
                               'number.')
    return Where(field, 'gte' if end == 'min' else 'lte', _parse_number(name, value))


def _time_condition(name: str, value: str) -> Where:
    operator, colon, rest = value.partition(':')
    if colon and operator in _TIME_OPERATORS:
        return Where(name, operator, parse_time(name, rest))
    return Where(name, 'eq', parse_time(name, value))


def parse_time(name: str, text: str) -> datetime.datetime:
    try:
        if 'W' in text:
            raise ValueError('week dates are not supported')
        time = _parse_date(text) or datetime.datetime.fromisoformat(text)
        if time.tzinfo is None:
            return time.replace(tzinfo=datetime.UTC)
        return time.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise contract.Invalid(f'{name} must be an ISO 8601 time, optionally after one of the '
                               f'operators {", ".join(_TIME_OPERATORS)}.') from None


def _parse_date(text: str) -> datetime.datetime | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part or 1) for part in match.groups())
    return datetime.datetime(year, month, day, tzinfo=datetime.UTC)


def _parse_hidden(value: str) -> bool:
    word = value.lower()
    if word not in ('true', 'false'):
        raise contract.Invalid('os_hidden must be true or false.')
    return word == 'true'


def parse_limit(value: str) -> int:
    number = _parse_number('limit', value)
    if number < 0:
        raise contract.Invalid('limit must not be negative.')
    return number


def _sort(parameters: Parameters, last: dict[str, str]) -> tuple[tuple[str, str], ...]:
    has_old_form = 'sort_key' in last or 'sort_dir' in last
    if 'sort' not in last and not has_old_form:
        return (('created_at', 'desc'), ('id', 'desc'))
    if 'sort' in last:
        if has_old_form:
            raise contract.Invalid('sort cannot be combined with sort_key and sort_dir.')
        steps = [step.partition(':') for step in last['sort'].split(',')]
        keys = [key.strip() for key, _, _ in steps]
        directions = [direction.strip() or 'desc' for _, _, direction in steps]
    else:
        keys = [value.strip() for name, value in parameters
                if name == 'sort_key'] or ['created_at']
        directions = [value.strip() for name, value in parameters
                      if name == 'sort_dir'] or ['desc']
    return _sort_order(keys, directions)


def _sort_order(keys: list[str], directions: list[str]) -> tuple[tuple[str, str], ...]:
    """Pair keys and directions, and add the keys that make the order unique.

    A single direction applies to all keys, including the added ones.
    """
    for key in keys:
        if key not in SORT_KEYS:
            raise contract.Invalid(f'Invalid sort key: {key}. It must be one of the following: '
                                   f'{", ".join(SORT_KEYS)}.')
    for direction in directions:
        if direction not in ('asc', 'desc'):
            raise contract.Invalid(f'Invalid sort direction: {direction}. It must be asc or '
                                   'desc.')
    if len(directions) not in (1, len(keys)):
        raise contract.Invalid('There must be one sort_dir, or as many as there are sort_keys.')
    if len(directions) == 1:
        directions = directions * len(keys)
        rest = directions[0]
    else:
        rest = 'desc'
    order: dict[str, str] = {}
    for key, direction in [*zip(keys, directions, strict=True),
                           ('created_at', rest), ('id', rest)]:
        order.setdefault(key, direction)
    return tuple(order.items())
