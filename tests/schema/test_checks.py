"""Compiled checks, compared with the ``jsonschema`` library."""

import time

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancelite.schema import checks, image, metadef, render

RESOURCE = image.resource(('raw', 'qcow2'), ('bare', 'ovf'))
CHECKS = {field.name: checks.compile_schema(field.schema()) for field in RESOURCE.fields}
VALIDATORS = {field.name: jsonschema.Draft6Validator(field.schema()) for field in RESOURCE.fields}
NAMES = st.sampled_from(['url', 'metadata', 'validation_data', 'checksum', 'os_hash_algo',
                         'os_hash_value', 'other', 'a.b[0]{x}'])
SCALARS = (st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
           | st.sampled_from(['raw', 'bare', 'queued', 'public', 'x' * 255, 'x' * 256, 1.0,
                              'a' * 32, '016a685b-edf6-4a06-bc21-7b7f6a23187b']))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3)
                      | st.dictionaries(NAMES, inner, max_size=5), max_leaves=8)
LOCATIONS = st.lists(st.fixed_dictionaries(
    {'url': SCALARS, 'metadata': st.just({}) | SCALARS},
    optional={'validation_data': st.dictionaries(NAMES, SCALARS, max_size=4)}), max_size=3)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(CHECKS)), value=VALUES | LOCATIONS)
def test_checks_and_jsonschema_agree_on_every_attribute(name, value):
    assert (CHECKS[name](value) is None) == VALIDATORS[name].is_valid(value)


@pytest.mark.parametrize(('value', 'phrase'), [
    ({}, 'must be an array, not an object'),
    ([5], 'item 0 must be an object, not 5'),
    ([{'metadata': {}}], "item 0 lacks 'url'"),
    ([{'url': 5, 'metadata': {}}], "item 0 'url' must be a string, not 5"),
    ([{'url': 'x' * 256, 'metadata': {}}],
     "item 0 'url' must not be longer than 255 characters; it has 256"),
    ([{'url': '', 'metadata': {}, 'validation_data': {'os_hash_algo': 'md5'}}],
     "item 0 'validation_data' lacks 'os_hash_value'"),
    ([{'url': '', 'metadata': {}, 'validation_data': {
        'os_hash_algo': 'a', 'os_hash_value': 'b', 'more': 'c'}}],
     "item 0 'validation_data' must not have 'more'"),
    ([{'url': '', 'metadata': {}, 'validation_data': {
        'os_hash_algo': 'a', 'os_hash_value': 'b', 'checksum': 'c'}}],
     "item 0 'validation_data' 'checksum' must have at least 32 characters; it has 1")])
def test_a_phrase_names_the_part_and_the_rule(value, phrase):
    assert CHECKS['locations'](value) == phrase


@pytest.mark.parametrize('schema', [
    {'pattern': '^[$]$'}, {'minLength': 1, 'not': {'enum': ['€']}},
    {'items': {'maximum': 1}, 'enum': ['$']}, {'properties': {'x': {'oneOf': [{}]}},
                                               'enum': ['$']},
    {'definitions': {'x': {'type': 'null'}}, 'not': {'$ref': '#/definitions/x'}}])
def test_a_schema_that_is_not_compiled_is_checked_all_the_same(schema):
    check = checks.compile_schema(schema)

    assert check('$') is None
    assert checks.compile_schema({**schema, 'maxLength': 0})('$') is not None


def test_a_pattern_ends_at_the_end_of_the_text():
    check = checks.compile_schema({'pattern': '^[0-9]+$'})

    assert check('12') is None
    assert check('12\n') == 'must match ^[0-9]+$'


DOCUMENTS = [render.document(resource) for resource in (
    metadef.NAMESPACE, metadef.OBJECT, metadef.PROPERTY, metadef.TAG, metadef.RESOURCE_TYPE)]
ATTRIBUTES = st.sampled_from([
    'name', 'namespace', 'title', 'type', 'required', 'minLength', 'minItems', 'properties',
    'objects', 'enum', 'uniqueItems', 'visibility', 'p'])
DEFINED = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, 'x', 'string', 'array', 'public', 'x' * 81]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ATTRIBUTES, inner, max_size=5),
    max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(document=st.sampled_from(DOCUMENTS), value=st.dictionaries(ATTRIBUTES, DEFINED))
def test_checks_and_jsonschema_agree_on_metadata_definitions(document, value):
    value = {**dict.fromkeys(document['required'], 'string'), **value}

    assert (checks.compile_schema(document)(value) is None) == (
        jsonschema.Draft6Validator(document).is_valid(value))


PROPERTY = {'name': 'p', 'title': 't', 'type': 'string'}


@pytest.mark.parametrize(('change', 'phrase'), [
    ({'minLength': -1}, "'minLength' must not be less than 0"),
    ({'maxItems': 1.5}, "'maxItems' must be an integer, not 1.5"),
    ({'required': []}, "'required' must have at least 1 items"),
    ({'required': ['a', 'a']}, "'required' must not have the same item twice"),
    ({'type': None}, "'type' must be a string, not null"),
    ({'confidential': True}, "must not have 'confidential'")])
def test_a_phrase_names_the_rule_of_a_referred_schema(change, phrase):
    check = checks.compile_schema(render.document(metadef.PROPERTY))

    assert check(PROPERTY) is None
    assert check({**PROPERTY, **change}) == phrase


def test_a_long_list_of_mixed_items_is_checked_fast():
    """The library compares each with each if they cannot be sorted."""
    check = checks.compile_schema(render.document(metadef.PROPERTY))
    items = [[number] if number % 2 else {str(number): number} for number in range(50_000)]

    start = time.thread_time()
    assert check({**PROPERTY, 'required': items}) == (
        "'required' item 0 must be a string, not an object")

    assert time.thread_time() - start < 5
