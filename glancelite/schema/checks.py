"""JSON schemas compiled to functions that say which rule a value breaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], 'str | None']

_KINDS: dict[str, tuple[type, ...]] = {
    'null': (type(None),), 'string': (str,), 'boolean': (bool,), 'integer': (int,),
    'number': (int, float), 'array': (list,), 'object': (dict,)}
_SILENT = frozenset({'description', 'readOnly', 'writeOnly', 'is_base', 'title', 'default'})
_KNOWN = _SILENT | {'type', 'enum', 'maxLength', 'minLength', 'pattern', 'items', 'properties',
                    'required', 'additionalProperties'}


def compiled(schema: Mapping[str, Any]) -> Check:
    """A function that takes a decoded JSON value and says what is wrong with it.

    The keywords that image schemas use are checked by hand, which costs a
    microsecond; a schema that an operator wrote with others goes to the
    ``jsonschema`` library.

    :returns: value -> a phrase such as ``must be a string``; None if it is right.
    """
    additional = schema.get('additionalProperties', True)
    if schema.keys() <= _KNOWN and isinstance(additional, bool):
        return _by_hand(schema)
    return _by_library(schema)


def _by_hand(schema: Mapping[str, Any]) -> Check:
    makers = {make: None for keyword, make in _MAKERS.items() if keyword in schema}
    checks = [make(schema) for make in makers]
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> str | None:
        for one in checks:
            if wrong := one(value):
                return wrong
        return None

    return check


def _type(schema: Mapping[str, Any]) -> Check:
    names = [schema['type']] if isinstance(schema['type'], str) else list(schema['type'])
    exact = frozenset(kind for name in names for kind in _KINDS[name])
    whole = 'integer' in names and 'number' not in names
    expected = ' or '.join(_article(name) for name in names)

    def check(value: Any) -> str | None:
        if type(value) in exact or (whole and type(value) is float and value.is_integer()):
            return None
        return f'must be {expected}, not {_described(value)}'

    return check


def _enum(schema: Mapping[str, Any]) -> Check:
    allowed = schema['enum']
    listed = ', '.join('null' if value is None else str(value) for value in allowed)

    def check(value: Any) -> str | None:
        if value in allowed:
            return None
        return f'must be one of {listed}; not {_described(value)}'

    return check


def _text(schema: Mapping[str, Any]) -> Check:
    longest, shortest = schema.get('maxLength'), schema.get('minLength', 0)
    # In a JSON schema `$` is the very end; in Python a newline may follow.
    pattern = re.compile(re.sub(r'(?<!\\)\$$', r'\\Z', schema.get('pattern', '')))

    def check(value: Any) -> str | None:
        if type(value) is not str:
            return None
        if longest is not None and len(value) > longest:
            return f'must not be longer than {longest} characters; it has {len(value)}'
        if len(value) < shortest:
            return f'must have at least {shortest} characters; it has {len(value)}'
        if not pattern.search(value):
            return f'must match {schema["pattern"]}'
        return None

    return check


def _items(schema: Mapping[str, Any]) -> Check:
    one = compiled(schema['items'])

    def check(value: Any) -> str | None:
        if type(value) is list:
            for number, item in enumerate(value):
                if wrong := one(item):
                    return f'item {number} {wrong}'
        return None

    return check


def _members(schema: Mapping[str, Any]) -> Check:
    known = {name: compiled(sub) for name, sub in schema.get('properties', {}).items()}
    required = schema.get('required', ())
    closed = schema.get('additionalProperties') is False

    def check(value: Any) -> str | None:
        if type(value) is not dict:
            return None
        for name in required:
            if name not in value:
                return f"lacks '{name}'"
        for name, item in value.items():
            one = known.get(name)
            if one is None:
                if closed:
                    return f"must not have '{name}'"
            elif wrong := one(item):
                return f"'{name}' {wrong}"
        return None

    return check


_MAKERS: dict[str, Callable[[Mapping[str, Any]], Check]] = {
    'type': _type, 'enum': _enum, 'maxLength': _text, 'minLength': _text, 'pattern': _text,
    'items': _items, 'properties': _members, 'required': _members,
    'additionalProperties': _members}


def _by_library(schema: Mapping[str, Any]) -> Check:
    import jsonschema  # slow to import, and few operators need it

    validator = jsonschema.Draft4Validator(schema)

    def check(value: Any) -> str | None:
        if validator.is_valid(value):
            return None
        worst = jsonschema.exceptions.best_match(validator.iter_errors(value))
        return f'is wrong: {worst.message}'

    return check


def _article(name: str) -> str:
    if name == 'null':
        return name
    return f'an {name}' if name[0] in 'aio' else f'a {name}'


def _described(value: Any) -> str:
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)[:40]
    if isinstance(value, str):
        return repr(value[:40])
    return 'an array' if isinstance(value, list) else 'an object'
