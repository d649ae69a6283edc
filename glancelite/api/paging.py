"""From the query string of a listing to an ``ImageQuery``, and the links to its pages."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from glancelite import contract
from glancelite.contract import Context, ImageQuery, Where
from glancelite.contract.query import SORT_KEYS
from glancelite.schema.image import FIELDS

Pairs = Sequence[tuple[str, str]]

PATH = '/v2/images'
#: parameters that one request may have; each is a condition for the database
MOST = 256

#: attribute -> how a listing may ask for it, see ``schema.fields.Field``
FILTERS = {field.name: field.filter for field in FIELDS if field.filter}
_TIME_OPERATORS = ('eq', 'neq', 'gt', 'gte', 'lt', 'lte')
_NUMBER = re.compile(r'\s*([+-]?)0*([0-9]+)\s*')
#: no number of an image lies beyond it
_FAR = (1 << 63) - 1
#: a date with as much of it as the caller cares for; a month may have one digit
_DATE = re.compile(r'([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?')
#: what looks like a time has colons and yet no operator
_TIME = re.compile(r'[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:')
_REFUSED = {
    'changes-since': 'The filter "changes-since" is not available in this version of the API.',
    'properties': 'A custom property is asked for by its own name.',
    'locations': 'Images cannot be found by their locations.',
}
_WORDS = {
    'visibility': ('public', 'private', 'shared', 'community', 'all', ''),
    'member_status': (*contract.MEMBER_STATUSES, 'all'),
    'protected': ('true', 'false'),
}
_CONTROL = frozenset(('limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'tag', 'deleted',
                      'visibility', 'member_status', 'os_hidden', 'protected'))


def pairs(query_string: str) -> Pairs:
    """Names and values of a query string, in order.

    :raises Invalid: it is not UTF-8, has a NUL, or too many of them.
    """
    if not query_string:
        return ()
    try:
        # the bytes of a WSGI string that are no ASCII are taken like those behind a %
        raw = query_string.encode('latin-1').decode()
        found = parse_qsl(raw, keep_blank_values=True, errors='strict', max_num_fields=MOST)
    except UnicodeError:
        raise contract.Invalid('The URL is not valid UTF-8.') from None
    except ValueError:
        raise contract.Invalid(f'A query has at most {MOST} parameters.') from None
    if '%00' in query_string:
        raise contract.Invalid('The URL contains a NUL character.')
    return found


def query(ctx: Context, given: Pairs, *, default: int,
          most: int) -> tuple[ImageQuery, str | None]:
    """What a listing asks for, and the marker it begins after.

    Of a name that is given several times the last value counts, except where
    all have a meaning.

    :param default: images per page if the caller does not say.
    :param most: images per page at most.
    :raises Invalid: a parameter means nothing, or not here.

    Source: Image API v2, "List images".
    """
    if not given:
        return ImageQuery(ctx.viewer, limit=min(default, most)), None
    last = dict(given)
    for name, why in _REFUSED.items():
        if name in last:
            raise contract.Invalid(why)
    for name, words in _WORDS.items():
        if last.get(name, words[0]) not in words:
            raise contract.Invalid(f'{name} must be one of: '
                                   f'{", ".join(word for word in words if word)}.')
    where, properties = _conditions(last)
    return ImageQuery(
        ctx.viewer,
        visibility=last.get('visibility') or None,
        member_status=last.get('member_status', 'accepted'),
        hidden=_hidden(last.get('os_hidden', 'false')),
        where=where,
        tags=frozenset(value for name, value in given if name == 'tag'),
        properties=properties,
        sort=_sort(given, last),
        limit=min(default if 'limit' not in last else _limit(last['limit']), most),
    ), last.get('marker')


def links(given: Pairs, next_marker: str | None) -> tuple[str, str | None]:
    """Paths of the first and of the next page; every pair is kept, in order."""
    kept = [pair for pair in given if pair[0] != 'marker']
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
            where.append(_text(name, value))
        elif kind == 'exact':
            where.append(Where(name, 'eq', value))
        elif kind == 'number':
            where.append(Where(name, 'eq', _number(name, value)))
        elif kind == 'time':
            where.append(_time(name, value))
        elif name.endswith(('_min', '_max')):
            where.append(_bound(name, value))
        else:
            properties[name] = value
    if 'protected' in last:
        where.append(Where('protected', 'eq', last['protected'] == 'true'))
    if last.get('visibility') == '':
        where.append(Where('id', 'eq', ''))  # no image is neither public nor anything else
    return tuple(where), properties


def _text(name: str, value: str) -> Where:
    operator, colon, rest = value.partition(':')
    if not colon or _TIME.match(value):
        return Where(name, 'eq', value)
    if operator == 'eq':
        return Where(name, 'eq', rest)
    if operator == 'in':
        return Where(name, 'in', listed(rest))
    raise contract.Invalid(f'Unable to filter {name} by unknown operator {operator!r}.')


def listed(text: str) -> tuple[str, ...]:
    """The values of an ``in:`` list: split at commas that are not between quotes.

    Between quotes a backslash takes the meaning from what follows it.

    :raises Invalid: a quote is not closed, or not next to a comma.
    """
    if '"' not in text:
        return tuple(text.split(','))
    found, at, end = [], 0, len(text)
    while at <= end:
        if text.startswith('"', at):
            value, at = _quoted(text, at + 1)
            if at < end and text[at] != ',':
                raise contract.Invalid('There is no comma after a closing quotation mark.')
        else:
            stop = text.find(',', at)
            stop = end if stop < 0 else stop
            value, at = text[at:stop], stop
            if '"' in value.replace('\\"', ''):
                raise contract.Invalid('There is no comma before an opening quotation mark.')
        found.append(value)
        at += 1
    return tuple(found)


def _quoted(text: str, at: int) -> tuple[str, int]:
    value = []
    while at < len(text):
        if text[at] == '"':
            return ''.join(value), at + 1
        if text[at] == '\\':
            at += 1
        value.append(text[at:at + 1])
        at += 1
    raise contract.Invalid('A quotation mark is not closed.')


def _number(name: str, value: str) -> int:
    found = _NUMBER.fullmatch(value)
    if found is None:
        raise contract.Invalid(f'{name} must be a whole number.')
    sign, digits = found.groups()
    number = min(int(digits), _FAR) if len(digits) < 20 else _FAR
    return -number if sign == '-' else number


def _bound(name: str, value: str) -> Where:
    field, end = name[:-4], name[-3:]
    if FILTERS.get(field) != 'number':
        raise contract.Invalid(f'{field!r} is no number that images could be filtered by.')
    return Where(field, 'gte' if end == 'min' else 'lte', _number(name, value))


def _time(name: str, value: str) -> Where:
    operator, colon, rest = value.partition(':')
    if colon and operator in _TIME_OPERATORS:
        return Where(name, operator, _moment(name, rest))
    return Where(name, 'eq', _moment(name, value))


def _moment(name: str, text: str) -> datetime.datetime:
    try:
        if 'W' in text:
            raise ValueError('a week')
        found = _day(text) or datetime.datetime.fromisoformat(text)
        if found.tzinfo is None:
            return found.replace(tzinfo=datetime.UTC)
        return found.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise contract.Invalid(f'{name} must be a time in ISO 8601, after one of the operators '
                               f'{", ".join(_TIME_OPERATORS)} if there is one.') from None


def _day(text: str) -> datetime.datetime | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(part or 1) for part in found.groups())
    return datetime.datetime(year, month, day, tzinfo=datetime.UTC)


def _hidden(value: str) -> bool:
    word = value.lower()
    if word not in ('true', 'false'):
        raise contract.Invalid('os_hidden must be true or false.')
    return word == 'true'


def _limit(value: str) -> int:
    number = _number('limit', value)
    if number < 0:
        raise contract.Invalid('limit must not be negative.')
    return number


def _sort(given: Pairs, last: dict[str, str]) -> tuple[tuple[str, str], ...]:
    classic = 'sort_key' in last or 'sort_dir' in last
    if 'sort' not in last and not classic:
        return (('created_at', 'desc'), ('id', 'desc'))
    if 'sort' in last:
        if classic:
            raise contract.Invalid('sort cannot be combined with sort_key and sort_dir.')
        steps = [step.partition(':') for step in last['sort'].split(',')]
        keys = [key.strip() for key, _, _ in steps]
        directions = [direction.strip() or 'desc' for _, _, direction in steps]
    else:
        keys = [value.strip() for name, value in given if name == 'sort_key'] or ['created_at']
        directions = [value.strip() for name, value in given if name == 'sort_dir'] or ['desc']
    return _sorted_by(keys, directions)


def _sorted_by(keys: list[str], directions: list[str]) -> tuple[tuple[str, str], ...]:
    """One direction counts for all keys, and for the tie-breakers too."""
    for key in keys:
        if key not in SORT_KEYS:
            raise contract.Invalid(f'Invalid sort key: {key}. It must be one of the following: '
                                   f'{", ".join(SORT_KEYS)}.')
    for direction in directions:
        if direction not in ('asc', 'desc'):
            raise contract.Invalid(f'Invalid sort direction: {direction}. It must be asc or '
                                   'desc.')
    if len(directions) not in (1, len(keys)):
        raise contract.Invalid('Give one sort_dir for all sort_keys, or one for each.')
    if len(directions) == 1:
        directions = directions * len(keys)
        rest = directions[0]
    else:
        rest = 'desc'
    wanted: dict[str, str] = {}
    for key, direction in [*zip(keys, directions, strict=True),
                           ('created_at', rest), ('id', rest)]:
        wanted.setdefault(key, direction)
    return tuple(wanted.items())
