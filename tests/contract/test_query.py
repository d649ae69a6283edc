"""Tests of ``contract.query``, which defines the meaning of a query."""

import datetime

import pytest

from glancelite.contract import Image, ImageQuery, Viewer, Where
from glancelite.contract.query import compare, matches, ordered

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
P, ADMIN, NOBODY = Viewer('p'), Viewer('a', is_admin=True), Viewer()


def image(**fields):
    return Image(**{'id': 'i', 'status': 'active', 'owner': 'q', **fields})


@pytest.mark.parametrize(('visibility', 'viewer', 'asked', 'listed'), [
    ('public', P, None, True), ('public', NOBODY, None, True),
    ('private', P, None, False), ('private', ADMIN, None, True),
    ('private', ADMIN, 'public', False),
    ('shared', P, 'all', False), ('shared', ADMIN, 'all', True),
    ('community', P, None, False), ('community', ADMIN, None, False),
    ('community', P, 'all', True), ('community', NOBODY, 'community', True),
])
def test_scope_of_other_projects_images(visibility, viewer, asked, listed):
    assert matches(ImageQuery(viewer, asked), image(visibility=visibility)) is listed


@pytest.mark.parametrize('visibility', ['public', 'private', 'shared', 'community'])
def test_own_images_are_always_listed(visibility):
    assert matches(ImageQuery(P), image(owner='p', visibility=visibility))


def test_an_image_without_owner_is_not_owned_by_the_anonymous_caller():
    assert not matches(ImageQuery(NOBODY, 'all'), image(owner=None, visibility='private'))


@pytest.mark.parametrize(('membership', 'asked', 'listed'), [
    ('accepted', 'accepted', True), ('pending', 'accepted', False),
    ('pending', 'all', True), ('rejected', 'rejected', True), (None, 'all', False)])
def test_shared_images_are_listed_by_the_status_of_the_membership(membership, asked, listed):
    query = ImageQuery(P, member_status=asked)

    assert matches(query, image(visibility='shared', membership=membership)) is listed
    assert not matches(query, image(visibility='private', membership=membership))


@pytest.mark.parametrize('fields', [
    {'status': 'deleted'}, {'status': 'pending_delete'}, {'status': 'killed'},
    {'deleted_at': NOW}, {'os_hidden': True}])
def test_what_is_gone_or_hidden_is_never_listed(fields):
    assert not matches(ImageQuery(ADMIN, 'all'), image(**fields))


def test_hidden_asks_for_hidden_images_only():
    query = ImageQuery(ADMIN, hidden=True)

    assert matches(query, image(os_hidden=True))
    assert not matches(query, image())


@pytest.mark.parametrize('operator', ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'in'])
def test_an_unset_field_satisfies_no_condition(operator):
    value = ('a',) if operator == 'in' else 'a'

    assert not Where('name', operator, value).matches(image(name=None))


def test_conditions_compare_by_code_point():
    assert Where('name', 'gt', 'Z').matches(image(name='a'))
    assert Where('name', 'gt', '\uffff').matches(image(name='\U0001f600'))
    assert not Where('name', 'eq', 'a').matches(image(name='A'))


@pytest.mark.parametrize(('operator', 'matching'), [
    ('eq', True), ('neq', False), ('gt', False), ('gte', True), ('lt', False), ('lte', True)])
def test_times_are_compared_in_whole_seconds(operator, matching):
    created = image(created_at=NOW.replace(microsecond=900_000))

    for time in (NOW, NOW.replace(microsecond=999_999)):
        assert Where('created_at', operator, time).matches(created) is matching
    assert Where('created_at', 'in', (NOW,)).matches(created)


def test_all_tags_and_properties_must_hold():
    it = image(visibility='public', tags=('t', 'u'), properties={'k': 'v'})

    assert matches(ImageQuery(P, tags=frozenset('tu'), properties={'k': 'v'}), it)
    assert not matches(ImageQuery(P, tags=frozenset('tx')), it)
    assert not matches(ImageQuery(P, properties={'k': 'V'}), it)
    assert not matches(ImageQuery(P, properties={'missing': ''}), it)


@pytest.mark.parametrize(('direction', 'order'), [('asc', [None, 0, 1]), ('desc', [1, 0, None])])
def test_unset_sorts_below_everything(direction, order):
    query = ImageQuery(P, sort=(('size', direction), ('id', 'asc')))

    found = ordered(query, [image(size=size) for size in (0, None, 1)])

    assert [it.size for it in found] == order


def test_ties_are_broken_by_the_next_key():
    query = ImageQuery(P, sort=(('name', 'asc'), ('id', 'desc')))
    a, b = image(id='a', name=None), image(id='b', name=None)

    assert ordered(query, [a, b]) == [b, a]
    assert compare(query, a, a) == 0


@pytest.mark.parametrize(('viewer', 'fields', 'seen'), [
    (NOBODY, {'visibility': 'private'}, False), (NOBODY, {'owner': None}, True),
    (NOBODY, {'visibility': 'community'}, True), (P, {'visibility': 'shared'}, False),
    (P, {'visibility': 'shared', 'membership': 'rejected'}, True),
    (P, {'visibility': 'private', 'membership': 'accepted'}, False),
    (P, {'visibility': 'private', 'owner': 'p'}, True),
    (ADMIN, {'visibility': 'private'}, True)])
def test_who_may_see_one_image(viewer, fields, seen):
    assert viewer.may_see(image(**fields)) is seen
