"""JSON schemas compiled to functions that name the rule which a value breaks."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema

Check = Callable[[Any], 'str | None']

#: the first draft in which 1.0 is an integer
_DRAFT = 'http://json-schema.org/draft-06/schema#'
#: keywords that mean the same in drafts 4 and 6
_COMMON = frozenset({
    'description', 'readOnly', 'writeOnly', 'is_base', 'title', 'default', 'type', 'enum',
    'maxLength', 'minLength', 'pattern', 'items', 'properties', 'required',
    'additionalProperties', '$ref', 'definitions', 'allOf', 'format', 'minimum', 'minItems',
    'uniqueItems', 'name', 'links'})
_LOCAL = '#/definitions/'
_STEP = re.compile(r'\[(\d+)\]|\.([^.\[]+)')


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Compile a valid schema of draft 4.

    A schema with keywords that ours do not use, which an operator may write, is left to the
    ``jsonschema`` library: it is slower, but knows all of draft 4.

    :returns: decoded JSON value -> a phrase such as ``must be a string``, or None if the
        value is valid.
    """
    return _compiled(json.dumps(schema))


@functools.lru_cache(maxsize=256)   # workers get what was compiled before the fork
def _compiled(text: str) -> Check:
    schema = json.loads(text)
    if not _is_common(schema):
        return _by_jsonschema(schema)
    try:
        validate = fastjsonschema.compile({'$schema': _DRAFT, **schema}, use_default=False,
                                          use_formats=False)
    except (fastjsonschema.JsonSchemaDefinitionException, re.error):  # such as a pattern "[$]"
        return _by_jsonschema(schema)

    def check(value: Any) -> str | None:
        try:
            validate(value)
        except fastjsonschema.JsonSchemaValueException as error:
            steps = [f'item {index}' if index else f"'{name}'"
                     for index, name in _STEP.findall(error.name or '')]
            return ' '.join([*steps, _phrase(error.rule, error.rule_definition, error)])
        return None

    return check


def _is_common(schema: Mapping[str, Any]) -> bool:
    parts = [schema.get('items', True), schema.get('additionalProperties', True),
             *schema.get('properties', {}).values(), *schema.get('definitions', {}).values(),
             *schema.get('allOf', ())]
    # other references may be to files or the web
    return schema.keys() <= _COMMON and (
        schema.get('$ref', _LOCAL).startswith(_LOCAL)) and all(
        isinstance(part, bool) or (isinstance(part, Mapping) and _is_common(part))
        for part in parts)


def _phrase(rule: str | None, allowed: Any, error: fastjsonschema.JsonSchemaValueException) -> str:
    value = error.value
    match rule:
        case 'type':
            types = [allowed] if isinstance(allowed, str) else allowed
            return f'must be {" or ".join(map(_with_article, types))}, not {_describe(value)}'
        case 'enum':
            listed = ', '.join('null' if choice is None else str(choice) for choice in allowed)
            return f'must be one of {listed}; not {_describe(value)}'
        case 'maxLength':
            return f'must not be longer than {allowed} characters; it has {len(value)}'
        case 'minLength':
            return f'must have at least {allowed} characters; it has {len(value)}'
        case 'pattern':
            return f'must match {allowed}'
        case 'minimum':
            return f'must not be less than {allowed}'
        case 'minItems':
            return f'must have at least {allowed} items'
        case 'uniqueItems':
            return 'must not have the same item twice'
        case 'required':
            return f"lacks '{next(name for name in allowed if name not in value)}'"
        case _:
            known = error.definition.get('properties', {})
            return f"must not have '{next(name for name in value if name not in known)}'"


def _by_jsonschema(schema: Mapping[str, Any]) -> Check:
    import jsonschema  # slow to import, and few operators need it

    validator = jsonschema.Draft4Validator(schema)

    def check(value: Any) -> str | None:
        if validator.is_valid(value):
            return None
        worst = jsonschema.exceptions.best_match(validator.iter_errors(value))
        return f'is invalid: {worst.message}'

    return check


def _with_article(name: str) -> str:
    if name == 'null':
        return name
    return f'an {name}' if name[0] in 'aio' else f'a {name}'


def _describe(value: Any) -> str:
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)[:40]
    if isinstance(value, str):
        return repr(value[:40])
    return 'an array' if isinstance(value, list) else 'an object'
