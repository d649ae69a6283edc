"""Images without their data: create, show, patch, delete."""

import dataclasses
import uuid

import pytest

from glancelite import contract
from tests.api.conftest import client, error

V21 = 'application/openstack-images-v2.1-json-patch'
V20 = 'application/openstack-images-v2.0-json-patch'
JSON = {'Accept': 'application/json'}


def patch(app, image, *operations, kind=V21, **options):
    return app.patch_json(f'/v2/images/{image}', list(operations), content_type=kind, **options)


def test_a_new_image_is_queued_and_has_a_location_header(app):
    answer = app.post_json('/v2/images', {}, status=201)

    image = answer.json
    assert image['status'] == 'queued'
    assert image['owner'] == 'own'
    assert answer.headers['Location'] == f'http://localhost/v2/images/{image["id"]}'
    assert answer.content_type == 'application/json'
    assert app.get(answer.headers['Location']).json == image


def test_the_location_header_has_the_public_endpoint(variant):
    app = variant(public_endpoint='https://images.example/image')

    answer = app.post_json('/v2/images', {})

    assert answer.headers['Location'].startswith('https://images.example/image/v2/images/')


def test_store_ids_are_announced_with_several_stores(app, variant):
    assert app.post_json('/v2/images', {}).headers['OpenStack-image-store-ids'] == 'fast,cold'

    single = variant(multi_store=False).post_json('/v2/images', {})
    assert 'OpenStack-image-store-ids' not in single.headers


def test_schema_errors_are_400_and_read_only_attributes_403(app):
    app.post_json('/v2/images', {'name': 1}, status=400)
    app.post_json('/v2/images', {'status': 'active'}, status=403)
    app.post_json('/v2/images', {'self': '/x'}, status=403)


def test_the_id_of_a_deleted_image_cannot_be_reused(app):
    image = str(uuid.uuid4())
    app.post_json('/v2/images', {'id': image}, status=201)
    app.post_json('/v2/images', {'id': image}, status=409)

    app.delete(f'/v2/images/{image}', status=204)

    app.post_json('/v2/images', {'id': image}, status=409)


def test_json_is_raw_utf_8(app):
    answer = app.post_json('/v2/images', {'name': 'Größe ∑'})

    assert 'Größe ∑'.encode() in answer.body


def test_an_invisible_image_is_not_found(app, other, new):
    image = new(visibility='private')

    app.get(f'/v2/images/{image}', status=200)
    other.get(f'/v2/images/{image}', status=404)
    app.get(f'/v2/images/{uuid.uuid4()}', status=404)
    app.get(f'/v2/images/{"x" * 300}', status=404)


def test_the_query_of_a_single_image_is_ignored(app, new):
    image = new()

    assert app.get(f'/v2/images/{image}?image_id=x&request=y&%ff').json['id'] == image


def test_names_with_dots_have_no_extension(app, new):
    image = new()

    app.put(f'/v2/images/{image}/tags/v1.0.json')

    assert app.get(f'/v2/images/{image}').json['tags'] == ['v1.0.json']
    app.get('/v2/images.json', status=404)


@pytest.mark.parametrize('kind', [V21, f'{V21}; charset=utf-8', V20])
def test_a_patch_changes_an_image(app, new, kind):
    image = new()
    step = ({'replace': '/name', 'value': 'n'} if kind == V20
            else {'op': 'replace', 'path': '/name', 'value': 'n'})

    answer = patch(app, image, step, kind=kind)

    assert answer.json['name'] == 'n'
    assert app.get(f'/v2/images/{image}').json == answer.json


@pytest.mark.parametrize('kind', ['application/json', '', 'application/json-patch+json'])
def test_another_media_type_is_refused_with_accept_patch(app, new, kind):
    answer = patch(app, new(), kind=kind, status=415)

    assert answer.headers['Accept-Patch'] == f'{V20}, {V21}'


def test_the_media_type_is_checked_before_the_image(app):
    patch(app, 'unknown', kind='application/json', status=415)
    patch(app, 'unknown', {'op': 'move'}, status=400)
    patch(app, 'unknown', status=404)


@pytest.mark.parametrize('body', [b'', b'{}', b'{"op": "add"}', b'[1]', b'[', b'"x"'])
def test_an_invalid_patch_is_refused(app, new, body):
    app.request(f'/v2/images/{new()}', method='PATCH', body=body,
                content_type=V21, status=400)


def test_a_patch_is_atomic(app, new):
    image = new(name='before')

    patch(app, image, {'op': 'add', 'path': '/name', 'value': 'after'},
          {'op': 'remove', 'path': '/nothing'}, status=409)

    assert app.get(f'/v2/images/{image}').json['name'] == 'before'


def test_the_owner_cannot_be_changed(app, new):
    image = new()

    for op in ('add', 'replace'):
        patch(app, image, {'op': op, 'path': '/owner', 'value': 'other'}, status=403)

    assert app.get(f'/v2/images/{image}').json['owner'] == 'own'


def test_an_image_of_others_cannot_be_changed(admin, other):
    image = admin.post_json('/v2/images', {'visibility': 'public'}).json['id']

    patch(other, image, {'op': 'add', 'path': '/a', 'value': 'b'}, status=403)
    other.delete(f'/v2/images/{image}', status=403)


def test_publishing_a_public_image_requires_the_right_too(app, admin):
    image = admin.post_json('/v2/images', {'visibility': 'public', 'owner': 'own'}).json['id']
    steps = [{'op': 'replace', 'path': '/visibility', 'value': 'private'},
             {'op': 'replace', 'path': '/visibility', 'value': 'public'}]

    patch(app, image, *steps, status=403)
    patch(app, image, steps[1], status=403)

    assert admin.get(f'/v2/images/{image}').json['visibility'] == 'public'


def test_a_deleted_image_is_not_found(app, new):
    image = new()

    answer = app.delete(f'/v2/images/{image}', status=204)

    assert answer.body == b''
    assert 'Content-Type' not in answer.headers
    app.get(f'/v2/images/{image}', status=404)
    app.delete(f'/v2/images/{image}', status=404)


def test_a_protected_image_cannot_be_deleted(app, new):
    image = new(protected=True)

    app.delete(f'/v2/images/{image}', status=403)

    app.get(f'/v2/images/{image}', status=200)


def test_a_deactivated_image_cannot_be_downloaded(app, admin, new, upload):
    image = new()
    upload(image)

    for _ in range(2):
        app.post(f'/v2/images/{image}/actions/deactivate', status=204)

    app.get(f'/v2/images/{image}/file', status=403)
    admin.get(f'/v2/images/{image}/file', status=200)
    assert app.get(f'/v2/images/{image}').json['status'] == 'deactivated'
    for _ in range(2):
        app.post(f'/v2/images/{image}/actions/reactivate', status=204)
    app.get(f'/v2/images/{image}/file', status=200)


def test_only_an_image_with_data_can_be_deactivated(app, other, new):
    image = new()

    app.post(f'/v2/images/{image}/actions/deactivate', status=403)
    other.post(f'/v2/images/{image}/actions/deactivate', status=404)


def test_locations_are_shown_to_callers_who_may_see_them(core, app, new, upload):
    class Hides(contract.PolicyEngine):
        def enforce(self, ctx, action, image=None, *, member=None):
            if action == 'get_image_location' and ctx.project != 'own':
                raise contract.Forbidden('not for you')
    from glancelite.api.app import make_app
    from glancelite.schema.views import ImageView
    from glancelite.testing import service
    changed = service.exchange(core, policy=Hides(None, None))
    changed = dataclasses.replace(changed, view=ImageView(show_locations=True))
    image = new(visibility='community')
    upload(image)

    wsgi = make_app(changed)
    own, other = client(wsgi), client(wsgi, 'other')

    assert len(own.get(f'/v2/images/{image}').json['locations']) == 1
    assert len(own.get('/v2/images?visibility=all').json['images'][0]['locations']) == 1
    assert 'locations' not in other.get(f'/v2/images/{image}').json
    assert 'locations' not in other.get('/v2/images?visibility=all').json['images'][0]


def test_an_error_has_a_message(app):
    answer = app.post_json('/v2/images', {'min_disk': 'x'}, headers=JSON, status=400)

    assert 'min_disk' in error(answer)


def test_the_answer_of_an_invisible_image_is_that_of_one_that_does_not_exist(app, other, new):
    image, unknown = new(), '11111111-2222-4333-8444-555555555555'

    for method, path, body in (
            ('GET', '', None), ('DELETE', '', None), ('GET', '/file', None),
            ('POST', '/actions/deactivate', None), ('PUT', '/tags/a', None),
            ('DELETE', '/tags/a', None), ('GET', '/members', None),
            ('POST', '/members', b'{"member": "x"}'), ('PUT', '/members/x', b'{"status": "x"}'),
            ('GET', '/locations', None), ('POST', '/locations', b'{"url": "http://a/b"}')):
        answers = [other.request(f'/v2/images/{each}{path}', method=method, body=body or b'',
                                 headers={**JSON, 'Accept': 'text/plain'}, status=404).text
                   for each in (image, unknown)]
        assert answers[0].replace(image, unknown) == answers[1]
        assert f'No image found with ID {unknown}' in answers[1]


def test_the_refusal_to_create_an_image_for_another_project_names_it(app, admin):
    answer = app.post_json('/v2/images', {'owner': 'other'}, headers=JSON, status=403)

    assert "You are not permitted to create images owned by 'other'." in error(answer)
    assert admin.post_json('/v2/images', {'owner': 'other'}).json['owner'] == 'other'


def test_a_caller_with_a_role_and_no_project_lists_what_everybody_sees(core, app, new, wsgi):
    from glancelite.api.app import make_app

    class NoProject(contract.Authenticator):
        def identify(self, environ):
            return contract.Context(user='u', roles=frozenset(
                environ['HTTP_X_AUTH_TOKEN'].split(',')))

    admin = client(wsgi, 'own:admin,member,reader')
    public = admin.post_json('/v2/images', {'visibility': 'public'}).json['id']
    community = new(visibility='community')
    new(visibility='private')
    reader = client(make_app(dataclasses.replace(
        core, authenticator=NoProject(None, None))), 'reader')

    def listed(query):
        return {image['id'] for image in reader.get(f'/v2/images{query}').json['images']}

    assert listed('') == {public}
    assert listed('?visibility=all') == {public, community}
    assert listed('?visibility=community') == {community}
    reader.get('/v2/images', headers={'X-Auth-Token': 'member'}, status=403)


def test_direct_url_and_locations_are_shown_to_all_who_see_the_image(
        core, app, new, upload):
    from glancelite.api.app import make_app
    from glancelite.schema.views import ImageView
    view = ImageView(show_locations=True, show_direct_url=True, show_stores=True)
    wsgi = make_app(dataclasses.replace(core, view=view))
    image = new(visibility='community')
    upload(image)
    own, other = client(wsgi), client(wsgi, 'other')
    admin = client(wsgi, 'admins:admin,member,reader')

    for caller in own, other:
        shown = caller.get(f'/v2/images/{image}').json
        assert len(shown['locations']) == 1
        assert shown['direct_url'] == shown['locations'][0]['url']

    app.post(f'/v2/images/{image}/actions/deactivate', status=204)
    for caller in own, other:
        shown = caller.get(f'/v2/images/{image}').json
        assert shown['locations'] == []
        assert {'direct_url', 'stores'}.isdisjoint(shown)
        listing, = caller.get('/v2/images?visibility=all').json['images']
        assert listing == shown
    assert 'direct_url' in admin.get(f'/v2/images/{image}').json


def _chunked(app, path, body, **named):
    return app.request(path, method='PATCH', body=body, headers={
        'Transfer-Encoding': 'chunked', 'Content-Type': V21},
        environ={'wsgi.input_terminated': True, 'CONTENT_LENGTH': ''}, **named)


@pytest.mark.parametrize('send', [
    lambda app, path, body, **named: app.patch(path, body, content_type=V21, **named),
    _chunked], ids=['length', 'chunked'])
@pytest.mark.parametrize(('visibility', 'refused'), [('community', 403), ('private', 404)])
def test_a_caller_who_may_patch_nothing_is_refused_before_a_long_body_is_parsed(
        wsgi, new, send, visibility, refused):
    reader, path = client(wsgi, 'other:reader'), f'/v2/images/{new(visibility=visibility)}'
    seen = refused == 403

    send(reader, path, b'[]', status=200 if seen else 404)
    send(reader, path, b'[ ' + b' ' * 1000 + b']', status=200 if seen else 404)
    send(reader, path, b'{', status=400)
    send(reader, path, b'[{"op": "remove", "path": "/x"}]', status=refused)
    send(reader, path, b'{' + b' ' * 2000, status=refused)
    send(client(wsgi, 'other'), path, b'{' + b' ' * 2000, status=400)
