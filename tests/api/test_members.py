"""Members of shared images."""

import re

import pytest

from tests.api.conftest import client


@pytest.fixture
def image(new):
    return new(visibility='shared')


@pytest.fixture
def members(image):
    return f'/v2/images/{image}/members'


def test_a_new_member_is_pending(app, image, members):
    answer = app.post_json(members, {'member': 'other'}, status=200)

    member = answer.json
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', member['created_at'])
    assert member == {'member_id': 'other', 'image_id': image, 'status': 'pending',
                     'created_at': member['created_at'], 'updated_at': member['updated_at'],
                     'schema': '/v2/schemas/member'}
    assert app.get(f'{members}/other').json == member
    assert app.get(members).json == {'members': [member], 'schema': '/v2/schemas/members'}


@pytest.mark.parametrize('body', [{}, {'member': ''}, {'member': None}, {'member': 7},
                                  {'member': ['x']}, {'member': 'x' * 256}, {'tenant': 'x'}])
def test_a_member_must_be_a_name(app, members, body):
    app.post_json(members, body, status=400)


def test_a_member_cannot_be_added_twice(app, members):
    app.post_json(members, {'member': 'other'})

    app.post_json(members, {'member': 'other'}, status=409)


@pytest.mark.parametrize('status', ['accepted', 'rejected', 'pending'])
def test_a_member_sets_its_status(app, other, members, status):
    app.post_json(members, {'member': 'other'})

    answer = other.put_json(f'{members}/other', {'status': status}, status=200)

    assert answer.json['status'] == status


@pytest.mark.parametrize('body', [{}, {'status': 'maybe'}, {'status': None}, {'status': ['x']},
                                  {'status': {}}])
def test_a_member_status_is_one_of_three(app, other, members, body):
    app.post_json(members, {'member': 'other'})

    other.put_json(f'{members}/other', body, status=400)


def test_the_owner_cannot_set_the_status_and_the_member_cannot_remove_itself(app, other, members):
    app.post_json(members, {'member': 'other'})

    app.put_json(f'{members}/other', {'status': 'accepted'}, status=403)
    other.delete(f'{members}/other', status=403)


def test_a_removed_member_no_longer_sees_the_image(app, other, image, members):
    app.post_json(members, {'member': 'other'})
    other.get(f'/v2/images/{image}', status=200)

    app.delete(f'{members}/other', status=204)

    other.get(f'/v2/images/{image}', status=404)
    app.delete(f'{members}/other', status=404)


def test_only_shared_images_have_members(app, new):
    members = f'/v2/images/{new(visibility="private")}/members'

    app.get(members, status=403)
    app.post_json(members, {'member': 'other'}, status=403)
    app.get(f'{members}/other', status=404)


def test_a_member_sees_itself_only(app, other, members):
    for name in ('other', 'third'):
        app.post_json(members, {'member': name})

    assert [member['member_id'] for member in other.get(members).json['members']] == ['other']
    other.get(f'{members}/third', status=404)


@pytest.mark.parametrize('name', ['\N{GRINNING FACE}', 'a\x00'])
def test_a_member_must_be_text_that_can_be_stored(app, members, name):
    app.post_json(members, {'member': name}, status=400)


def test_a_missing_member_is_reported_before_rights_and_status(app, other, members):
    app.post_json(members, {'member': 'other'})
    app.post_json(members, {'member': 'third'})

    app.put_json(f'{members}/unknown', {'status': 'accepted'}, status=404)
    other.put_json(f'{members}/third', {'status': 'accepted'}, status=404)
    other.delete(f'{members}/third', status=404)
    app.put_json(f'{members}/other', {'status': 'maybe'}, status=403)


def test_members_require_the_right_to_see_the_image(wsgi, app, members):
    app.post_json(members, {'member': 'other'})
    blind = client(wsgi, 'own:member')

    blind.get(members, status=404)
    blind.post_json(members, {'member': 'third'}, status=404)
    blind.delete(f'{members}/other', status=404)
    blind.put_json(f'{members}/other', {'status': 'maybe'}, status=404)
